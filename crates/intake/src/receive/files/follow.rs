//! The loop: look at the files, hand on what is new, remember how far.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use tokio_util::sync::CancellationToken;
use vedette_event::{Reason, Source};
use vedette_spool::{Spool, Ticket};

use super::{
    Config, Pattern, Start,
    checkpoint::{Checkpoint, Entry, Generation, MAX_FINISHED},
    cut::{Cut, cut, smallest_window},
    identity::{FileId, Fingerprint},
    rotated::{self, Rotated},
};
use crate::receive::{ReceiveError, state_file};

/// How much of a file is read at a time.
const WINDOW: usize = 1 << 20;
/// After so many portions in a row, rotations are looked for again.
const MAX_ROUNDS: usize = 64;
/// A waiting thread looks this often whether it should stop.
const NAP: Duration = Duration::from_millis(25);
/// Rotated files of these kinds repeat what was read before.
const COMPRESSED: [&str; 8] = ["gz", "xz", "bz2", "zst", "lz4", "zip", "Z", "lzma"];

pub(super) struct Follower {
    config: Config,
    spool: Spool,
    globs: Vec<glob::Pattern>,
    exclude: Vec<glob::Pattern>,
    checkpoint: Checkpoint,
    followed: BTreeMap<String, Followed>,
    /// Paths that were complained about, so that it is done once.
    complained: BTreeSet<String>,
    record_bytes: usize,
    scanned: Option<Instant>,
    unsaved: bool,
}

struct Followed {
    source: Arc<Source>,
    pattern: usize,
    stored: u64,
    /// Records at the offset that the spool holds already.
    replay: u64,
    reading: Option<FileId>,
    /// Oldest first; the last one is the file that has the path now.
    generations: Vec<Live>,
    /// Which file has the path was last known for sure then; files that had it later may have been missed.
    known_at: SystemTime,
    /// The path has had the same file for two looks.
    is_settled: bool,
}

struct Live {
    saved: Generation,
    file: File,
    /// Its size when nothing more could be read from it, and since when.
    rested: Option<(u64, Instant)>,
}

/// What one look at a followed path found.
struct Portion {
    path: String,
    generation: usize,
    records: Vec<Bytes>,
    cut: Cut,
    /// The window ended where the checkpoint says that a record ends.
    at_cut: bool,
}

impl Follower {
    pub(super) fn open(config: Config, spool: Spool) -> Result<Follower, ReceiveError> {
        let pattern = |text: &String| {
            glob::Pattern::new(text)
                .map_err(|error| ReceiveError::Pattern { pattern: text.clone(), reason: error.to_string() })
        };
        let globs = config.patterns.iter().map(|configured| pattern(&configured.glob)).collect::<Result<_, _>>()?;
        let exclude = config.exclude.iter().map(pattern).collect::<Result<_, _>>()?;
        let checkpoint = state_file::load(&config.checkpoint)?.unwrap_or_default();
        let record_bytes = config.record_bytes.max(1);
        let mut follower = Follower {
            config,
            spool,
            globs,
            exclude,
            checkpoint,
            followed: BTreeMap::new(),
            complained: BTreeSet::new(),
            record_bytes,
            scanned: None,
            unsaved: false,
        };
        follower.resume();
        Ok(follower)
    }

    pub(super) fn run(&mut self, shutdown: &CancellationToken) -> Result<(), ReceiveError> {
        while !shutdown.is_cancelled() {
            self.look(shutdown)?;
            let until = Instant::now() + self.config.poll;
            while !shutdown.is_cancelled() && Instant::now() < until {
                thread::sleep(NAP.min(self.config.poll));
            }
        }
        self.save()
    }

    /// One poll: everything that can be read now.
    fn look(&mut self, shutdown: &CancellationToken) -> Result<(), ReceiveError> {
        // Rotations first: a file that was rotated away belongs to the path it had, even where its new name matches.
        let paths: Vec<String> = self.followed.keys().cloned().collect();
        for path in &paths {
            self.notice_changes(path);
        }
        if self.scanned.is_none_or(|scanned| scanned.elapsed() >= self.config.rescan) {
            self.scan();
            self.scanned = Some(Instant::now());
        }
        let paths: Vec<String> = self.followed.keys().cloned().collect();
        for _ in 0..MAX_ROUNDS {
            if shutdown.is_cancelled() || !self.round()? {
                break;
            }
        }
        for path in &paths {
            self.close_finished(path);
        }
        self.save()
    }

