//! A folder of the data folder with files that are written through the API.

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use vedette_server::FileName;

use super::whole_file;

/// A folder of files that are replaced whole, each by its name.
#[derive(Clone, Debug)]
pub struct OwnFiles(PathBuf);

impl OwnFiles {
    /// In this folder, which is made with the first file.
    pub fn new(folder: PathBuf) -> Self {
        OwnFiles(folder)
    }

    /// The folder, if it is there.
    pub fn folder(&self) -> Option<PathBuf> {
        self.0.is_dir().then(|| self.0.clone())
    }

    /// The name of a file, if it is one of them.
    pub fn name_of(&self, file: &Path) -> Option<FileName> {
        let name: FileName = file.file_name()?.to_str()?.parse().ok()?;
        (self.path(&name) == file).then_some(name)
    }

    /// Where a file is, or will be.
    pub fn path(&self, name: &FileName) -> PathBuf {
        self.0.join(name.yml())
    }

    /// Writes a file durably; it is there whole, or as it was before.
    ///
    /// # Errors
    /// The disk.
    pub fn write(&self, name: &FileName, text: &str) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0)?;
        whole_file::replace(&self.path(name), text.as_bytes())
    }

    /// Removes a file; false if it is not there.
    ///
    /// # Errors
    /// The disk.
    pub fn remove(&self, name: &FileName) -> io::Result<bool> {
        whole_file::remove(&self.path(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_and_go() -> Result<(), Box<dyn std::error::Error>> {
        let dir = tempfile::tempdir()?;
        let files = OwnFiles::new(dir.path().join("rules"));
        let name: FileName = "ssh".parse()?;
        assert_eq!((files.folder(), files.remove(&name)?), (None, false));
        for text in ["first", "second"] {
            files.write(&name, text)?;
            assert_eq!(fs::read_to_string(files.path(&name))?, text);
        }
        assert_eq!(fs::read_dir(dir.path().join("rules"))?.count(), 1, "nothing is left over");
        assert!(files.remove(&name)? && !files.remove(&name)?);
        assert_eq!(files.name_of(&files.path(&name)), Some(name));
        for other in ["ssh.yml", "rules/ssh", "rules/sub/ssh.yml", "rules/ssh.test.yml", ".."] {
            assert_eq!(files.name_of(&dir.path().join(other)), None, "{other}");
        }
        Ok(())
    }
}
