//! A copy of the store, while it goes on.

use std::{fs, path::Path};

use super::{Store, lock};
use crate::{Result, StoreError, error::IoContext, files, manifest};

impl Store {
    /// Copies the store into a folder that is empty. `meanwhile` runs while nothing is sealed: what it copies of the spool has
    /// everything that the copy of the store lacks. `progress` is told how many bytes were copied.
    ///
    /// # Errors
    /// Something cannot be read or written; or what `meanwhile` says.
    pub fn backup(
        &self,
        to: &Path,
        meanwhile: impl FnOnce() -> std::result::Result<(), String>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<()> {
        fs::create_dir_all(to).at(to, "creating")?;
        let segments = {
            let manifest = lock(&self.inner.manifest);
            manifest.as_ref().ok_or(StoreError::ReadOnly)?.copy(&to.join(manifest::FILE))?;
            meanwhile().map_err(StoreError::NotYet)?;
            lock(&self.inner.shown).segments.clone()
        };
        // Their files stay as long as they are held here.
        for segment in &segments {
            for from in [segment.path(), segment.tokens_path()] {
                let to = to.join(from.strip_prefix(&self.inner.dir).unwrap_or(from));
                if let Some(parent) = to.parent() {
                    fs::create_dir_all(parent).at(parent, "creating")?;
                }
                progress(fs::copy(from, &to).at(&to, "copying")?);
                fs::File::open(&to).and_then(|file| file.sync_all()).at(&to, "syncing")?;
            }
        }
        files::sync_dir(to)
    }
}
