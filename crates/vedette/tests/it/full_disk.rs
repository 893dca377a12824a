//! The disk fills up under the running binary, and is freed again.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::Value;

use crate::{
    acknowledging::{Account, Sender, StopOnDrop, assert_all_once, send_until},
    harness::{OTHERS, RECEIVERS, Running, count, folder, http, hunt, json_lines, post, run, stdout, wait_until},
};

const MIB: u64 = 1 << 20;

/// A small file system in memory as the data folder; unmounted when dropped.
struct Disk(PathBuf);

impl Disk {
    fn mount(folder: &Path, bytes: u64) -> Option<Disk> {
        let data = folder.join("data");
        fs::create_dir(&data).expect("the folder is writable");
        let options = format!("size={bytes},mode=0700");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(&data).output();
        let mounted = mounted.expect("`scripts/needs test` installed mount");
        if mounted.status.success() {
            return Some(Disk(data));
        }
        println!("skipped: mounting a tmpfs is not permitted: {}", String::from_utf8_lossy(&mounted.stderr));
        None
    }

    /// Somebody else's file, which leaves `left` bytes.
    fn fill(&self, left: u64) {
        let mut filler = File::create(self.filler()).expect("room for a name");
        let block = vec![0; 4096];
        while self.free() > left && filler.write_all(&block).is_ok() {}
    }

    fn empty(&self) {
        fs::remove_file(self.filler()).expect("the filler is there");
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }

    fn free(&self) -> u64 {
        let stat = rustix::fs::statvfs(&self.0).expect("the disk is mounted");
        stat.f_bavail * stat.f_frsize
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        Command::new("umount").arg("--lazy").arg(&self.0).status().ok();
    }
}

/// Log-ins that are findings, over a receiver that acknowledges, until told to stop; returns how many were stored.
fn log_in_until(stop: &AtomicBool, running: &Running) -> u64 {
    let mut stored = 0;
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let user = format!("root{n}");
        let line = format!(
            "<38>Nov 21 04:11:52 web1 sshd[811]: Accepted password for root from 192.0.2.7 port 4711 ssh2 #{user}\n"
        );
        let (_, answer) =
            http(running.address("http"), &post("/ingest?source=auth", "text/plain", &line)).expect("an answer");
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        stored += answer["stored"].as_u64().expect("a count");
        std::thread::sleep(Duration::from_millis(20));
    }
    stored
}

fn sources(data: &Path) -> Vec<Value> {
    json_lines(&stdout(&run(&["sources", "-o", "json", "--data", &data.to_string_lossy()]), 0))
}

fn source(data: &Path, name: &str) -> Value {
    sources(data).into_iter().find(|source| source["name"] == name).unwrap_or_else(|| panic!("no source {name}"))
}

/// The check of one part, as the server tells it.
fn check(running: &Running, name: &str) -> Value {
    let detail = running.api("GET", "/api/v1/health/detail", "").1;
    let checks = detail["checks"].as_array().expect("checks");
    checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("no {name} in {detail}")).clone()
}

/// The spool looks at the disk ten times a second; until it has, even a search is refused, as it is journalled first.
fn wait_for_room(running: &Running) {
    wait_until("the spool takes records again", || check(running, "spool")["status"] == "ok");
}