    // ---- which files there are ----

    /// Takes up the files of the checkpoint, wherever they are now.
    fn resume(&mut self) {
        // Which files have which paths is saved before anything is read from them.
        let known_at = fs::metadata(&self.config.checkpoint)
            .and_then(|metadata| metadata.modified())
            .unwrap_or_else(|_| SystemTime::now());
        let entries: Vec<(String, Entry)> =
            self.checkpoint.files.iter().map(|(path, entry)| (path.clone(), entry.clone())).collect();
        for (path, entry) in entries {
            let Some(pattern) = self.pattern_of(Path::new(&path)) else { continue };
            let Some(source) = self.source(&path, pattern) else { continue };
            let mut generations = Vec::new();
            for saved in entry.generations {
                match find(Path::new(&path), &saved) {
                    Some(file) => generations.push(Live { saved, file, rested: None }),
                    None => tracing::warn!(
                        %path, offset = saved.offset,
                        "a log file that was being followed is gone, replaced or compressed; what it got after this offset was not read"
                    ),
                }
            }
            let in_spool = self.stored(&source);
            let is_reading = generations.iter().any(|live| Some(live.saved.id) == entry.reading);
            if in_spool < entry.stored {
                tracing::warn!(%path, in_spool, entry.stored, "the spool holds fewer records of this file than its checkpoint says; going on at the checkpoint's offset");
            }
            let replay = if is_reading { in_spool.saturating_sub(entry.stored) } else { 0 };
            let stored = in_spool - replay;
            let reading = entry.reading;
            self.followed.insert(
                path,
                Followed { source, pattern, stored, replay, reading, generations, known_at, is_settled: true },
            );
        }
    }

    /// Matches the patterns against the file system.
    fn scan(&mut self) {
        for number in 0..self.config.patterns.len() {
            let glob = self.config.patterns[number].glob.clone();
            let is_first = !self.checkpoint.patterns.contains(&glob);
            let paths = match glob::glob(&glob) {
                Ok(paths) => paths,
                Err(error) => {
                    self.complain(&glob, &format!("pattern cannot be matched: {error}"));
                    continue;
                }
            };
            for path in paths {
                match path {
                    Ok(path) => self.consider(&path, number, is_first),
                    Err(error) => {
                        let path = error.path().display().to_string();
                        self.complain(&path, &format!("cannot be listed: {}", error.error()));
                    }
                }
            }
            if is_first {
                self.checkpoint.patterns.push(glob);
                self.unsaved = true;
            }
        }
    }

    /// Takes up a path that matched, unless it is followed already or should not be.
    fn consider(&mut self, path: &Path, pattern: usize, is_first_scan: bool) {
        let Some(name) = path.to_str() else {
            return self.complain(&path.to_string_lossy(), "is not followed: its name is not UTF-8");
        };
        if self.followed.contains_key(name) || self.pattern_of(path) != Some(pattern) {
            return;
        }
        let known_at = SystemTime::now();
        let (file, metadata) = match open_regular(path) {
            Ok(Some(opened)) => opened,
            Ok(None) => return,
            Err(error) => return self.complain(name, &format!("cannot be opened: {error}")),
        };
        let id = FileId::of(&metadata);
        if self.is_known(id, &file) || self.is_missed_rotation(path, id, &file) {
            return;
        }
        if self.followed.len() >= self.config.max_files {
            return self.complain(name, "is not followed: the limit of files to follow is reached");
        }
        let Some(source) = self.source(name, pattern) else { return };
        let offset = match (self.config.patterns[pattern].start, is_first_scan) {
            (Start::End, true) => last_line_end(&file, metadata.len()),
            _ => 0,
        };
        let generation = match new_generation(id, &file, offset) {
            Ok(generation) => generation,
            Err(error) => return self.complain(name, &format!("cannot be read: {error}")),
        };
        let stored = self.stored(&source);
        tracing::info!(path = name, offset, "following a log file");
        let generations = vec![Live { saved: generation, file, rested: None }];
        self.followed.insert(
            name.to_owned(),
            Followed { source, pattern, stored, replay: 0, reading: None, generations, known_at, is_settled: true },
        );
        self.unsaved = true;
    }

