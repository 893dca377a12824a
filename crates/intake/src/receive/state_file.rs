//! Small files that remember where a receiver was: JSON, replaced atomically, durable before the call returns.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};

use super::ReceiveError;

/// Reads the file; `None` when there is none yet.
pub(super) fn load<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, ReceiveError> {
    let unusable = |reason: String| ReceiveError::File { path: path.to_owned(), reason };
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            unusable(format!("is no readable checkpoint ({error}); restore it, or remove it to start over (records may then come twice)"))
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unusable(format!("cannot be read: {error}"))),
    }
}

/// Replaces the file.
pub(super) fn save<T: Serialize>(path: &Path, state: &T) -> Result<(), ReceiveError> {
    replace(path, state)
        .map_err(|error| ReceiveError::File { path: path.to_owned(), reason: format!("cannot be written: {error}") })
}

fn replace<T: Serialize>(path: &Path, state: &T) -> io::Result<()> {
    let folder: PathBuf = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(&serde_json::to_vec(state)?)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    File::open(folder)?.sync_all()
}
