//! Names, folders and bytes on disk.

use std::{
    fs::{self, File},
    hash::{BuildHasher, Hasher},
    io::{self, Write},
    path::{Path, PathBuf},
};

use vedette_event::Time;

use crate::{Result, error::IoContext};

/// The folder of finished segments, in the store's folder.
pub(crate) const SEGMENTS: &str = "segments";
/// The folder of files that are being written.
pub(crate) const TEMPORARY: &str = "tmp";
/// Ending of a segment's Parquet file.
pub(crate) const PARQUET: &str = "parquet";
/// Ending of a segment's token sidecar.
pub(crate) const TOKENS: &str = "tokens";

const MICROS_PER_HOUR: i64 = 3_600_000_000;

/// The hour, counted from 1970-01-01T00Z, that a time belongs to.
pub(crate) fn hour_of(time: Time) -> i64 {
    time.micros().div_euclid(MICROS_PER_HOUR)
}

/// When an hour begins.
pub(crate) fn hour_start(hour: i64) -> Time {
    Time::from_micros(hour.saturating_mul(MICROS_PER_HOUR))
}

/// The folder of an hour's segments, relative to the store's: `segments/tenant=default/dt=2026-11-21/hour=04`.
pub(crate) fn partition(hour: i64) -> String {
    let text = hour_start(hour).to_string();
    let (date, time) = text.split_once('T').unwrap_or((&text, "00"));
    format!("{SEGMENTS}/tenant=default/dt={date}/hour={}", &time[..time.len().min(2)])
}

/// Crockford's base 32.
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// A name for a segment: a ULID (48 bits of milliseconds, 80 random bits, in Crockford's base 32). It sorts after
/// `after`, whatever the clock says, so that names sort by the order in which segments were made.
pub(crate) fn new_id(now: Time, after: Option<&str>) -> String {
    let random = || std::hash::RandomState::new().build_hasher().finish();
    let millis = (now.micros() / 1000).max(0) as u128;
    let fresh = millis << 80 | u128::from(random() & 0xffff) << 64 | u128::from(random());
    let number = after.and_then(id_number).map_or(fresh, |after| fresh.max(after.saturating_add(1)));
    (0..26).rev().map(|at| char::from(DIGITS[(number >> (5 * at)) as usize & 31])).collect()
}

fn id_number(id: &str) -> Option<u128> {
    id.bytes().try_fold(0u128, |number, byte| {
        let digit = DIGITS.iter().position(|digit| *digit == byte)?;
        number.checked_mul(32)?.checked_add(digit as u128)
    })
}

/// Counts and sums what goes through it.
pub(crate) struct Checked<W> {
    out: W,
    pub(crate) bytes: u64,
    pub(crate) crc: u32,
}

impl<W> Checked<W> {
    pub(crate) fn new(out: W) -> Self {
        Checked { out, bytes: 0, crc: 0 }
    }

    pub(crate) fn get(&self) -> &W {
        &self.out
    }
}

impl<W: Write> Write for Checked<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let len = self.out.write(buf)?;
        self.crc = crc32c::crc32c_append(self.crc, &buf[..len]);
        self.bytes += len as u64;
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Length and CRC-32C of a file.
pub(crate) fn checksum(path: &Path) -> Result<(u64, u32)> {
    let mut file = File::open(path).at(path, "opening")?;
    let mut sum = Checked::new(io::sink());
    io::copy(&mut file, &mut sum).at(path, "reading")?;
    Ok((sum.bytes, sum.crc))
}

/// Makes a folder's entries durable.
pub(crate) fn sync_dir(path: &Path) -> Result<()> {
    File::open(path).and_then(|dir| dir.sync_all()).at(path, "syncing")
}

/// Creates a folder and those above it, up to `base`, durably.
pub(crate) fn create_dirs(base: &Path, dir: &Path) -> Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(dir).at(dir, "creating")?;
    let mut parent = dir.parent();
    while let Some(dir) = parent.filter(|dir| dir.starts_with(base)) {
        sync_dir(dir)?;
        parent = dir.parent();
    }
    Ok(())
}

/// Removes a file; one that is not there is removed already.
pub(crate) fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).at(path, "removing"),
        _ => Ok(()),
    }
}

/// Removes the folders above a file that are empty, up to `base`.
pub(crate) fn remove_empty_parents(path: &Path, base: &Path) {
    let mut parent = path.parent();
    while let Some(dir) = parent.filter(|dir| *dir != base && dir.starts_with(base)) {
        if fs::remove_dir(dir).is_err() {
            break;
        }
        parent = dir.parent();
    }
}

/// All files below a folder; none if it does not exist.
pub(crate) fn walk(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries.at(&folder, "listing")?,
        };
        for entry in entries {
            let entry = entry.at(&folder, "listing")?;
            if entry.file_type().at(&folder, "listing")?.is_dir() {
                folders.push(entry.path());
            } else {
                files.push(entry.path());
            }
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_hours_in_utc() {
        let time: Time = "2026-11-21T04:59:59.999999Z".parse().unwrap();
        assert_eq!(partition(hour_of(time)), "segments/tenant=default/dt=2026-11-21/hour=04");
        assert_eq!(partition(hour_of(time.plus_micros(1))), "segments/tenant=default/dt=2026-11-21/hour=05");
        assert_eq!(partition(hour_of(Time::from_micros(-1))), "segments/tenant=default/dt=1969-12-31/hour=23");
        assert!(!partition(i64::MAX).is_empty());
    }

    #[test]
    fn ids_sort_by_time_and_differ() {
        let time = |ms: i64| Time::from_micros(1_795_000_000_000_000 + ms * 1000);
        let ids: Vec<String> = (0..100).map(|ms| new_id(time(ms), None)).collect();
        assert!(ids.is_sorted() && ids.iter().all(|id| id.len() == 26));
        assert_ne!(new_id(time(0), None), new_id(time(0), None));
        // At the same time, and when the clock went back.
        let mut last = new_id(time(5), None);
        for ms in [5, 5, 0, -1000, 6] {
            let next = new_id(time(ms), Some(&last));
            assert!(next > last && next.len() == 26, "{next} {last}");
            last = next;
        }
    }
}