    /// Rotation: another file has the path. Truncation: the same file begins anew.
    fn notice_changes(&mut self, path: &str) {
        let now = SystemTime::now();
        let Ok(metadata) = fs::metadata(path) else {
            // Rotated away, and its successor, if there was one, too.
            return self.take_up_missed(path, None);
        };
        let id = FileId::of(&metadata);
        let Some(followed) = self.followed.get_mut(path) else { return };
        if followed.generations.last().is_none_or(|live| live.saved.id != id) {
            // It may be an older one that got its name back.
            if followed.generations.iter().any(|live| live.saved.id == id) {
                return;
            }
            let opened = open_regular(Path::new(path)).and_then(|opened| {
                let Some((file, metadata)) = opened else { return Ok(None) };
                let generation = new_generation(FileId::of(&metadata), &file, 0)?;
                Ok(Some(Live { saved: generation, file, rested: None }))
            });
            match opened {
                Ok(Some(live)) => {
                    tracing::info!(path, "the log file was rotated");
                    let current = live.saved.id;
                    followed.generations.push(live);
                    followed.is_settled = false;
                    self.unsaved = true;
                    self.take_up_missed(path, Some(current));
                }
                Ok(None) => {}
                Err(error) => self.complain(path, &format!("cannot be opened: {error}")),
            }
            return;
        }
        if !std::mem::replace(&mut followed.is_settled, true) {
            // Names that moved while they were listed stand still now.
            self.take_up_missed(path, Some(id));
        }
        let Some(followed) = self.followed.get_mut(path) else { return };
        followed.known_at = now;
        let Some(live) = followed.generations.last_mut() else { return };
        let size = metadata.len();
        if live.rested.is_some_and(|(rested, _)| rested == size) {
            return;
        }
        let is_same = size >= live.saved.offset && live.saved.fingerprint.matches(&live.file).unwrap_or(true);
        if !is_same {
            tracing::info!(
                path,
                size,
                offset = live.saved.offset,
                "the log file was truncated; reading from its beginning"
            );
            live.saved.offset = 0;
            live.saved.skipping = false;
            live.saved.cut_at = None;
            live.rested = None;
            if followed.reading == Some(id) {
                followed.stored += std::mem::take(&mut followed.replay);
            }
        }
        if (!is_same || live.saved.fingerprint.can_grow())
            && let Ok(fingerprint) = Fingerprint::of(&live.file)
            && fingerprint != live.saved.fingerprint
        {
            live.saved.fingerprint = fingerprint;
            self.unsaved = true;
        }
    }

    /// Takes up, before the file that has the path now, those that had it since it was last looked at in peace and
    /// were rotated away again.
    fn take_up_missed(&mut self, path: &str, current: Option<FileId>) {
        let Some(followed) = self.followed.get(path) else { return };
        if followed.generations.iter().all(|live| Some(live.saved.id) == current) {
            // Nothing is left that tells what was read of the others.
            return;
        }
        let missed = rotated::rotated(Path::new(path), followed.known_at, |id, file| {
            self.is_known(id, file) || self.is_copy_of_deleted(path, file)
        });
        for Rotated { id, file, .. } in missed {
            let saved = match new_generation(id, &file, 0) {
                Ok(saved) => saved,
                Err(error) => {
                    self.complain(path, &format!("was rotated and cannot be read: {error}"));
                    continue;
                }
            };
            tracing::info!(path, "the log file was rotated again before it was looked at");
            let Some(followed) = self.followed.get_mut(path) else { return };
            let generations = &mut followed.generations;
            let at = generations.iter().position(|live| Some(live.saved.id) == current).unwrap_or(generations.len());
            generations.insert(at, Live { saved, file, rested: None });
            self.unsaved = true;
        }
    }

