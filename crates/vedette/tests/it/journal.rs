//! A real systemd-journald, in a mount namespace of its own: nothing of the host's journal is read or changed.

use std::{
    collections::HashSet,
    fs,
    os::unix::{fs::FileTypeExt, net::UnixDatagram},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::harness::{Client, OTHERS, RECEIVERS, Running, count, folder, root, vedette, wait_until};

/// Where it takes entries in its native protocol.
const SOCKET: &str = "/run/systemd/journal/socket";
/// Sent over that socket, and again by `logger`.
const RECORDS: usize = 5_000;
/// Longer than what `journalctl` shows unasked.
const LONG: usize = 20_000;

/// A namespace with a journald; it ends when dropped.
struct Journald {
    process: Client,
    folder: PathBuf,
}

impl Journald {
    /// None, with the reason printed, where namespaces are not permitted.
    fn start(folder: &Path) -> Option<Journald> {
        let permitted = Command::new("unshare").args(["--mount", "true"]).output().expect("util-linux is essential");
        if !permitted.status.success() {
            println!("skipped: no mount namespaces here: {}", String::from_utf8_lossy(&permitted.stderr));
            return None;
        }
        // Sockets and journals live in /run and /var/log/journal, which nobody outside sees.
        let script = r#"
set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/journald.conf.d /run/systemd/journal /run/log /run/journal
if [ -d /var/log/journal ]; then mount -t tmpfs tmpfs /var/log/journal; fi
cat > /run/systemd/journald.conf.d/test.conf <<END
[Journal]
Storage=volatile
RateLimitIntervalSec=0
ReadKMsg=no
Audit=
ForwardToSyslog=no
ForwardToWall=no
END
exec "$0"
"#;
        let program = [PathBuf::from("/lib/systemd/systemd-journald"), unpacked().join("lib/systemd/systemd-journald")];
        let program = program.into_iter().find(|program| program.exists()).expect("`scripts/needs test` saw to it");
        let log = fs::File::create(folder.join("journald.log")).expect("the folder is writable");
        let process = Client::start(
            Command::new("unshare")
                .args(["--mount", "--propagation", "private", "sh", "-c", script])
                .arg(program)
                .env("LD_LIBRARY_PATH", libraries())
                .stderr(Stdio::from(log)),
        );
        let journald = Journald { process, folder: folder.to_owned() };
        wait_until("journald listens", || {
            let log = fs::read_to_string(folder.join("journald.log")).unwrap_or_default();
            let socket = fs::metadata(journald.path(SOCKET));
            assert!(fs::metadata(journald.path("/")).is_ok(), "journald ended: {log}");
            socket.is_ok_and(|socket| socket.file_type().is_socket())
        });
        Some(journald)
    }

    /// A path of its namespace, from here.
    fn path(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.process.0.id()))
    }

    /// A command that runs a program there.
    fn inside(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--mount=/proc/{}/ns/mnt", self.process.0.id())).arg("--").arg(program);
        command
    }
}

/// Where `scripts/needs` unpacks a systemd that is not installed.
fn unpacked() -> PathBuf {
    root().join("target/clients/systemd")
}

/// Its libraries, and none where it is installed.
fn libraries() -> PathBuf {
    unpacked().join(format!("usr/lib/{}-linux-gnu/systemd", std::env::consts::ARCH))
}

/// An entry in journald's native protocol.
fn entry(message: &str) -> Vec<u8> {
    entry_of(message.as_bytes())
}

fn entry_of(message: &[u8]) -> Vec<u8> {
    let mut entry = b"PRIORITY=6\nSYSLOG_IDENTIFIER=native\nMESSAGE\n".to_vec();
    entry.extend_from_slice(&(message.len() as u64).to_le_bytes());
    entry.extend_from_slice(message);
    entry.push(b'\n');
    entry
}

fn send(journald: &Journald, tag: &str, numbers: std::ops::Range<usize>) {
    let socket = UnixDatagram::unbound().expect("a socket");
    for n in numbers.clone() {
        let sent = socket.send_to(&entry(&format!("journal-{tag}-native-{n:05}")), journald.path(SOCKET));
        sent.expect("journald reads");
    }
    let input = journald.folder.join("input");
    let lines: String = numbers.map(|n| format!("journal-{tag}-logger-{n:05}\n")).collect();
    fs::write(&input, lines).expect("the folder is writable");
    let mut logger = journald.inside(Path::new("logger"));
    logger.args(["--socket", "/run/systemd/journal/dev-log", "--tag", "app", "--file"]).arg(&input);
    assert!(logger.status().expect("`scripts/needs test` installed logger").success());
}

#[test]
fn journald_records_are_found_once() {
    let folder = folder();
    let Some(journald) = Journald::start(folder.path()) else { return };
    let config = RECEIVERS.replace("journald: off", "journald: on");
    let start = || {
        let path = format!("{}:{}", std::env::var("PATH").unwrap_or_default(), unpacked().join("bin").display());
        let mut command = journald.inside(Path::new(vedette().get_program()));
        command.env_remove("VEDETTE_DATA_DIR").env("PATH", path).env("LD_LIBRARY_PATH", libraries());
        Running::start_as(command, folder.path(), &config)
    };
    let running = start();
    // Without a cursor Vedette begins with what comes when it looks, not with what was there before.
    let socket = UnixDatagram::unbound().expect("a socket");
    wait_until("the journal is followed", || {
        socket.send_to(&entry("probe"), journald.path(SOCKET)).expect("journald reads");
        count(&running.data(), &format!("probe {OTHERS}")) > 0
    });
    send(&journald, "first", 0..RECORDS / 2);
    // Half-way, Vedette ends as by a power cut, and entries come meanwhile.
    running.kill();
    send(&journald, "second", RECORDS / 2..RECORDS);
    let running = start();
    running.wait_for_at_least(&format!("journal-* {OTHERS}"), 2 * RECORDS as u64);
    let mut seen = HashSet::new();
    for event in running.hunt(&format!("journal-* {OTHERS}")) {
        let original: Value = serde_json::from_str(event["event.original"].as_str().expect("text")).expect("JSON");
        let message = original["MESSAGE"].as_str().expect("text").to_owned();
        assert!(seen.insert(message.clone()), "twice: {message}");
    }
    assert_eq!(seen.len(), 2 * RECORDS);

    // What is long or not text is whole, too.
    let long = format!("longest {} farthest", "x".repeat(LONG));
    for message in [long.as_bytes(), b"binary \xff\xfe\x00 remainder"] {
        socket.send_to(&entry_of(message), journald.path(SOCKET)).expect("journald reads");
    }
    for (word, text) in [("farthest", long.as_str()), ("message:*remainder", "binary")] {
        running.wait_for_count(&format!("{word} {OTHERS}"), 1);
        let event = &running.hunt(&format!("{word} {OTHERS}"))[0];
        assert!(event["message"].as_str().expect("text").contains(text), "{word}");
    }
    assert!(running.stop().success());
}
