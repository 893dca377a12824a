//! Files that were rotated away between two looks: they had the path for a while, and nobody saw them there.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File, Metadata},
    os::unix::ffi::OsStrExt,
    path::Path,
    time::{Duration, SystemTime},
};

use super::{follow::open_regular, identity::FileId};

/// File systems stamp with the kernel's coarse clock, which may lag by one tick.
const CLOCK_TICK: Duration = Duration::from_millis(20);
/// Names move while a listing is made, so it is made again: at least twice, until it brings nothing new, at most so often.
const LISTINGS: usize = 6;

/// A file beside the path.
pub(super) struct Rotated {
    pub(super) id: FileId,
    pub(super) file: File,
    born: SystemTime,
    /// The number that its name ends with, where rotation counts; older files have larger ones.
    count: u64,
    name: OsString,
}

/// The files beside `path` that have a rotated name of it and did not exist before `since`, oldest first. Those
/// that `is_known` accepts are left out.
pub(super) fn rotated(path: &Path, since: SystemTime, is_known: impl Fn(FileId, &File) -> bool) -> Vec<Rotated> {
    let mut found: Vec<Rotated> = Vec::new();
    let since = since.checked_sub(CLOCK_TICK).unwrap_or(SystemTime::UNIX_EPOCH);
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return found };
    for listing in 0..LISTINGS {
        let before = found.len();
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let other = entry.file_name();
            let Some(count) = rotation_of(name, &other) else { continue };
            let Ok(Some((file, metadata))) = open_regular(&entry.path()) else { continue };
            let (id, born) = (FileId::of(&metadata), born(&metadata));
            if born >= since && !found.iter().any(|known| known.id == id) && !is_known(id, &file) {
                found.push(Rotated { id, file, born, count, name: other });
            }
        }
        if listing > 0 && found.len() == before {
            break;
        }
    }
    // Of the same tick: by number, and where that is a date or a time, by name.
    found.sort_by(|a, b| {
        let by_name = || (a.name.len(), &a.name).cmp(&(b.name.len(), &b.name));
        a.born.cmp(&b.born).then(b.count.cmp(&a.count)).then_with(by_name)
    });
    found
}

/// Whether `candidate` has the name that the file `path` may get by rotation.
pub(super) fn is_rotated(path: &Path, candidate: &Path) -> bool {
    path.parent() == candidate.parent()
        && path.file_name().zip(candidate.file_name()).and_then(|(name, other)| rotation_of(name, other)).is_some()
}

/// When the file came to be; where the file system does not say, when it was last written.
fn born(metadata: &Metadata) -> SystemTime {
    metadata.created().or_else(|_| metadata.modified()).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Whether `candidate` is `name` with what rotation adds: numbers, dates, `old`, `bak`, `prev`, `save`, `orig`. The
/// number tells the order of files of the same moment: large for `.3`, none for a date.
fn rotation_of(name: &OsStr, candidate: &OsStr) -> Option<u64> {
    let added = candidate.as_bytes().strip_prefix(name.as_bytes())?;
    let (first, _) = added.split_first()?;
    if !b".-_~".contains(first) {
        return None;
    }
    let words = added.split(|byte| !byte.is_ascii_alphabetic()).filter(|word| !word.is_empty());
    let known: [&[u8]; 7] = [b"old", b"bak", b"prev", b"save", b"orig", b"T", b"Z"];
    let is_rotation = added.iter().all(|byte| byte.is_ascii_alphanumeric() || b".-_~:+".contains(byte))
        && words.clone().all(|word| known.contains(&word));
    if !is_rotation {
        return None;
    }
    let number = std::str::from_utf8(added.get(1..)?).ok().and_then(|digits| digits.parse().ok());
    Some(number.filter(|number| *number < 10_000).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_rotation_gives() {
        for (candidate, expected) in [
            ("a.log.1", Some(1)),
            ("a.log.12", Some(12)),
            ("a.log-20261121", Some(0)),
            ("a.log-20261121-1795233112", Some(0)),
            ("a.log.2026-11-21T04:11:52Z", Some(0)),
            ("a.log.old", Some(0)),
            ("a.log.bak.2", Some(0)),
            ("a.log~", Some(0)),
            ("a.log", None),
            ("a.log1", None),
            ("a.log.1.gz", None),
            ("a.log.tmp", None),
            ("a.log.pos", None),
            ("a.logger", None),
            ("b.log.1", None),
        ] {
            assert_eq!(rotation_of(OsStr::new("a.log"), OsStr::new(candidate)), expected, "{candidate}");
        }
    }
}
