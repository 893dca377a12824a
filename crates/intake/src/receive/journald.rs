//! The systemd journal, followed through `journalctl -o json -f`.
//!
//! Each JSON line is one record of source `journald:local`. The checkpoint keeps the cursor of the last
//! stored entry with the number of records that the spool held then; after a crash the difference to the
//! spool's number says how many entries after the cursor are stored already, and these are skipped.

use std::{
    io,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader},
    process::{Child, Command},
};
use tokio_util::sync::CancellationToken;
use vedette_event::{Reason, Source};
use vedette_spool::Spool;

use super::{
    Counters, ReceiveError,
    deliver::{Left, MAX_PORTION, store_patiently},
    files::Start,
    lines::{Line, Lines},
    state_file,
};

/// Where a journal is kept, when one is.
const JOURNALS: [&str; 2] = ["/run/log/journal", "/var/log/journal"];
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A child that lived this long was well.
const WELL: Duration = Duration::from_secs(30);
const READ: usize = 64 << 10;

/// How the journal is followed.
#[derive(Clone, Debug)]
pub struct Config {
    /// The `journalctl` to run.
    pub program: PathBuf,
    /// The checkpoint file, within the data folder.
    pub checkpoint: PathBuf,
    /// Where to begin without a checkpoint.
    pub start: Start,
    /// The longest entry.
    pub record_bytes: usize,
    /// The parser to use; otherwise parsers are chosen by content.
    pub parser: Option<String>,
    /// Where to count.
    pub counters: Arc<Counters>,
}

impl Config {
    /// The system's `journalctl`, from now on.
    pub fn new(checkpoint: impl Into<PathBuf>) -> Self {
        Config {
            program: PathBuf::from("journalctl"),
            checkpoint: checkpoint.into(),
            start: Start::End,
            record_bytes: 1 << 20,
            parser: None,
            counters: Arc::default(),
        }
    }
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Checkpoint {
    /// Of the last entry that is stored.
    cursor: Option<String>,
    /// Records of the source that the spool held then.
    stored: u64,
}

/// Only what is needed of an entry.
#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "__CURSOR")]
    cursor: String,
}

/// A follower that is ready to run.
pub struct JournalReceiver {
    config: Config,
    spool: Spool,
    source: Arc<Source>,
    checkpoint: Checkpoint,
    /// Entries after the cursor that the spool holds already.
    replay: u64,
}

/// Whether this machine keeps a journal that can be read; if not, why.
///
/// # Errors
/// The reason, for people.
pub fn available() -> Result<(), String> {
    match JOURNALS.iter().any(|folder| Path::new(folder).is_dir()) {
        true => Ok(()),
        false => {
            Err(format!("neither {} nor {} exists, so systemd-journald does not run here", JOURNALS[0], JOURNALS[1]))
        }
    }
}

/// Reads the checkpoint.
///
/// # Errors
/// When the checkpoint cannot be read or the spool takes no further source.
pub fn open(config: Config, spool: Spool) -> Result<JournalReceiver, ReceiveError> {
    let name = "journald:local";
    let source = spool
        .source(name, "journald", config.parser.as_deref())
        .map_err(|refused| ReceiveError::Source { name: name.to_owned(), refused })?;
    let mut checkpoint: Checkpoint = state_file::load(&config.checkpoint)?.unwrap_or_default();
    let in_spool = spool.ledger().iter().find(|(known, _)| known.id == source.id).map_or(0, |(_, it)| it.stored);
    let mut replay = in_spool.saturating_sub(checkpoint.stored);
    if checkpoint.cursor.is_none() {
        // Without a cursor there is no place that the spool's records could be counted from.
        (checkpoint.stored, replay) = (in_spool, 0);
    }
    checkpoint.stored = checkpoint.stored.min(in_spool);
    Ok(JournalReceiver { config, spool, source, checkpoint, replay })
}

