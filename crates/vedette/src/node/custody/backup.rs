//! Backups: a data folder like any other, of one moment.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::Path,
    sync::PoisonError,
};

use rusqlite::{Connection, OpenFlags};
use vedette_ledger::{CHECKPOINT, WITNESSED};
use vedette_server::{Action, CustodyError};

use super::{Keeper, Result, failed};
use crate::node::{
    ledger::{LEDGER, SEALER},
    own_parsers, quiet, receivers, rules, settings,
};

/// What is copied as it is, where it is there.
const FILES: [&str; 9] = [
    "cert.pem",
    "key.pem",
    "configuration.path",
    settings::FILE,
    rules::DISABLED,
    quiet::FILE,
    "erasing",
    "journald.cursor",
    "files.checkpoint",
];
/// Folders of files that people wrote.
const FOLDERS: [&str; 2] = [rules::OWN, own_parsers::OWN];
/// Databases.
const DATABASES: [&str; 5] = ["alerts.db", "notify.db", "users.db", "searches.db", receivers::DELIVERIES];

impl Keeper {
    pub(super) fn back_up_to(&self, to: &Path, keys: &Path, action: Action) -> Result<u64> {
        for dir in [to, keys] {
            if dir.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
                return Err(CustodyError::Refused(format!("{} is there already, and not empty", dir.display())));
            }
            fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(at(dir))?;
            fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).map_err(at(dir))?;
        }
        // An erasure is in it whole, or not at all.
        let _alone = self.erasing.lock().unwrap_or_else(PoisonError::into_inner);
        self.record(&action)?;
        let mut bytes = 0;
        let mut size = 0;
        let meanwhile = || {
            size = self.copy_head_and_spool(to, keys).map_err(|error| error.to_string())?;
            Ok(())
        };
        self.store.backup(&to.join("store"), meanwhile, &mut |more| bytes += more).map_err(failed)?;
        // What the log has up to a checkpoint changes no more.
        self.ledger.history(size).and_then(|history| history.copy(&to.join(LEDGER))).map_err(failed)?;
        // Newer than the store is right: findings that the store has are in the inbox.
        for name in DATABASES {
            let from = self.dir.join(name);
            let copy = || -> rusqlite::Result<()> {
                let target = to.join(name).to_string_lossy().into_owned();
                let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
                Connection::open_with_flags(&from, flags)?.execute("VACUUM INTO ?1", [target]).map(drop)
            };
            if from.exists() {
                copy().map_err(|error| failed(format!("{}: {error}", from.display())))?;
                sync(&to.join(name))?;
            }
        }
        for name in FILES {
            match fs::copy(self.dir.join(name), to.join(name)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed(error)),
                Ok(_) => sync(&to.join(name))?,
            }
        }
        for name in FOLDERS {
            copy_folder(&self.dir.join(name), &to.join(name))?;
        }
        sync(&to.join("store/manifest.sqlite"))?;
        fs::File::open(to).and_then(|dir| dir.sync_all()).map_err(at(to))?;
        Ok(bytes)
    }

    /// The newest checkpoint, whose size it gives, the keys, and the spool.
    fn copy_head_and_spool(&self, to: &Path, keys: &Path) -> Result<u64> {
        let (sealer, ledger) = (self.dir.join(SEALER), to.join(LEDGER));
        fs::create_dir_all(&ledger).map_err(at(&ledger))?;
        // The keys, and how far they have signed, belong to this very checkpoint.
        let note = self.ledger.hold_still(|note| {
            for name in ["log.key", "epoch.key", "head"] {
                fs::copy(sealer.join(name), keys.join(name)).map_err(at(&sealer.join(name)))?;
                sync(&keys.join(name))?;
            }
            let witnessed = self.dir.join(LEDGER).join(WITNESSED);
            match fs::copy(&witnessed, ledger.join(WITNESSED)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at(&witnessed)(error)),
                _ => Ok(note.clone()),
            }
        });
        let note = note.map_err(failed)??;
        let checkpoint: vedette_ledger::checkpoint::Checkpoint = note.text.parse().map_err(failed)?;
        fs::write(ledger.join(CHECKPOINT), note.to_string()).map_err(at(&ledger))?;
        sync(&ledger.join(CHECKPOINT))?;
        // After the ledger: the spool has at least what the ledger has. Nothing is removed from it while nothing is sealed,
        // and what is being written at its end is cut off when it is opened.
        let (from, to) = (self.dir.join("spool"), to.join("spool"));
        fs::create_dir_all(&to).map_err(at(&to))?;
        let mut files: Vec<_> = fs::read_dir(&from).map_err(at(&from))?.flatten().map(|entry| entry.path()).collect();
        files.retain(|path| path.extension().is_some_and(|extension| extension == "spool"));
        files.sort();
        for path in files {
            let copy = to.join(path.file_name().unwrap_or_default());
            match fs::copy(&path, &copy) {
                // It was released a moment ago: the copy of the store has what was in it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                copied => copied.map_err(at(&path))?,
            };
            sync(&copy)?;
        }
        Ok(checkpoint.size)
    }
}

/// Copies the files of a folder, if it is there.
fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    let Ok(entries) = fs::read_dir(from) else { return Ok(()) };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(to).map_err(at(to))?;
    for entry in entries {
        let path = entry.map_err(at(from))?.path();
        let copy = to.join(path.file_name().unwrap_or_default());
        if path.is_file() {
            fs::copy(&path, &copy).map_err(at(&path))?;
            sync(&copy)?;
        }
    }
    Ok(())
}

/// Makes a file durable, and one that only its owner reads.
fn sync(path: &Path) -> Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(at(path))?;
    fs::File::open(path).and_then(|file| file.sync_all()).map_err(at(path))
}

fn at(path: &Path) -> impl Fn(io::Error) -> CustodyError + use<'_> {
    move |error| failed(format!("{}: {error}", path.display()))
}