    /// Whether an unknown file has its name from a followed one, which was rotated since it was last looked at.
    fn is_missed_rotation(&mut self, path: &Path, id: FileId, file: &File) -> bool {
        let owner = self.followed.keys().find(|followed| rotated::is_rotated(Path::new(followed), path)).cloned();
        owner.is_some_and(|owner| {
            self.notice_changes(&owner);
            self.is_known(id, file)
        })
    }

    /// Some rotate by copying and deleting: the copy's lines are those of the deleted file, which is still open.
    fn is_copy_of_deleted(&self, path: &str, file: &File) -> bool {
        let generations = self.followed.get(path).map_or(&[][..], |followed| &followed.generations);
        generations.iter().any(|live| {
            let is_deleted = live.file.metadata().is_ok_and(|metadata| metadata.nlink() == 0);
            is_deleted && !live.saved.fingerprint.is_empty() && live.saved.fingerprint.matches(file).unwrap_or(false)
        })
    }

    /// Closes what was rotated away or deleted and is read to its end; forgets paths with nothing left.
    fn close_finished(&mut self, path: &str) {
        let close_after = self.config.close_after;
        let current = fs::metadata(path).ok().map(|metadata| FileId::of(&metadata));
        let Some(followed) = self.followed.get_mut(path) else { return };
        let mut finished = Vec::new();
        followed.generations.retain(|live| {
            let is_done = Some(live.saved.id) != current
                && live.rested.is_some_and(|(size, since)| size == live.saved.offset && since.elapsed() >= close_after);
            if is_done {
                finished.push(live.saved.clone());
            }
            !is_done
        });
        let is_gone = followed.generations.is_empty() && current.is_none();
        if finished.is_empty() && !is_gone {
            return;
        }
        if is_gone {
            self.followed.remove(path);
            self.checkpoint.files.remove(path);
        }
        self.checkpoint.finished.extend(finished);
        let excess = self.checkpoint.finished.len().saturating_sub(MAX_FINISHED);
        self.checkpoint.finished.drain(..excess);
        self.unsaved = true;
    }

    fn is_known(&self, id: FileId, file: &File) -> bool {
        let is_it = |known: &&Generation| known.id == id && known.fingerprint.matches(file).unwrap_or(false);
        let live = self.followed.values().flat_map(|followed| &followed.generations).map(|live| &live.saved);
        // A finished file that has grown, or whose inode another file has now, is new: twice is better than never.
        let is_unchanged = |known: &&Generation| file.metadata().is_ok_and(|metadata| metadata.len() == known.offset);
        live.into_iter().find(is_it).is_some()
            || self.checkpoint.finished.iter().filter(is_unchanged).any(|known| is_it(&known))
    }

    fn pattern_of(&self, path: &Path) -> Option<usize> {
        let is_compressed =
            path.extension().and_then(|extension| extension.to_str()).is_some_and(|it| COMPRESSED.contains(&it));
        if is_compressed || self.exclude.iter().any(|glob| glob.matches_path(path)) {
            return None;
        }
        let options = glob::MatchOptions { require_literal_separator: true, ..glob::MatchOptions::new() };
        self.globs.iter().position(|glob| glob.matches_path_with(path, options))
    }

    fn source(&mut self, path: &str, pattern: usize) -> Option<Arc<Source>> {
        let parser = self.config.patterns[pattern].parser.clone();
        match self.spool.source(&format!("file:{path}"), "file", parser.as_deref()) {
            Ok(source) => Some(source),
            Err(refused) => {
                self.complain(path, &format!("is not followed: {refused}"));
                None
            }
        }
    }

    fn stored(&self, source: &Source) -> u64 {
        self.spool.ledger().iter().find(|(known, _)| known.id == source.id).map_or(0, |(_, losses)| losses.stored)
    }

    fn complain(&mut self, path: &str, what: &str) {
        if self.complained.len() < 10_000 && self.complained.insert(format!("{path} {what}")) {
            tracing::warn!(path, "{what}");
        }
    }

    // ---- reading ----

