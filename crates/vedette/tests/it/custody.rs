//! Evidence, erasure, legal holds, through the binary.

use std::{
    fs::{self, File},
    io::{Read, Write},
    net::UdpSocket,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::{Value, json};
use vedette_ledger::{
    Algorithm,
    evidence::{self, EventLine},
};
use vedette_verify::{Kind, Policy};
use zip::{ZipArchive, ZipWriter, write::SimpleFileOptions};

use crate::harness::{RECEIVERS, Running, folder, json_lines, root, run, stdout, wait_until};

const CONFIG: &str = "storage: {seal_after_seconds: 2}\n";

/// A monitor that has `count` numbered records from one sender, and their source's name.
fn with_records(folder: &Path, count: usize) -> (Running, String) {
    let running = Running::start(folder, &format!("{RECEIVERS}{CONFIG}"));
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    for n in 0..count {
        let line = format!("<38>Nov 21 04:11:52 web1 app[1]: record {n} of mallory{n}@example.org");
        socket.send_to(line.as_bytes(), running.address("syslog-udp")).expect("sent");
    }
    let found = || running.hunt("process.name:app");
    wait_until("all are found", || found().len() == count);
    let source =
        found()[0]["vedette.source_name"].as_str().map_or_else(|| "syslog-udp:127.0.0.1".into(), str::to_owned);
    (running, source)
}

fn command(data: &Path, arguments: &[&str]) -> Output {
    let data = data.display().to_string();
    run(&[arguments, &["--data", &data]].concat())
}

fn export(data: &Path, query: &str, more: &[&str], to: &Path) {
    let to = to.display().to_string();
    stdout(&command(data, &[&["evidence", "export", "--query", query, "-o", &to], more].concat()), 0);
}

fn verify(path: &Path, code: i32) -> Vec<Value> {
    json_lines(&stdout(&run(&["verify", &path.display().to_string(), "-o", "json"]), code))
}

/// What the second verifier says.
fn second(path: &Path) -> Output {
    python("tests/verify_evidence.py", path)
}

fn python(script: &str, path: &Path) -> Output {
    let python = root().join("target/test-venv/bin/python");
    Command::new(python).arg(root().join(script)).arg(path).output().expect("the environment")
}

/// Every member of a bundle.
fn members(bundle: &Path) -> Vec<(String, Vec<u8>)> {
    let mut zip = ZipArchive::new(File::open(bundle).expect("a file")).expect("a ZIP file");
    (0..zip.len())
        .map(|index| {
            let mut member = zip.by_index(index).expect("a member");
            let mut bytes = Vec::new();
            member.read_to_end(&mut bytes).expect("its bytes");
            (member.name().expect("a name").into_owned(), bytes)
        })
        .collect()
}

fn write(bundle: &Path, members: &[(String, Vec<u8>)]) {
    let mut zip = ZipWriter::new(File::create(bundle).expect("a file"));
    for (name, bytes) in members {
        zip.start_file(name.as_str(), SimpleFileOptions::default()).expect("a member");
        zip.write_all(bytes).expect("written");
    }
    zip.finish().expect("written");
}

#[test]
fn evidence_is_checked_far_from_the_monitor() {
    let folder = folder();
    let (running, source) = with_records(folder.path(), 40);
    let bundle = folder.path().join("case.vev");
    export(&running.data(), "mallory7@example.org or mallory30@example.org", &[], &bundle);
    let whole = folder.path().join("whole.vev");
    export(&running.data(), "mallory7@example.org or mallory30@example.org", &["--whole"], &whole);
    // Another machine has the keys and the bundle, nothing else.
    let facts = verify(&running.data(), 0).pop().expect("facts")["checked"].take();
    let key = |name: &str| facts[name].as_str().expect("a key").to_owned();
    let policy = folder.path().join("keys.txt");
    fs::write(&policy, format!("log {}\nepoch0 {}\n", key("log_key"), key("first_epoch"))).expect("written");
    running.stop();

    let out = stdout(&run(&["verify", path(&bundle), "--policy", path(&policy)]), 0);
    assert!(out.contains(&format!("{source}: 2 of 24 events from")), "{out}");
    assert!(out.ends_with("everything is as it was signed\n"), "{out}");
    let out = stdout(&run(&["verify", path(&whole), "--policy", path(&policy)]), 0);
    assert!(out.contains(&format!("{source}: all 24 events from")), "{out}");
    for bundle in [&bundle, &whole] {
        let second = second(bundle);
        assert!(second.status.success(), "{second:?}");
    }
    let other = folder.path().join("other.txt");
    fs::write(&other, format!("epoch0 {}\n", "00".repeat(32))).expect("written");
    stdout(&run(&["verify", path(&bundle), "--policy", path(&other)]), 1);

    // The query, and who asked, are in the bundle, and nothing but what was exported.
    let all = members(&bundle);
    let find =
        |name: &str| String::from_utf8(all.iter().find(|(n, _)| n == name).expect(name).1.clone()).expect("text");
    let statement: Value = serde_json::from_str(&find(evidence::STATEMENT)).expect("JSON");
    assert_eq!(statement["query"], "mallory7@example.org or mallory30@example.org");
    assert!(statement["by"].as_str().is_some_and(|by| by.starts_with("local:")));
    let lines = find(evidence::EVENTS);
    assert_eq!(lines.lines().count(), 3);
    assert!(lines.contains("record 7 of") && !lines.contains("record 8 of"));
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

type Change = (&'static str, fn(&mut Vec<(String, Vec<u8>)>));

/// What somebody who has a bundle could do to it.
const CHANGES: [Change; 15] = [
    ("an event's bytes", |members| edit(members, evidence::EVENTS, |text| text.replacen("record 7", "record 9", 1))),
    ("an event's time", |members| edit_event(members, |event| event.received += 1)),
    ("an event's number", |members| edit_event(members, |event| event.seq += 1)),
    ("an event's salt", |members| edit_event(members, |event| event.salt = Some("00".repeat(16)))),
    ("an event as an erased one", |members| {
        edit_event(members, |event| (event.salt, event.original, event.leaf) = (None, None, Some("00".repeat(32))));
    }),
    ("an event as an erased one, with its own leaf", |members| {
        edit_event(members, |event| {
            let salt = vedette_ledger::sealer::parse_hex_bytes(event.salt.as_deref().expect("a salt"));
            let salt = salt.and_then(|salt| salt.try_into().ok()).expect("16 bytes");
            let bytes = event.bytes().expect("it is well formed").expect("it was there");
            let leaf = vedette_ledger::batch::leaf(Algorithm::Blake3, &salt, event.seq, event.received, &bytes);
            (event.salt, event.original, event.leaf) = (None, None, Some(vedette_ledger::hex(&leaf)));
        });
    }),
    ("a name that nobody has", |members| {
        edit(members, evidence::STATEMENT, |text| {
            let more = "\"sources\": [{\"source\":3,\"name\":\"dc1\",\"receiver\":\"x\",\"salt\":\"00\"},";
            text.replacen("\"sources\": [", more, 1)
        });
    }),
    ("an event left out", |members| {
        edit(members, evidence::EVENTS, |text| text.lines().skip(1).map(|line| format!("{line}\n")).collect());
    }),
    ("an event twice", |members| {
        edit(members, evidence::EVENTS, |text| format!("{}\n{text}", text.lines().next().expect("an event")));
    }),
    ("the query", |members| edit(members, evidence::STATEMENT, |text| text.replacen("mallory30", "mallory31", 1))),
    ("the author", |members| edit(members, evidence::STATEMENT, |text| text.replacen("local:", "ada:", 1))),
    ("a source's name", |members| {
        edit(members, evidence::STATEMENT, |text| text.replacen("syslog-udp:127", "syslog-udp:128", 1))
    }),
    ("the checkpoint's size", |members| {
        edit(members, evidence::CHECKPOINT, |text| {
            let size = text.lines().nth(1).expect("a size").to_owned();
            text.replacen(&size, &format!("{size}1"), 1)
        });
    }),
    ("a key", |members| edit(members, evidence::KEYS, |text| text.replacen('A', "B", 1))),
    ("something more", |members| members.push(("notes.txt".into(), b"trust me".to_vec()))),
];

fn edit(members: &mut [(String, Vec<u8>)], name: &str, change: impl Fn(String) -> String) {
    let (_, bytes) = members.iter_mut().find(|(member, _)| member == name).expect("a member");
    let before = String::from_utf8(bytes.clone()).expect("text");
    let after = change(before.clone());
    assert_ne!(before, after);
    *bytes = after.into_bytes();
}

fn edit_event(members: &mut [(String, Vec<u8>)], change: impl Fn(&mut EventLine)) {
    edit(members, evidence::EVENTS, |text| {
        let mut lines = text.lines().map(str::to_owned).collect::<Vec<_>>();
        let mut event: EventLine = serde_json::from_str(&lines[0]).expect("an event");
        change(&mut event);
        lines[0] = serde_json::to_string(&event).expect("JSON");
        lines.iter().map(|line| format!("{line}\n")).collect()
    });
}

#[test]
fn whatever_is_changed_in_a_bundle_is_found() {
    let folder = folder();
    let (running, _) = with_records(folder.path(), 40);
    let bundle = folder.path().join("case.vev");
    export(&running.data(), "mallory7@example.org or mallory30@example.org", &[], &bundle);
    running.stop();
    let original = members(&bundle);
    let changed = folder.path().join("changed.vev");
    for (what, change) in CHANGES {
        let mut members = original.clone();
        change(&mut members);
        write(&changed, &members);
        let report = vedette_verify::verify_bundle(&changed, &Policy::default(), &mut |_| {});
        assert!(!report.problems.is_empty(), "{what} is not found");
        let second = second(&changed);
        assert_eq!(second.status.code(), Some(1), "{what}: {second:?}");
    }
    // A member that is gone, and every byte of the small ones.
    for (at, (name, bytes)) in original.iter().enumerate() {
        let mut members = original.clone();
        members.remove(at);
        write(&changed, &members);
        let report = vedette_verify::verify_bundle(&changed, &Policy::default(), &mut |_| {});
        assert!(report.problems.iter().any(|problem| problem.kind == Kind::Missing), "without {name}: {report:?}");
        for byte in 0..bytes.len().min(600) {
            let mut members = original.clone();
            members[at].1[byte] ^= 1;
            write(&changed, &members);
            let report = vedette_verify::verify_bundle(&changed, &Policy::default(), &mut |_| {});
            assert!(!report.problems.is_empty(), "byte {byte} of {name} is not found");
        }
    }
}

/// Files below a folder that have these bytes, uncompressed ones.
fn files_with(dir: &Path, bytes: &[u8]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if fs::read(&path).is_ok_and(|content| content.windows(bytes.len()).any(|window| window == bytes)) {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn an_erased_event_is_gone_and_every_proof_is_whole() {
    let folder = folder();
    let (running, _) = with_records(folder.path(), 30);
    let data = running.data();
    // Not by its text: a search is journalled.
    let all = running.hunt("process.name:app");
    let has = |row: &&Value| row["event.original"].as_str().is_some_and(|text| text.contains("mallory7@"));
    let id = all.iter().find(has).expect("it was sent")["event.id"].as_str().expect("an id").to_owned();
    let query = format!("event.id:{id}");
    let erase = ["erase", "--query", &query, "--reason", "Art. 17", "-o", "json"];
    let planned = json_lines(&stdout(&command(&data, &erase), 0));
    assert_eq!(planned[0], json!({"events": 1, "held": 0, "quoted_by": []}));

    // Who looked for what is not erasable.
    let own = command(&data, &["erase", "--query", "event.action:query.run", "--reason", "mine", "--yes"]);
    assert_eq!(own.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&own.stderr).contains("what people did here"), "{own:?}");

    // A legal hold beats it, and then it can go.
    stdout(&command(&data, &["hold", "set", "case-7", "--reason", "they sued"]), 0);
    let refused = command(&data, &[&erase[..], &["--yes"]].concat());
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("legal hold: case-7"), "{refused:?}");
    let holds = json_lines(&stdout(&command(&data, &["hold", "list", "-o", "json"]), 0));
    assert_eq!((&holds[0]["name"], &holds[0]["reason"]), (&json!("case-7"), &json!("they sued")));
    stdout(&command(&data, &["hold", "lift", "case-7"]), 0);
    let erased = json_lines(&stdout(&command(&data, &[&erase[..], &["--yes"]].concat()), 0));
    assert_eq!(erased[0]["events"], 1);

    let gone = |running: &Running| {
        let row = &running.hunt(&query)[0];
        assert_eq!(row["event.original"], "", "{row}");
        assert_eq!(running.hunt("vedette.parser:erased")[0]["event.id"], row["event.id"]);
        assert_eq!(running.hunt("process.name:app").len(), 29);
    };
    gone(&running);
    let facts = verify(&data, 0).pop().expect("facts");
    assert_eq!(facts["checked"]["erased"], 1);
    assert!(!data.join("erasing").exists());
    // A bundle shows that there was something, and that it was erased.
    let bundle = folder.path().join("case.vev");
    export(&data, &query, &[], &bundle);
    let facts = verify(&bundle, 0).pop().expect("facts");
    assert_eq!((&facts["checked"]["erased"], &facts["checked"]["events"]), (&json!(1), &json!(2)));
    assert!(second(&bundle).status.success());
    // The spool's files are gone too: nothing on disk has it, compressed or not.
    assert_eq!(files_with(&data, b"mallory7@example.org"), Vec::<PathBuf>::new());
    running.stop();

    // After a restart everything is as it was; without a server the same commands work on the folder.
    let running = Running::start(folder.path(), &format!("{RECEIVERS}{CONFIG}"));
    gone(&running);
    running.stop();
    let offline = ["erase", "--query", "mallory8@example.org", "--reason", "Art. 17", "--yes", "-o", "json"];
    assert_eq!(json_lines(&stdout(&command(&data, &offline), 0))[0]["events"], 1);
    // Searches are journalled there too.
    stdout(&command(&data, &["hunt", "who-looked-for-this", "-o", "json"]), 0);
    let found =
        json_lines(&stdout(&command(&data, &["hunt", "event.action:query.run who-looked-for-this", "-o", "json"]), 0));
    assert_eq!(found[0]["vedette.query"], "who-looked-for-this", "{found:?}");
    fs::remove_file(&bundle).expect("it was there");
    export(&data, "mallory9@example.org", &[], &bundle);
    verify(&bundle, 0);
    let facts = verify(&data, 0).pop().expect("facts");
    assert_eq!(facts["checked"]["erased"], 2);
    let second = python("tests/verify_ledger.py", &data);
    assert!(second.status.success(), "{second:?}");

    // Every byte of what is left of the salts counts, and so does the file.
    let mut salts = vec![data.join("ledger/erased")];
    while let Some(dir) = salts.last().filter(|path| path.is_dir()).cloned() {
        salts.pop();
        salts.extend(fs::read_dir(dir).expect("a folder").map(|entry| entry.expect("an entry").path()));
    }
    let file = salts.pop().expect("a file");
    let whole = fs::read(&file).expect("a file");
    let report = || vedette_verify::verify(&data, &Policy::default(), false, &mut |_| {});
    for at in [0, 1, 16, 17, 33, whole.len() - 1] {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(&file, bytes).expect("written");
        assert!(!report().problems.is_empty(), "byte {at} of the salts is not found");
    }
    fs::remove_file(&file).expect("it was there");
    assert!(report().problems.iter().any(|problem| problem.kind == Kind::Missing));
    fs::write(&file, whole).expect("written");
    assert_eq!(report().problems, []);
}

#[test]
fn an_erasure_that_is_interrupted_is_ended_at_the_next_start() {
    let folder = folder();
    let (running, _) = with_records(folder.path(), 150);
    let data = running.data();
    let mut running = Some(running);
    let erased = |data: &Path| {
        let facts = verify(data, 0).pop().expect("facts");
        facts["checked"]["erased"].as_u64().expect("a number")
    };
    // At other moments each time: from before it begins to after it has ended.
    for round in 0..10 {
        let server = running.take().unwrap_or_else(|| Running::start(folder.path(), &format!("{RECEIVERS}{CONFIG}")));
        wait_until("they are found", || server.hunt("process.name:app").len() as u64 == 150 - erased(&data));
        let query = format!("process.name:app record {round}");
        let mut erase = crate::harness::vedette();
        erase.args(["erase", "--query", &query, "--reason", "Art. 17", "--yes", "--data", path(&data)]);
        let mut erase = erase.stderr(std::process::Stdio::null()).spawn().expect("it starts");
        match round {
            9 => drop(erase.wait().expect("it was started here")),
            _ => std::thread::sleep(std::time::Duration::from_millis(100 * round)),
        }
        server.kill();
        erase.wait().expect("it was started here");
        crate::harness::wait_for_the_sealer(&data);
        let before = erased(&data);
        let server = Running::start(folder.path(), &format!("{RECEIVERS}{CONFIG}"));
        wait_until("it is ended", || !data.join("erasing").exists());
        assert!(erased(&data) >= before);
        running = Some(server);
    }
    assert!(erased(&data) > 0, "nobody interrupted the last");
    running.expect("it runs").stop();
    verify(&data, 0);
}

/// Ends the load, also of a test that fails.
struct Stop<'a>(&'a std::sync::atomic::AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, std::sync::atomic::Ordering::Relaxed);
    }
}

