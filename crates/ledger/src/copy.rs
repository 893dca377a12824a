//! A copy of the log as it is at a checkpoint, while the log goes on.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    History, LedgerError,
    error::IoContext,
    files::{replace, write_files},
    log::{LOG_KEY, SOURCES},
    tiles::{self, WIDTH},
};

/// Not to be served; copied as they are.
const FOLDERS: [&str; 2] = ["seeds", "erased"];

impl History {
    /// Copies everything but the checkpoint into a folder that is empty. What the log has beyond its size is left out.
    ///
    /// # Errors
    /// Something cannot be read or written.
    pub fn copy(&self, to: &Path) -> Result<(), LedgerError> {
        fs::create_dir_all(to).at(to)?;
        let size = self.size();
        for level in 0..=tiles::MAX_LEVEL {
            for index in 0..tiles::hashes_at(level, size).div_ceil(WIDTH) {
                let width = tiles::width_at(level, index, size);
                let tile = self.folder().tile(level, index).at(self.dir())?.concat();
                write_files(to, &[(tiles::tile_path(level, index, width), tile)])?;
            }
        }
        for index in 0..size.div_ceil(WIDTH) {
            let entries = self.folder().bundle(index).at(self.dir())?;
            let path = tiles::bundle_path(index, tiles::width_at(0, index, size));
            write_files(to, &[(path, tiles::bundle(entries.iter().map(Vec::as_slice)))])?;
        }
        for name in [SOURCES, LOG_KEY] {
            let path = self.dir().join(name);
            match fs::read(&path) {
                // A log without batches names no sources.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                bytes => replace(&to.join(name), &bytes.at(&path)?)?,
            }
        }
        for file in self.anchors()? {
            write_files(to, &[(file.path(), self.anchor(&file)?)])?;
        }
        FOLDERS.iter().try_for_each(|name| copy_folder(&self.dir().join(name), to, name))
    }
}

fn copy_folder(from: &Path, to: &Path, name: &str) -> Result<(), LedgerError> {
    let entries = match fs::read_dir(from) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.at(from)?,
    };
    for entry in entries {
        let path: PathBuf = entry.at(from)?.path();
        let name = format!("{name}/{}", path.file_name().unwrap_or_default().to_string_lossy());
        if path.extension().is_some_and(|extension| extension == "new") {
            // Being written.
            continue;
        }
        if path.is_dir() {
            copy_folder(&path, to, &name)?;
        } else {
            write_files(to, &[(name, fs::read(&path).at(&path)?)])?;
        }
    }
    Ok(())
}