/// Load, a full disk, refusals, a freed disk, acknowledgements again.
fn fills_and_is_freed(min_free: u64, left: u64) {
    let folder = folder();
    let Some(disk) = Disk::mount(folder.path(), 96 * MIB) else { return };
    // The budget is in bytes, so that the filler does not make retention delete our own events.
    let config = format!(
        "{RECEIVERS}storage: {{seal_after_seconds: 1, min_free_bytes: {min_free}, max_bytes: {}}}\n",
        1024 * MIB
    );
    let running = Running::start(folder.path(), &config);
    let data = running.data();
    let (stop, account) = (AtomicBool::new(false), Mutex::new(Account::default()));
    let acknowledged = || account.lock().expect("no sender panics").acknowledged.len();
    let refusals = || account.lock().expect("no sender panics").refusals();
    let log_ins = std::thread::scope(|scope| {
        for worker in 0..2 {
            let (stop, account, address) = (&stop, &account, running.address("http"));
            scope.spawn(move || send_until(stop, address, &format!("disk-{worker}"), account));
        }
        let log_ins = scope.spawn(|| log_in_until(&stop, &running));
        let _end = StopOnDrop(&stop);
        wait_until("documents are acknowledged", || acknowledged() > 500);
        disk.fill(left);
        wait_until("documents are refused", || refusals() > 500);

        // It says so, and everything else goes on.
        let spool = check(&running, "spool");
        assert_eq!(spool["status"], "fail", "{spool}");
        assert!(spool["detail"].as_str().expect("a detail").contains("disk_full"), "{spool}");
        let bulk = source(&data, "bulk:127.0.0.1");
        assert!(bulk["refused"]["disk_full"].as_u64() > Some(0), "{bulk}");
        stdout(&run(&["alerts", "list", "--data", &data.to_string_lossy()]), 0);
        stdout(&run(&["rules", "check", "-o", "json"]), 0);
        let hunted = run(&["hunt", "disk-*", "-n", "1", "-o", "json", "--data", &data.to_string_lossy()]);
        if left > 0 {
            assert_eq!(json_lines(&stdout(&hunted, 0)).len(), 1);
        } else if !hunted.status.success() {
            // A search is journalled before it runs. Where not even that fits, it says what to do.
            let said = String::from_utf8_lossy(&hunted.stderr);
            assert!(said.contains("journal") && said.contains("disk"), "{said}");
        }
        // For long enough that sealing was due and findings were waiting.
        let refused = refusals();
        wait_until("more documents are refused", || refusals() > refused + 5000);

        disk.empty();
        let before = acknowledged();
        wait_until("documents are acknowledged again", || acknowledged() > before + 500);
        let mut sender = Sender::connect(running.address("http")).expect("it listens");
        let resumed = Mutex::new(Account::default());
        sender.send(vec!["resumed-1".into()], &resumed).expect("an answer");
        assert_eq!(resumed.into_inner().expect("no sender panics").acknowledged, ["resumed-1"]);
        stop.store(true, Ordering::Relaxed);
        log_ins.join().expect("no sender panics")
    });
    wait_for_room(&running);
    let account = account.into_inner().expect("no sender panics");
    for (status, reason) in account.refused.keys() {
        assert_eq!(*status, 429);
        assert!(reason.contains("disk is full"), "{reason}");
    }
    running.wait_for_at_least(&format!("disk-* {OTHERS}"), account.acknowledged.len() as u64);
    running.wait_for_count("event.dataset:linux.sshd", log_ins);
    assert_all_once(&data, "disk-*", &account.acknowledged);

    let bulk = source(&data, "bulk:127.0.0.1");
    let refused = account.refusals();
    assert_eq!(bulk["stored"], account.acknowledged.len() as u64 + 1);
    assert_eq!(bulk["refused"]["disk_full"], refused);
    assert_eq!(bulk["received"], account.acknowledged.len() as u64 + 1 + refused);
    assert!(running.stop().success(), "{}", fs::read_to_string(folder.path().join("log")).unwrap_or_default());

    let findings = hunt(&data, "event.dataset:vedette.findings | distinct vedette.finding.id");
    let all = count(&data, "event.dataset:vedette.findings");
    assert_eq!(findings.len() as u64, all, "every finding once");
    assert!(all >= log_ins, "{all} findings of {log_ins} log-ins");
    assert_all_once(&data, "disk-*", &account.acknowledged);
    eprintln!("{} acknowledged, {refused} refused, {log_ins} log-ins, {all} findings", account.acknowledged.len());
}

/// The reserve is for Vedette itself: it searches, finds and journals while it refuses.
#[test]
fn a_disk_filled_up_to_the_reserve() {
    fills_and_is_freed(32 * MIB, 20 * MIB);
}

/// Somebody else takes the last byte.
#[test]
fn a_disk_filled_to_the_last_byte() {
    fills_and_is_freed(0, 0);
}

/// Sealing and compaction without room: nothing is lost, hidden or doubled, and both succeed later.
#[test]
fn sealing_and_compaction_wait_for_room() {
    let folder = folder();
    let Some(disk) = Disk::mount(folder.path(), 64 * MIB) else { return };
    let config =
        format!("{RECEIVERS}storage: {{seal_after_seconds: 1, min_free_bytes: 0, max_bytes: {}}}\n", 1024 * MIB);
    let running = Running::start(folder.path(), &config);
    let data = running.data();
    let account = Mutex::new(Account::default());
    let mut sender = Sender::connect(running.address("http")).expect("it listens");
    let segments = || running.api("GET", "/api/v1/stats", "").1["store"]["segments"].as_u64().expect("a number");
    // More than compaction waits for, whichever hour they fall into.
    for round in 0.. {
        let before = segments();
        if before >= 20 {
            break;
        }
        sender.send((0..200).map(|n| format!("seal-{round}-{n}")).collect(), &account).expect("an answer");
        wait_until("the tail is sealed", || segments() > before);
    }
    // These are durable, and there is no room to seal them.
    sender.send((0..200).map(|n| format!("seal-last-{n}")).collect(), &account).expect("an answer");
    disk.fill(0);
    let said = |what: &str| fs::read_to_string(folder.path().join("log")).is_ok_and(|log| log.contains(what));
    wait_until("sealing finds no room", || said("cannot seal"));
    wait_until("compaction finds no room", || said("compact"));
    let sealed = segments();
    assert!(sealed >= 20, "compaction without room removed segments: {sealed} are left");

    disk.empty();
    let account = account.into_inner().expect("no sender panics");
    wait_until("the rest is sealed", || segments() > sealed);
    wait_for_room(&running);
    running.wait_for_at_least(&format!("seal-* {OTHERS}"), account.acknowledged.len() as u64);
    assert_all_once(&data, "seal-*", &account.acknowledged);
    assert!(running.stop().success());
    assert_all_once(&data, "seal-*", &account.acknowledged);
}