#[test]
fn a_backup_is_whole_and_goes_on_elsewhere() {
    let folder = folder();
    let (running, _) = with_records(folder.path(), 50);
    let data = running.data();
    let rule = json!({"text": "title: Own\nlogsource: {product: linux}\ndetection: {a: [never seen], condition: a}\n"});
    assert_eq!(running.api("PUT", "/api/v1/rules/files/own", &rule.to_string()).0, 200);
    // Under load: what is acknowledged before it begins is in it.
    let stop = std::sync::atomic::AtomicBool::new(false);
    let backup = folder.path().join("backup");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let line = b"<38>Nov 21 04:11:52 web1 noise[1]: more";
                socket.send_to(line, running.address("syslog-udp")).expect("sent");
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
        });
        let _stop = Stop(&stop);
        for round in 0..3 {
            let backup = backup.join(round.to_string());
            stdout(
                &command(&data, &["backup", "--to", path(&backup), "--keys", path(&backup.with_extension("keys"))]),
                0,
            );
            verify(&backup, 0);
        }
    });
    let refused = command(&data, &["backup", "--to", path(&backup.join("2"))]);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    // Without a server too, with the keys in it.
    running.stop();
    let quiet = backup.join("quiet");
    stdout(&command(&data, &["backup", "--to", path(&quiet)]), 0);
    verify(&quiet, 0);

    // The keys were kept elsewhere: without them it can be verified only.
    let restored = folder.path().join("restored/data");
    let from = backup.join("2");
    let out = stdout(&run(&["restore", path(&from), "--data", path(&restored), "--verify"]), 0);
    assert!(out.contains("cannot be continued") || out.contains("not continued"), "{out}");
    fs::remove_dir_all(&restored).expect("it was made");
    let keys = backup.join("2.keys");
    stdout(&run(&["restore", path(&from), "--keys", path(&keys), "--data", path(&restored), "--verify"]), 0);
    let running = Running::start(&folder.path().join("restored"), &format!("{RECEIVERS}{CONFIG}"));
    wait_until("what was in the spool is found", || running.hunt("process.name:app").len() == 50);
    assert_eq!(running.api("GET", "/api/v1/rules/Own", "").0, 200, "what people wrote is there too");
    running.stop();
    verify(&restored, 0);

    // A backup that was changed is found out.
    let segment = files_with(&quiet.join("store"), b"PAR1").pop().expect("a segment");
    let mut bytes = fs::read(&segment).expect("a file");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&segment, bytes).expect("written");
    let other = folder.path().join("other");
    stdout(&run(&["restore", path(&quiet), "--data", path(&other), "--verify"]), 1);
}

