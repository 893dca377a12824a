//! The process that has the ledger's keys: its start, its end, and its next start.

use std::{
    collections::VecDeque,
    io::{self, Read, Write},
    os::{fd::OwnedFd, unix::net::UnixStream, unix::process::CommandExt},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use vedette_ledger::LedgerError;

/// A sealer that does not answer for so long is ended; its disk may be slow.
const PATIENCE: Duration = Duration::from_secs(60);
/// From one start to the next. It doubles with each of them.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Whoever ran for so long is started again at once.
const STEADY: Duration = Duration::from_secs(60);

/// A running sealer, with the stream to it. It ends with this.
pub struct SealerProcess {
    child: Child,
    stream: UnixStream,
    /// Where it is noted how it ended.
    ended: Arc<Mutex<Option<String>>>,
}

impl Read for SealerProcess {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buf)
    }
}

impl Write for SealerProcess {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.stream.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl Drop for SealerProcess {
    fn drop(&mut self) {
        // What it signed is on disk, and nothing else of it matters. One that has ended already keeps its status.
        let ended = self.child.kill().and_then(|()| self.child.wait());
        let how = ended.map_or_else(|error| format!("it cannot be ended: {error}"), |status| status.to_string());
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(how);
    }
}

/// Starts sealers, each after the one before has ended, and not too often.
pub struct Starter {
    keys: PathBuf,
    origin: String,
    news: News,
    ended: Arc<Mutex<Option<String>>>,
    /// When the last one was started; none once its end is noted.
    running: Option<Instant>,
    /// No start before.
    due: Instant,
    pause: Duration,
    how: String,
}

impl Starter {
    /// For the keys in a folder; if there are none, they are made for a log with the name `origin`.
    pub fn new(keys: PathBuf, origin: String, news: News) -> Starter {
        Starter {
            keys,
            origin,
            news,
            ended: Arc::default(),
            running: None,
            due: Instant::now(),
            pause: FIRST_PAUSE,
            how: String::new(),
        }
    }

    /// Starts one, if it is time. The one before must have been dropped.
    ///
    /// # Errors
    /// It is not time yet, or the process does not start.
    pub fn start(&mut self) -> Result<SealerProcess, LedgerError> {
        let is_first = self.running.is_none() && self.how.is_empty();
        if let Some(since) = self.running.take() {
            let how = self.ended.lock().unwrap_or_else(PoisonError::into_inner).take();
            self.how = how.unwrap_or_else(|| "nobody knows how".into());
            tracing::error!("the sealer has ended ({}); it is started again", self.how);
            self.news.add("sealer.end", vec![("status", self.how.clone())]);
            if since.elapsed() >= STEADY {
                self.pause = FIRST_PAUSE;
            }
        }
        if Instant::now() < self.due {
            let what = format!("its process has ended ({}) and is not started again yet", self.how);
            return Err(LedgerError::SealerGone(what));
        }
        self.due = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        let process = self.spawn().map_err(|error| {
            self.how = format!("it cannot be started: {error}");
            LedgerError::SealerGone(self.how.clone())
        })?;
        self.running = Some(Instant::now());
        if !is_first {
            tracing::info!(pid = process.child.id(), "the sealer is started again");
            self.news.add("sealer.start", vec![("pid", process.child.id().to_string())]);
        }
        Ok(process)
    }

    fn spawn(&self) -> io::Result<SealerProcess> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_read_timeout(Some(PATIENCE))?;
        ours.set_write_timeout(Some(PATIENCE))?;
        let mut command = Command::new("/proc/self/exe");
        command.arg("sealer").arg("--keys").arg(&self.keys).arg("--origin").arg(&self.origin);
        command.env_clear().stdin(OwnedFd::from(theirs)).stdout(Stdio::null());
        // Of its own group: an interrupt from the terminal is for the monitor.
        let child = command.process_group(0).spawn()?;
        Ok(SealerProcess { child, stream: ours, ended: self.ended.clone() })
    }
}

/// What happened to the sealer and is to be journalled. Whoever notices it holds the ledger, and must not wait for the spool.
#[derive(Clone, Default)]
pub struct News(Arc<Mutex<VecDeque<Told>>>);

/// An own action: what, and details by name.
type Told = (&'static str, Vec<(&'static str, String)>);

impl News {
    fn add(&self, what: &'static str, details: Vec<(&'static str, String)>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back((what, details));
    }

    /// Tells everything, oldest first, until there is an error.
    ///
    /// # Errors
    /// That of `tell`; what was not told stays.
    pub fn tell<E>(&self, mut tell: impl FnMut(Told) -> Result<(), E>) -> Result<(), E> {
        let news = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            // Not locked while it is told.
            let Some(oldest) = news().front().cloned() else { return Ok(()) };
            tell(oldest)?;
            news().pop_front();
        }
    }
}