impl JournalReceiver {
    /// Follows the journal until shutdown; a `journalctl` that ends is started again, ever more slowly.
    ///
    /// # Errors
    /// When there is no `journalctl`, or the checkpoint cannot be written.
    pub async fn run(mut self, shutdown: CancellationToken) -> Result<(), ReceiveError> {
        let mut pause = FIRST_PAUSE;
        let mut last_complaint = String::new();
        while !shutdown.is_cancelled() {
            let began = tokio::time::Instant::now();
            let mut child = match self.command().spawn() {
                Ok(child) => child,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Err(ReceiveError::NoJournal(format!("{} is not installed", self.config.program.display())));
                }
                Err(error) => {
                    return Err(ReceiveError::NoJournal(format!(
                        "{} cannot be run: {error}",
                        self.config.program.display()
                    )));
                }
            };
            let complaint = self.follow(&mut child, &shutdown).await?;
            if child.kill().await.is_err() {
                tracing::debug!("journalctl had ended");
            }
            if shutdown.is_cancelled() {
                break;
            }
            if complaint != last_complaint {
                tracing::warn!(complaint, "journalctl ended; starting it again");
                last_complaint = complaint;
            }
            pause = if began.elapsed() >= WELL { FIRST_PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = shutdown.cancelled() => {}
            }
        }
        Ok(())
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.config.program);
        // Without `--all` a field of more than 4 KiB is shown as null.
        command.args(["--output=json", "--all", "--follow", "--no-pager", "--quiet"]);
        match (&self.checkpoint.cursor, self.config.start) {
            (Some(cursor), _) => command.arg("--no-tail").arg(format!("--after-cursor={cursor}")),
            (None, Start::Beginning) => command.arg("--no-tail"),
            // The last entry there is gives the first cursor.
            (None, Start::End) => command.arg("--lines=1"),
        };
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    /// Reads until the child ends or shutdown; returns the child's last words.
    async fn follow(&mut self, child: &mut Child, shutdown: &CancellationToken) -> Result<String, ReceiveError> {
        let (Some(mut stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Ok("no pipe to it".to_owned());
        };
        let last_words = tokio::spawn(last_line(stderr));
        let mut lines = Lines::new(self.config.record_bytes);
        let mut buffer = Vec::with_capacity(READ);
        loop {
            buffer.clear();
            let read = tokio::select! {
                biased;
                () = shutdown.cancelled() => return Ok(String::new()),
                read = stdout.read_buf(&mut buffer) => read,
            };
            if !matches!(read, Ok(count) if count > 0) {
                break;
            }
            let mut entries = Vec::new();
            let mut too_long = 0;
            let Ok(()) = lines.push(&buffer, |line| {
                match line {
                    Line::Whole([]) => {}
                    Line::Whole(line) => entries.push(Bytes::copy_from_slice(line)),
                    Line::TooLong => too_long += 1,
                }
                Ok::<(), std::convert::Infallible>(())
            });
            if too_long > 0 {
                self.spool.refuse(&self.source, Reason::TooLarge, too_long);
            }
            for portion in entries.chunks(MAX_PORTION) {
                if !self.store(portion, shutdown).await? {
                    return Ok(String::new());
                }
            }
        }
        Ok(last_words.await.unwrap_or_default())
    }

    /// Stores entries and then remembers the last one's cursor; false when shutdown came first.
    async fn store(&mut self, entries: &[Bytes], shutdown: &CancellationToken) -> Result<bool, ReceiveError> {
        let mut cursor = None;
        let mut records = Vec::with_capacity(entries.len());
        for entry in entries {
            match serde_json::from_slice::<Entry>(entry) {
                Ok(parsed) => {
                    cursor = Some(parsed.cursor);
                    records.push(entry.clone());
                }
                Err(_) => self.spool.refuse(&self.source, Reason::Malformed, 1),
            }
        }
        let known = usize::try_from(self.replay).unwrap_or(usize::MAX).min(records.len());
        records.drain(..known);
        let count = records.len() as u64;
        let counters = &self.config.counters;
        if count > 0 && !store_patiently(&self.spool, &self.source, records, counters, Left::WithSender, shutdown).await
        {
            return Ok(false);
        }
        self.replay -= known as u64;
        self.checkpoint.stored += known as u64 + count;
        if let Some(cursor) = cursor {
            self.checkpoint.cursor = Some(cursor);
            let (path, checkpoint) = (self.config.checkpoint.clone(), self.checkpoint.clone());
            tokio::task::spawn_blocking(move || state_file::save(&path, &checkpoint))
                .await
                .unwrap_or(Err(ReceiveError::Stopped("journald")))?;
        }
        Ok(true)
    }
}

/// The last line of a child's complaints, at most 1 KiB of it.
async fn last_line(stderr: impl AsyncRead + Unpin) -> String {
    let mut reader = BufReader::new(stderr);
    let mut last = String::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut reader).take(4096).read_until(b'\n', &mut line).await {
            Ok(count) if count > 0 => {
                let text = String::from_utf8_lossy(&line);
                let text = text.trim();
                if !text.is_empty() {
                    last = text.chars().take(1024).collect();
                }
            }
            _ => return last,
        }
    }
}