#[test]
fn what_retention_deletes_the_log_says_and_a_hold_keeps() {
    let folder = folder();
    let (running, _) = with_records(folder.path(), 30);
    let data = running.data();
    stdout(&command(&data, &["hold", "set", "case-7", "--from", "-1h"]), 0);
    running.stop();
    // No room for anything: all that is sealed has to go, but for the hold.
    let config = format!("{RECEIVERS}storage: {{seal_after_seconds: 2, max_bytes: 1}}\n");
    let running = Running::start(folder.path(), &config);
    let deletions = |running: &Running| running.hunt("event.action:retention.delete").len();
    std::thread::sleep(std::time::Duration::from_secs(7));
    assert_eq!((deletions(&running), running.hunt("process.name:app").len()), (0, 30));
    stdout(&command(&data, &["hold", "lift", "case-7"]), 0);
    running.stop();
    let running = Running::start(folder.path(), &config);
    wait_until("they are deleted", || deletions(&running) == 1 && running.hunt("process.name:app").is_empty());
    running.stop();
    let facts = verify(&data, 0).pop().expect("facts");
    assert!(facts["checked"]["deleted"].as_u64().is_some_and(|deleted| deleted >= 30), "{facts}");
    assert!(python("tests/verify_ledger.py", &data).status.success());
}
