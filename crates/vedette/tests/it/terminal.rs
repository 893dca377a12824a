//! What people have open in a terminal all day: `tail`, `top`, `doctor`; and what a package brings: completions, man pages.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver},
    time::Duration,
};

use serde_json::Value;

use crate::harness::{
    PATIENCE, RECEIVERS, Running, folder, json_lines, must, run, stdout, vedette, wait_for_the_sealer, wait_until,
};

/// A command whose lines come as it prints them.
struct Lines {
    child: Child,
    out: Receiver<String>,
    err: Receiver<String>,
}

impl Lines {
    fn start(arguments: &[&str]) -> Lines {
        let mut child =
            vedette().args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
        let out = lines(child.stdout.take().expect("piped"));
        let err = lines(child.stderr.take().expect("piped"));
        Lines { child, out, err }
    }

    fn next(&self) -> String {
        self.out
            .recv_timeout(PATIENCE)
            .unwrap_or_else(|_| panic!("no line; it said {:?}", self.err.try_iter().collect::<Vec<_>>()))
    }

    /// Waits until it says on standard error what is wanted.
    fn wait_for(&self, wanted: &str) -> String {
        loop {
            let line = self.err.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("it did not say `{wanted}`"));
            if line.contains(wanted) {
                return line;
            }
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        BufReader::new(from).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
    });
    receiver
}

fn send(running: &Running, user: &str, count: usize) {
    let mut stream = TcpStream::connect(running.address("syslog-tcp")).expect("it listens");
    for number in 0..count {
        let line = format!(
            "<38>Nov 21 06:59:23 gate sshd[99]: Failed password for {user} from 192.0.2.7 port {number} ssh2\n"
        );
        stream.write_all(line.as_bytes()).expect("it reads");
    }
}

/// Waits until somebody follows live events: what is sent before would be no live event.
fn wait_for_watchers(running: &Running, count: u64) {
    running.wait_for_at_least("event.action:query.tail", count);
}

#[test]
fn a_tail_shows_what_arrives_and_waits_for_a_restarted_server() {
    let temporary = folder();
    let running = Running::start(temporary.path(), RECEIVERS);
    let data = running.data().display().to_string();
    let everything = Lines::start(&["tail", "-o", "json", "user.name:ada", "--data", &data]);
    let people =
        Lines::start(&["tail", "event.dataset:linux.sshd user.name:(ada or grace)", "-n", "2", "--data", &data]);
    wait_for_watchers(&running, 2);
    send(&running, "grace", 1);
    send(&running, "ada", 1);
    let event: Value = serde_json::from_str(&everything.next()).expect("JSON");
    assert_eq!((&event["user.name"], &event["source.ip"]), (&"ada".into(), &"192.0.2.7".into()));
    assert!(event["event.id"].is_string() && event["event.original"].as_str().is_some_and(|text| text.contains("ada")));
    // From two connections, so in either order; after two it ends by itself.
    let mut shown = [people.next(), people.next()];
    shown.sort_by_key(|line| line.contains("grace"));
    assert!(shown[0].contains("  gate  linux.sshd  ") && shown[0].contains("for ada from 192.0.2.7"), "{shown:?}");
    assert!(shown[1].contains("for grace"), "{shown:?}");
    let mut people = people;
    assert_eq!(people.child.wait().expect("it ends").code(), Some(0));

    running.kill();
    everything.wait_for("the server has gone");
    wait_for_the_sealer(&temporary.path().join("data"));
    let running = Running::start(temporary.path(), RECEIVERS);
    let said = everything.wait_for("the server is back");
    let since = said.split("--from ").nth(1).and_then(|rest| rest.split('`').next()).expect("what to hunt for");
    assert!(since.ends_with('Z'), "{said}");
    let found = run(&["hunt", "user.name:ada", "--from", since, "-o", "json", "--data", &data]);
    assert_eq!(found.status.code(), Some(0), "the command that is named works");
    send(&running, "ada", 1);
    let event: Value = serde_json::from_str(&everything.next()).expect("JSON");
    assert_eq!(event["user.name"], "ada");
    assert_eq!(running.stop().code(), Some(0), "an open tail does not keep the server from ending");
    everything.wait_for("the server has gone");
}

#[test]
fn a_slow_tail_is_told_what_it_did_not_show() {
    let temporary = folder();
    let running = Running::start(temporary.path(), RECEIVERS);
    let data = running.data().display().to_string();
    // More than all buffers between the two hold; no rule is about it.
    const SENT: usize = 90_000;
    const BURST: &str = "process.name:burst host.name:gate";
    // Nobody reads its standard output until the burst is over.
    let mut child = vedette()
        .args(["tail", BURST, "--data", &data])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    wait_for_watchers(&running, 1);
    let mut stream = TcpStream::connect(running.address("syslog-tcp")).expect("it listens");
    let lines_sent: String =
        (0..SENT).map(|number| format!("<38>Nov 21 06:59:23 gate burst[99]: number {number}\n")).collect();
    stream.write_all(lines_sent.as_bytes()).expect("it reads");
    running.wait_for_count(BURST, SENT as u64);
    let shown = lines(child.stdout.take().expect("piped"));
    let said = lines(child.stderr.take().expect("piped"));
    let gap = said.recv_timeout(PATIENCE).expect("it says what is missing");
    assert!(gap.contains("went by faster than they could be shown") && gap.contains("`vedette hunt`"), "{gap}");
    let mut count = 0;
    while shown.recv_timeout(Duration::from_secs(3)).is_ok() {
        count += 1;
    }
    assert!(count > 0 && count < SENT, "{count} of {SENT}");
    child.kill().expect("it runs");
    child.wait().expect("it was started here");
}

