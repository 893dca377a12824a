//! Somebody sets the clock while records come in.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    acknowledging::{Account, Sender, assert_all_once},
    harness::{OTHERS, RECEIVERS, Running, count, folder, json_lines, run, stdout, vedette, wait_until},
};

/// What the records themselves say when they happened; every third says nothing.
const OWN_TIMES: [&str; 3] = ["", r#","@timestamp":"1971-01-01T00:00:00Z""#, r#","@timestamp":"2199-12-31T23:59:59Z""#];

/// The wall clock of one process, as Debian's libfaketime shows it. The monotonic clock goes on, as it does in life.
pub struct WallClock(PathBuf);

impl WallClock {
    pub fn new(folder: &Path) -> WallClock {
        let clock = WallClock(folder.join("clock"));
        clock.set("+0");
        clock
    }

    /// Sets it, relative to the true time: `-1d`.
    pub fn set(&self, offset: &str) {
        let new = self.0.with_extension("new");
        fs::write(&new, format!("{offset}\n")).expect("the folder is writable");
        fs::rename(&new, &self.0).expect("the folder is writable");
    }

    pub fn for_process(&self, mut command: Command) -> Command {
        let library = fs::read_dir("/usr/lib").expect("readable").flatten();
        let library = library.map(|entry| entry.path().join("faketime/libfaketime.so.1")).find(|path| path.exists());
        command
            .env("LD_PRELOAD", library.expect("`scripts/needs test` installed libfaketime"))
            .env("FAKETIME_TIMESTAMP_FILE", &self.0)
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("NO_FAKE_STAT", "1");
        command
    }
}

/// A browser, as far as curl is one: keeps its cookie.
struct Browser {
    url: String,
    jar: PathBuf,
}

impl Browser {
    fn send(&self, method: &str, path: &str, body: &str) -> u64 {
        let output = Command::new("curl")
            .args(["-sk", "-o", "/dev/null", "-w", "%{http_code}", "-X", method, "-d", body])
            .args(["-H", "content-type: application/json", "-H", &format!("origin: {}", self.url)])
            // The cookie has a lifetime in seconds, which curl counts by the true time.
            .arg("-b")
            .arg(&self.jar)
            .arg("-c")
            .arg(&self.jar)
            .arg(format!("{}{path}", self.url))
            .output()
            .expect("`scripts/needs test` installed curl");
        stdout(&output, 0).parse().expect("a status")
    }

    fn log_in(&self) -> u64 {
        self.send("POST", "/api/v1/session", r#"{"name":"ada","password":"correct horse battery"}"#)
    }

    fn who(&self) -> u64 {
        self.send("GET", "/api/v1/session", "")
    }
}

fn browser(running: &Running) -> Browser {
    let after = |prefix: &str| {
        let line = running.lines.iter().find_map(|line| line.strip_prefix(prefix));
        line.unwrap_or_else(|| panic!("no {prefix} in {:?}", running.lines)).to_owned()
    };
    let url = after("console ").trim_end_matches('/').to_owned();
    let browser = Browser { url, jar: running.folder.join("cookies") };
    let link = after("set-up ").split_once("token=").expect("a link").1.to_owned();
    let body = format!(r#"{{"link":"{link}","name":"ada","password":"correct horse battery"}}"#);
    assert_eq!(browser.send("POST", "/api/v1/links", &body), 200);
    browser
}

/// By how many seconds the event says that the clock was set.
fn jump(event: &Value) -> i64 {
    let original: Value = serde_json::from_str(event["event.original"].as_str().expect("text")).expect("JSON");
    original["vedette.seconds"].as_str().expect("text").parse().expect("a number")
}

#[test]
fn a_clock_that_jumps_costs_nothing() {
    let folder = folder();
    let clock = WallClock::new(folder.path());
    let config = format!("{RECEIVERS}storage: {{seal_after_seconds: 1, max_age_days: 30}}\n");
    let begin = Instant::now();
    let running = Running::start_as(clock.for_process(vedette()), folder.path(), &config);
    let browser = browser(&running);
    assert_eq!(browser.log_in(), 200);
    let (stop, rest, phase) = (AtomicBool::new(false), AtomicBool::new(false), Mutex::new("start"));
    let account = Mutex::new(Account::default());
    let store = |name: &str| running.api("GET", "/api/v1/stats", "").1["store"][name].as_u64().expect("a number");
    let all = || account.lock().expect("nobody panics").acknowledged.len();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut sender = Sender::connect(running.address("http")).expect("it listens");
            for request in 0.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let phase = *phase.lock().expect("nobody panics");
                let names = (0..50).map(|n| format!("clock-{phase}-{request}-{n}")).collect();
                sender.send_with(names, |n| OWN_TIMES[n % 3].into(), &account).expect("an answer");
                let pause = if rest.load(Ordering::Relaxed) { 2000 } else { 20 };
                std::thread::sleep(Duration::from_millis(pause));
            }
        });
        // Whatever fails here must not leave the sender running.
        let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for (name, offset) in [("now", "+0"), ("back", "-1d"), ("ahead", "+365d"), ("again", "+0")] {
                // The jump meets records that wait to be sealed.
                let before = all();
                wait_until("there is load", || all() > before + 500);
                clock.set(offset);
                *phase.lock().expect("nobody panics") = name;
                let acknowledged = || {
                    let account = account.lock().expect("nobody panics");
                    let prefix = format!("clock-{name}-");
                    account.acknowledged.iter().filter(|name| name.starts_with(&prefix)).count()
                };
                wait_until("records are acknowledged", || acknowledged() > 1000);
                // With so few records it is their age that makes them due.
                rest.store(true, Ordering::Relaxed);
                let segments = store("segments");
                wait_until("they are sealed", || store("segments") > segments + 1);
                match name {
                    // A clock that is set back makes nobody's session end; one that is set a year ahead makes it old.
                    "ahead" => {
                        assert_eq!(browser.who(), 401);
                        assert_eq!(browser.log_in(), 200);
                        if std::env::var_os("VEDETTE_LONG").is_some() {
                            // Until retention has looked, which it does every five minutes.
                            std::thread::sleep(Duration::from_secs(320).saturating_sub(begin.elapsed()));
                        }
                    }
                    _ => assert_eq!(browser.who(), 200, "{name}"),
                }
                rest.store(false, Ordering::Relaxed);
            }
        }));
        stop.store(true, Ordering::Relaxed);
        told.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    // The binary saw the jumps, and says so: whoever sets the clock may want to hide something.
    let mut jumps: Vec<i64> = running.hunt("event.action:clock.jump").iter().map(jump).collect();
    jumps.sort_unstable();
    const DAY: i64 = 86_400;
    for (jump, wanted) in jumps.iter().zip([-365 * DAY, -DAY, 366 * DAY]) {
        assert!(jump.abs_diff(wanted) < 60, "{jumps:?}");
    }
    assert_eq!(jumps.len(), 3, "{jumps:?}");

    let account = account.into_inner().expect("nobody panics");
    assert_eq!(account.refused, [].into());
    running.wait_for_at_least(&format!("clock-* {OTHERS}"), account.acknowledged.len() as u64);
    assert_all_once(&running.data(), "clock-*", &account.acknowledged);
    assert_eq!(count(&running.data(), "event.action:retention.delete"), 0);
    // By their own times they are found, too: 17 and 16 of every 50.
    let requests = account.acknowledged.len() as u64 / 50;
    for (side, bound, of_fifty) in [("--to", "1972-01-01", 17), ("--from", "2199-01-01", 16)] {
        let (query, data) = (format!("clock-* {OTHERS} | summarize n=count()"), running.data());
        let hunted = run(&["hunt", &query, side, bound, "-o", "json", "--data", &data.to_string_lossy()]);
        assert_eq!(json_lines(&stdout(&hunted, 0))[0]["n"], requests * of_fifty, "{side} {bound}");
    }
    assert!(running.stop().success());
    // Also with the true time, and after a start.
    let running = Running::start(folder.path(), &config);
    assert_all_once(&running.data(), "clock-*", &account.acknowledged);
}