    /// Takes one portion from every file that has one; false when there was none, or the spool is busy.
    fn round(&mut self) -> Result<bool, ReceiveError> {
        let paths: Vec<String> = self.followed.keys().cloned().collect();
        let portions: Vec<Portion> = paths.iter().filter_map(|path| self.portion(path)).collect();
        if portions.is_empty() {
            return Ok(false);
        }
        // Which generation is read, and where time ended a record, must be known after a crash.
        self.save()?;
        let mut is_progress = false;
        let appended: Vec<(Portion, Option<Ticket>)> =
            portions.into_iter().filter_map(|portion| self.append(portion)).collect();
        for (portion, ticket) in appended {
            is_progress |= self.conclude(portion, ticket);
        }
        self.save()?;
        Ok(is_progress)
    }

    /// The next portion of a path: from its oldest generation that has one, and while records are being
    /// skipped, from the one they came from.
    fn portion(&mut self, path: &str) -> Option<Portion> {
        let (limit, flush_after) = (self.record_bytes, self.config.flush_after);
        let followed = self.followed.get_mut(path)?;
        let join = self.config.patterns.get(followed.pattern).and_then(|pattern: &Pattern| pattern.multiline.as_ref());
        for (number, live) in followed.generations.iter_mut().enumerate() {
            if followed.replay > 0 && followed.reading != Some(live.saved.id) {
                continue;
            }
            let size = live.file.metadata().map_or(live.saved.offset, |metadata| metadata.len());
            let unread = size.saturating_sub(live.saved.offset);
            match live.rested {
                Some((rested, since)) if rested == size => {
                    if unread == 0 || since.elapsed() < flush_after {
                        continue;
                    }
                    live.saved.cut_at = Some(size);
                    self.unsaved = true;
                }
                _ if unread == 0 => {
                    live.rested = Some((size, Instant::now()));
                    continue;
                }
                _ => live.rested = None,
            }
            let cut_at = live.saved.cut_at.filter(|at| *at > live.saved.offset);
            let wanted = WINDOW.max(smallest_window(limit)) as u64;
            let end = size.min(live.saved.offset + wanted).min(cut_at.unwrap_or(u64::MAX));
            let window = match read(&live.file, live.saved.offset, (end - live.saved.offset) as usize) {
                Ok(window) => Bytes::from(window),
                Err(error) => {
                    self.complain(path, &format!("cannot be read: {error}"));
                    return None;
                }
            };
            let at_cut = cut_at == Some(live.saved.offset + window.len() as u64);
            let cut = cut(&window, live.saved.skipping, at_cut, limit, join);
            if cut.consumed == 0 {
                live.rested = Some((size, Instant::now()));
                continue;
            }
            if followed.reading != Some(live.saved.id) {
                followed.reading = Some(live.saved.id);
                self.unsaved = true;
            }
            let records = cut.records.iter().map(|range| window.slice(range.clone())).collect();
            return Some(Portion { path: path.to_owned(), generation: number, records, cut, at_cut });
        }
        // The generation that the spool's records came from has nothing (more) to skip.
        if followed.replay > 0 {
            tracing::warn!(
                path,
                records = followed.replay,
                "records of this file that the spool holds are no longer at the checkpoint's offset"
            );
            followed.stored += std::mem::take(&mut followed.replay);
        }
        None
    }

    /// Hands a portion over; `None` when it has to be tried again later.
    fn append(&mut self, mut portion: Portion) -> Option<(Portion, Option<Ticket>)> {
        let followed = self.followed.get_mut(&portion.path)?;
        let known = usize::try_from(followed.replay).unwrap_or(usize::MAX).min(portion.records.len());
        portion.records.drain(..known);
        followed.replay -= known as u64;
        followed.stored += known as u64;
        if portion.records.is_empty() {
            return Some((portion, None));
        }
        match self.spool.append(&followed.source, portion.records.clone()) {
            Ok(ticket) => Some((portion, Some(ticket))),
            Err(refused) => {
                followed.replay += known as u64;
                followed.stored -= known as u64;
                if refused.reason == Reason::TooLarge {
                    let longest = portion.records.iter().map(Bytes::len).max().unwrap_or(1);
                    self.record_bytes = longest.saturating_sub(1).max(1);
                    tracing::warn!(limit = self.record_bytes, %refused, "the spool's record limit is below the file receiver's; using a smaller one");
                } else {
                    self.config.counters.waits.add(1);
                }
                None
            }
        }
    }