#[test]
fn a_tail_says_what_is_wrong() {
    let temporary = folder();
    let running = Running::start(temporary.path(), RECEIVERS);
    let data = running.data().display().to_string();
    let said = |arguments: &[&str], code| {
        let output = run(&[&["tail", "--data", data.as_str()], arguments].concat());
        assert_eq!(stdout(&output, code), "");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let caret = said(&["a AND (b"], 2);
    assert!(caret.contains("a AND (b\n") && caret.contains('^'), "{caret}");
    assert!(said(&["a | count"], 2).contains("without pipes"));
    assert_eq!(running.stop().code(), Some(0));
    assert!(said(&[], 3).contains("no server runs on"));
    let nowhere = run(&["tail", "--data", "/nonexistent/vedette"]);
    assert_eq!(nowhere.status.code(), Some(2));
}

#[test]
fn top_shows_rates_losses_alerts_and_rules() {
    let temporary = folder();
    let running = Running::start(temporary.path(), RECEIVERS);
    let data = running.data().display().to_string();
    send(&running, "ada", 20);
    let mut stream = TcpStream::connect(running.address("syslog-tcp")).expect("it listens");
    let accepted = "<38>Nov 21 06:59:24 gate sshd[99]: Accepted password for root from 192.0.2.7 port 4711 ssh2\n";
    stream.write_all(accepted.as_bytes()).expect("it reads");
    wait_until("there are alerts of both rules", || {
        running.api("GET", "/api/v1/alerts", "").1["total"].as_u64().is_some_and(|total| total == 2)
    });
    let frame = stdout(&run(&["top", "--once", "--data", &data]), 0);
    assert!(!frame.contains('\u{1b}'), "no escapes: {frame}");
    let line = |wanted: &str| {
        frame.lines().find(|line| line.contains(wanted)).unwrap_or_else(|| panic!("no `{wanted}` in\n{frame}"))
    };
    assert!(line("vedette 0.").contains(&data));
    let cells: Vec<&str> = line("syslog-tcp:127.0.0.1").split_whitespace().collect();
    assert_eq!(cells[1..], ["21", "0", "0", "syslog-tcp:127.0.0.1"]);
    let title = "Root logged in over SSH with a password";
    let rule: Vec<&str> =
        frame.lines().find(|line| line.ends_with(title)).expect("the rule").split_whitespace().collect();
    let (tried, hits): (u64, u64) = (rule[1].parse().expect("a count"), rule[2].parse().expect("a count"));
    assert!(hits == 1 && (1..=21).contains(&tried), "{rule:?}");
    assert!(line("alerts  ").contains("2 new (1 medium, 1 informational)"), "{frame}");
    let alert: Vec<&str> = line(&format!(": {title}")).split_whitespace().take(4).collect();
    assert_eq!(alert[1..], ["medium", "new", "1"]);
    // Without a terminal there is nothing to draw on.
    assert_eq!(run(&["top", "--data", &data]).status.code(), Some(2));
    assert_eq!(running.stop().code(), Some(0));
    assert_eq!(run(&["top", "--once", "--data", &data]).status.code(), Some(3));
}

#[test]
fn top_draws_on_a_small_terminal_and_leaves_it_as_it_was() {
    let temporary = folder();
    let running = Running::start(temporary.path(), RECEIVERS);
    let data = running.data().display().to_string();
    // Python's standard library has pseudo terminals; the program in it is the one under test.
    let program = r#"
import fcntl, os, pty, select, struct, sys, termios, time
pid, fd = pty.fork()
if pid == 0:
    os.environ['TERM'] = 'xterm'
    os.execv(sys.argv[1], [sys.argv[1], 'top', '--data', sys.argv[2]])
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', 24, 80, 0, 0))
before, seen, keys = termios.tcgetattr(fd), b'', [(b'[1 overview]', b'\t'), (b'[2 sources]', b'\x1b[C'), (b'[2 sources]', b'5'), (b'[5 health]', b'q')]
deadline, mark = time.time() + 100, 0
while time.time() < deadline:
    if select.select([fd], [], [], 0.2)[0]:
        try: read = os.read(fd, 65536)
        except OSError: break
        if not read: break
        seen += read
    if keys and keys[0][0] in seen[mark:]:
        mark = len(seen)
        os.write(fd, keys.pop(0)[1])
_, status = os.waitpid(pid, 0)
sys.stdout.buffer.write(seen)
sys.exit(os.waitstatus_to_exitcode(status) or (1 if keys else 0))
"#;
    let output = Command::new("python3")
        .args(["-c", program, env!("CARGO_BIN_EXE_vedette"), &data])
        .output()
        .expect("python3 is installed");
    let drawn = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{:?}\n{drawn}", output.status);
    assert!(drawn.contains("\u{1b}[?1049h") && drawn.trim_end().ends_with("\u{1b}[?1049l"), "{drawn}");
    // No frame scrolls: between two homes there are at most 24 lines.
    for frame in drawn.split("\u{1b}[H").skip(1) {
        assert!(frame.matches("\r\n").count() < 24, "{frame}");
    }
}

#[test]
fn the_doctor_finds_what_stands_in_the_way() {
    let temporary = folder();
    let data = temporary.path().join("data").display().to_string();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("bound").port();
    let config = temporary.path().join("vedette.yml").display().to_string();
    let receivers =
        format!("receivers:\n  journald: off\n  syslog: []\n  http: []\n  relp: [{{listen: '127.0.0.1:{port}'}}]\n");
    fs::write(&config, format!("console: {{listen: '127.0.0.1:0'}}\n{receivers}")).expect("writable");
    let output = run(&["doctor", "-o", "json", "--config", &config, "--data", &data]);
    let findings = json_lines(&stdout(&output, 1));
    let one = |check: &str| {
        findings
            .iter()
            .find(|finding| finding["check"] == check)
            .unwrap_or_else(|| panic!("no {check} in {findings:?}"))
    };
    for check in [
        "data folder",
        "disk",
        "file system",
        "memory",
        "clock",
        "journal",
        "file descriptors",
        "kernel",
        "landlock",
        "seccomp",
        "BTF",
        "capabilities",
        "server",
    ] {
        assert!(one(check)["detail"].is_string());
    }
    // Whatever is not fine says what to do.
    for finding in &findings {
        assert_eq!(finding["advice"].is_string(), finding["status"] != "ok", "{finding}");
    }
    let relp = one(&format!("port {port}/tcp"));
    assert_eq!(relp["status"], "fail");
    assert!(
        relp["detail"].as_str().is_some_and(|detail| detail.contains(&format!("(process {})", std::process::id())))
    );
    assert!(!findings.iter().any(|finding| finding["check"] == "net.core.rmem_max" && finding["status"] == "fail"));
    assert!(!fs::exists(&data).expect("a path"), "it only looks");

    let broken = temporary.path().join("broken.yml").display().to_string();
    fs::write(&broken, "receivres: {}\n").expect("writable");
    assert_eq!(run(&["doctor", "--config", &broken]).status.code(), Some(2));
}

#[test]
fn the_doctor_asks_the_running_server() {
    let temporary = folder();
    let running = Running::start(temporary.path(), RECEIVERS);
    let data = running.data().display().to_string();
    // The configuration is the one that `up` runs with, whose ports are any free ones: nothing is to be said of them.
    let output = run(&["doctor", "-o", "json", "--data", &data]);
    let findings = json_lines(&stdout(&output, 0));
    let parts: Vec<_> = findings
        .iter()
        .filter(|finding| finding["check"].as_str().is_some_and(|check| check.starts_with("server: ")))
        .collect();
    assert!(parts.iter().any(|part| part["check"] == "server: pipeline" && part["status"] == "ok"), "{findings:?}");
    assert!(
        parts.len() >= 5
            && !findings
                .iter()
                .any(|finding| finding["check"].as_str().is_some_and(|check| check.starts_with("port ")))
    );
    let people = stdout(&run(&["doctor", "--data", &data]), 0);
    assert!(people.contains("ok    server: pipeline") && people.trim_end().ends_with("0 failing"), "{people}");
}

#[test]
fn completions_and_man_pages_know_every_command() {
    let temporary = folder();
    let dir = temporary.path().join("man");
    let help = stdout(&run(&["--help"]), 0);
    stdout(&run(&["man", &dir.display().to_string()]), 0);
    let commands: Vec<&str> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' '))?.split_whitespace().next())
        .filter(|command| *command != "help")
        .collect();
    assert!(commands.len() >= 20 && commands.contains(&"top"), "{commands:?}");
    let scripts: Vec<String> = ["bash", "zsh", "fish"].map(|shell| stdout(&run(&["completions", shell]), 0)).into();
    for command in &commands {
        let page = fs::read_to_string(dir.join(format!("vedette-{command}.1"))).expect("a page for each command");
        assert!(page.contains(".SH NAME") && page.contains(".SH SYNOPSIS"), "{command}");
        assert!(scripts.iter().all(|script| script.contains(command)), "{command}");
    }
    assert!(!dir.join("vedette-sealer.1").exists(), "what people do not call has no page");
    let script = temporary.path().join("completions.bash");
    fs::write(&script, &scripts[0]).expect("writable");
    must(&Command::new("bash").arg("-n").arg(&script).output().expect("bash runs"));
}
