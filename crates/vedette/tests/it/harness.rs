//! A running `vedette up` in a temporary folder, and what tests need around it.

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

/// How long anything in a test may take before it has failed. A limit, not a wait.
pub const PATIENCE: Duration = Duration::from_secs(120);

pub const RECEIVERS: &str = r#"
console: {listen: "127.0.0.1:0"}
receivers:
  journald: off
  local_files: false
  syslog:
    - {transport: udp, listen: "127.0.0.1:0"}
    - {transport: tcp, listen: "127.0.0.1:0"}
  http:
    - {listen: "127.0.0.1:0"}
  relp: [{listen: "127.0.0.1:0"}]
  otlp_grpc: [{listen: "127.0.0.1:0"}]
  lumberjack: [{listen: "127.0.0.1:0"}]
  fluent: [{listen: "127.0.0.1:0"}]
  gelf:
    - {transport: udp, listen: "127.0.0.1:0"}
    - {transport: tcp, listen: "127.0.0.1:0"}
"#;

/// The binary under test.
pub fn vedette() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vedette"));
    command.env_remove("VEDETTE_DATA_DIR").stdin(Stdio::null());
    command
}

/// Runs the binary to its end.
pub fn run(arguments: &[&str]) -> Output {
    vedette().args(arguments).output().expect("the binary starts")
}

/// Standard output as text, checked for the exit code.
pub fn stdout(output: &Output, code: i32) -> String {
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(code), "stdout: {out}\nstderr: {}", String::from_utf8_lossy(&output.stderr));
    out
}

/// A program of others must end well.
pub fn must(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// JSON lines.
pub fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// The project's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the crate lies in the project")
}

/// The public data sets, if they are there.
pub fn data(name: &str) -> Option<PathBuf> {
    let base = std::env::var_os("VEDETTE_DATA").map_or_else(|| root().join("../shared/data"), PathBuf::from);
    let path = base.join(name);
    if path.exists() {
        return Some(path);
    }
    eprintln!("skipped: {} is not there", path.display());
    None
}

/// An archive of the public data sets, unpacked once below the target folder.
pub fn unpacked(archive: &str) -> Option<PathBuf> {
    let archive = data(archive)?;
    let name = archive.file_name()?.to_string_lossy().replace(".tar.xz", "");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("data").join(&name);
    if !target.exists() {
        let half = target.with_extension(format!("{}.half", std::process::id()));
        std::fs::create_dir_all(&half).expect("the target folder is writable");
        let done = Command::new("tar").arg("xJf").arg(&archive).arg("-C").arg(&half).status().expect("tar runs");
        assert!(done.success(), "cannot unpack {}", archive.display());
        // Another test may have been faster; then its copy stays.
        if std::fs::rename(&half, &target).is_err() {
            std::fs::remove_dir_all(&half).expect("our own copy can go");
        }
    }
    Some(target)
}

/// Leaves Vedette's own events out: a hunt is journalled, and would find its own text.
pub const OTHERS: &str = "-event.module:vedette";

/// A running `vedette up`.
pub struct Running {
    child: Child,
    /// Lines that it printed before it was ready: `listening <receiver> <address>`, `console <url>`, …
    pub lines: Vec<String>,
    /// The folder with its data and configuration.
    pub folder: PathBuf,
}

impl Running {
    /// Starts in `folder` with a configuration; waits until it says `ready`.
    pub fn start(folder: &Path, config: &str) -> Running {
        Running::start_as(vedette(), folder, config)
    }

    /// The same with a command of one's own that runs the binary: in another namespace, with another clock.
    pub fn start_as(mut command: Command, folder: &Path, config: &str) -> Running {
        let file = folder.join("vedette.yml");
        std::fs::write(&file, config).expect("the folder is writable");
        let log = std::fs::File::options().create(true).append(true).open(folder.join("log")).expect("a log file");
        let mut child = command
            .arg("up")
            .arg("--config")
            .arg(&file)
            .arg("--data")
            .arg(folder.join("data"))
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the binary starts");
        let (sender, receiver) = mpsc::channel();
        let out = BufReader::new(child.stdout.take().expect("stdout is piped"));
        std::thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let mut lines = Vec::new();
        loop {
            match receiver.recv_timeout(PATIENCE) {
                Ok(line) if line == "ready" => break,
                Ok(line) => lines.push(line),
                Err(_) => {
                    let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
                    panic!("`vedette up` did not get ready; it said {lines:?}\n{log}\n{:?}", child.try_wait());
                }
            }
        }
        Running { child, lines, folder: folder.to_owned() }
    }