    /// Advances the offset once the portion is durable; tells whether it is.
    fn conclude(&mut self, portion: Portion, ticket: Option<Ticket>) -> bool {
        let receipt = match ticket.map(Ticket::wait_blocking) {
            None => None,
            Some(Ok(receipt)) => Some(receipt),
            Some(Err(refused)) => {
                tracing::warn!(path = portion.path, %refused, "records of a file were not stored; trying again");
                return false;
            }
        };
        let Some(followed) = self.followed.get_mut(&portion.path) else { return false };
        if let Some(receipt) = receipt {
            followed.stored = receipt.first_seq + receipt.count as u64;
            self.config.counters.records.add(receipt.count as u64);
            self.config.counters.bytes.add(portion.records.iter().map(|record| record.len() as u64).sum());
        }
        if portion.cut.too_long > 0 {
            self.spool.refuse(&followed.source, Reason::TooLarge, portion.cut.too_long);
        }
        if let Some(live) = followed.generations.get_mut(portion.generation) {
            live.saved.offset += portion.cut.consumed as u64;
            live.saved.skipping = portion.cut.skipping;
            if portion.at_cut {
                live.saved.cut_at = None;
            }
        }
        self.unsaved = true;
        true
    }

    fn save(&mut self) -> Result<(), ReceiveError> {
        if !self.unsaved {
            return Ok(());
        }
        for (path, followed) in &self.followed {
            let generations = followed.generations.iter().map(|live| live.saved.clone()).collect();
            let entry = Entry { stored: followed.stored, reading: followed.reading, generations };
            self.checkpoint.files.insert(path.clone(), entry);
        }
        state_file::save(&self.config.checkpoint, &self.checkpoint)?;
        self.unsaved = false;
        Ok(())
    }
}

fn new_generation(id: FileId, file: &File, offset: u64) -> io::Result<Generation> {
    Ok(Generation { id, fingerprint: Fingerprint::of(file)?, offset, skipping: false, cut_at: None })
}

/// Opens a regular file; `None` for folders, pipes, devices and compressed content.
pub(super) fn open_regular(path: &Path) -> io::Result<Option<(File, fs::Metadata)>> {
    if !fs::metadata(path)?.is_file() {
        return Ok(None);
    }
    // Should it have become a pipe meanwhile, opening must not hang.
    let no_block = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or(0);
    let file = OpenOptions::new().read(true).custom_flags(no_block).open(path)?;
    let metadata = file.metadata()?;
    let mut magic = [0; 6];
    let filled = file.read_at(&mut magic, 0)?;
    let is_compressed = [&[0x1f, 0x8b][..], &[0x28, 0xb5, 0x2f, 0xfd], &[0xfd, b'7', b'z', b'X', b'Z', 0], b"BZh"]
        .iter()
        .any(|known| magic[..filled].starts_with(known));
    Ok((metadata.is_file() && !is_compressed).then_some((file, metadata)))
}

/// The generation's file: under its path, or, when it was renamed, beside it.
fn find(path: &Path, generation: &Generation) -> Option<File> {
    let is_it = |path: &Path| {
        let (file, metadata) = open_regular(path).ok()??;
        let is_same = FileId::of(&metadata) == generation.id
            && metadata.len() >= generation.offset
            && generation.fingerprint.matches(&file).ok()?;
        is_same.then_some(file)
    };
    is_it(path).or_else(|| {
        let beside: Vec<PathBuf> =
            fs::read_dir(path.parent()?).ok()?.filter_map(|entry| Some(entry.ok()?.path())).collect();
        beside.iter().find_map(|path| is_it(path))
    })
}

/// Where the last complete line ends.
fn last_line_end(file: &File, size: u64) -> u64 {
    let start = size.saturating_sub(WINDOW as u64);
    match read(file, start, (size - start) as usize) {
        Ok(tail) => memchr::memrchr(b'\n', &tail).map_or(size, |at| start + at as u64 + 1),
        Err(_) => size,
    }
}

fn read(file: &File, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut window = vec![0; length];
    let mut filled = 0;
    while filled < length {
        match file.read_at(&mut window[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    window.truncate(filled);
    Ok(window)
}