/// An administrator who stops Vedette on a full disk need not wait for room, and finds everything later.
#[test]
fn stopped_on_a_full_disk() {
    let folder = folder();
    let Some(disk) = Disk::mount(folder.path(), 64 * MIB) else { return };
    let config = format!("{RECEIVERS}storage: {{min_free_bytes: 0, max_bytes: {}}}\n", 1024 * MIB);
    let running = Running::start(folder.path(), &config);
    let (stop, account) = (AtomicBool::new(false), Mutex::new(Account::default()));
    let log_ins = std::thread::scope(|scope| {
        let (stopping, account, address) = (&stop, &account, running.address("http"));
        scope.spawn(move || send_until(stopping, address, "stop", account));
        let log_ins = scope.spawn(|| log_in_until(&stop, &running));
        let acknowledged = || account.lock().expect("no sender panics").acknowledged.len();
        let _end = StopOnDrop(stopping);
        wait_until("documents are acknowledged", || acknowledged() > 500);
        disk.fill(0);
        wait_until("documents are refused", || account.lock().expect("no sender panics").refusals() > 500);
        stop.store(true, Ordering::Relaxed);
        log_ins.join().expect("no sender panics")
    });
    running.stop();
    disk.empty();

    let running = Running::start(folder.path(), &config);
    let account = account.into_inner().expect("no sender panics");
    running.wait_for_at_least(&format!("stop-* {OTHERS}"), account.acknowledged.len() as u64);
    running.wait_for_count("event.dataset:linux.sshd", log_ins);
    assert_all_once(&running.data(), "stop-*", &account.acknowledged);
}

/// The last byte is taken at every moment of sealing, journalling and compaction, sooner or later.
#[test]
fn a_disk_that_is_filled_again_and_again() {
    let rounds = if std::env::var_os("VEDETTE_LONG").is_some() { 120 } else { 30 };
    let folder = folder();
    let Some(disk) = Disk::mount(folder.path(), 128 * MIB) else { return };
    let config =
        format!("{RECEIVERS}storage: {{seal_after_seconds: 1, min_free_bytes: 0, max_bytes: {}}}\n", 1024 * MIB);
    let running = Running::start(folder.path(), &config);
    let (stop, account) = (AtomicBool::new(false), Mutex::new(Account::default()));
    let acknowledged = || account.lock().expect("no sender panics").acknowledged.len();
    let log_ins = std::thread::scope(|scope| {
        let _stop = StopOnDrop(&stop);
        let (stopping, account, address) = (&stop, &account, running.address("http"));
        scope.spawn(move || send_until(stopping, address, "again", account));
        let log_ins = scope.spawn(|| log_in_until(&stop, &running));
        let mut random = 0x9e37_79b9_u32;
        for round in 0..rounds {
            let before = acknowledged();
            wait_until("documents are acknowledged", || acknowledged() > before + 200 || running.has_ended());
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            std::thread::sleep(Duration::from_millis(u64::from(random >> 22)));
            disk.fill(0);
            std::thread::sleep(Duration::from_millis(u64::from(random >> 12 & 0x3ff)));
            let log = || fs::read_to_string(folder.path().join("log")).unwrap_or_default();
            assert!(!running.has_ended(), "ended in round {round}\n{}", log());
            disk.empty();
        }
        stop.store(true, Ordering::Relaxed);
        log_ins.join().expect("no sender panics")
    });
    let account = account.into_inner().expect("no sender panics");
    wait_for_room(&running);
    running.wait_for_at_least(&format!("again-* {OTHERS}"), account.acknowledged.len() as u64);
    running.wait_for_count("event.dataset:linux.sshd", log_ins);
    assert_all_once(&running.data(), "again-*", &account.acknowledged);
    assert!(running.stop().success());
    eprintln!("{rounds} rounds, {} acknowledged", account.acknowledged.len());
}