    /// The address that a receiver listens on.
    pub fn address(&self, receiver: &str) -> SocketAddr {
        let prefix = format!("listening {receiver} ");
        let line = self.lines.iter().find_map(|line| line.strip_prefix(&prefix));
        line.unwrap_or_else(|| panic!("no {receiver} in {:?}", self.lines)).parse().expect("an address")
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&self) -> bool {
        // A process that nobody waited for is a zombie, state Z.
        std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))
            .is_ok_and(|stat| stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z')))
    }

    /// Its process number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// One request over the local socket: status and JSON.
    pub fn api(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let mut stream = UnixStream::connect(self.data().join("vedette.sock")).unwrap_or_else(|error| {
            let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            panic!("it does not listen on its socket: {error}\n{log}")
        });
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket option");
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: local\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).expect("it reads");
        let (status, answer) = read_answer(&mut BufReader::new(stream)).expect("an answer");
        (status, serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}")))
    }

    /// Ends it at once, as a power cut would.
    pub fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it was started here");
    }

    /// Ends it as an administrator would.
    pub fn stop(mut self) -> ExitStatus {
        let pid = self.child.id().to_string();
        Command::new("kill").arg("-TERM").arg(pid).status().expect("kill runs");
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("it was started here") {
                return status;
            }
            assert!(Instant::now() < deadline, "`vedette up` does not end on SIGTERM");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Events that a hunt finds, each as JSON.
    pub fn hunt(&self, query: &str) -> Vec<Value> {
        hunt(&self.data(), query)
    }

    /// Waits until exactly `wanted` events match.
    pub fn wait_for_count(&self, filter: &str, wanted: u64) {
        let count = self.wait_for_at_least(filter, wanted);
        assert_eq!(count, wanted, "more `{filter}` than were sent");
    }

    /// Waits until at least `wanted` events match; returns how many do.
    pub fn wait_for_at_least(&self, filter: &str, wanted: u64) -> u64 {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let count = count(&self.data(), filter);
            if count >= wanted {
                return count;
            }
            if Instant::now() > deadline {
                let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
                let sources = run(&["sources", "--data", &self.data().to_string_lossy()]);
                panic!(
                    "only {count} of {wanted} `{filter}` arrived\n{}\n{log}",
                    String::from_utf8_lossy(&sources.stdout)
                );
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Already ended by `kill` and `stop`; a failing test ends it here.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Waits until something is so.
pub fn wait_until(what: &str, so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Events that a hunt finds in a data folder.
pub fn hunt(data: &Path, query: &str) -> Vec<Value> {
    let output = run(&["hunt", query, "-o", "json", "-n", "0", "--data", &data.to_string_lossy()]);
    json_lines(&stdout(&output, 0))
}

/// Number of events that match a filter.
pub fn count(data: &Path, filter: &str) -> u64 {
    let rows = hunt(data, &format!("{filter} | summarize n=count()"));
    rows[0]["n"].as_u64().expect("a count")
}

/// A folder that is gone after the test.
pub fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// A started client that ends with the test.
pub struct Client(pub Child);

impl Client {
    /// Starts it.
    pub fn start(command: &mut Command) -> Client {
        Client(command.stdin(Stdio::null()).spawn().unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// One HTTP exchange over a new connection: status and body.
pub fn http(address: SocketAddr, request: &[u8]) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request)?;
    read_answer(&mut BufReader::new(stream))
}

/// Reads one HTTP/1.1 answer, with a length or in chunks: status and body.
pub fn read_answer(reader: &mut impl BufRead) -> std::io::Result<(u16, String)> {
    let mut line = String::new();
    let mut next = |reader: &mut dyn BufRead| -> std::io::Result<String> {
        line.clear();
        match reader.read_line(&mut line)? {
            0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(line.trim_end().to_ascii_lowercase()),
        }
    };
    let status = next(reader)?.split(' ').nth(1).and_then(|status| status.parse().ok());
    let (mut length, mut is_chunked) = (0, false);
    loop {
        let header = next(reader)?;
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().map_err(std::io::Error::other)?;
        }
        is_chunked |= header == "transfer-encoding: chunked";
        if header.is_empty() {
            break;
        }
    }
    let mut body = Vec::new();
    if is_chunked {
        loop {
            let size = usize::from_str_radix(&next(reader)?, 16).map_err(std::io::Error::other)?;
            let start = body.len();
            body.resize(start + size, 0);
            reader.read_exact(&mut body[start..])?;
            next(reader)?;
            if size == 0 {
                break;
            }
        }
    } else {
        body.resize(length, 0);
        reader.read_exact(&mut body)?;
    }
    let status = status.ok_or_else(|| std::io::Error::other("not an HTTP answer"))?;
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

/// A POST that closes its connection.
pub fn post(path: &str, kind: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nhost: vedette\r\nconnection: close\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Waits until nobody has a ledger: the sealer of a monitor that was killed ends when it notices.
pub fn wait_for_the_sealer(data: &Path) {
    wait_until("nobody has the ledger", || {
        let lock = std::fs::File::open(data.join("ledger/lock")).expect("a lock");
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockShared).is_ok()
    });
}
