//! Acknowledgements that wait for checkpoints and cosignatures, and a monitor that misses its witnesses.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::Stdio,
};

use serde_json::Value;
use vedette_ledger::{
    checkpoint::Checkpoint,
    note::{Note, VerifierKey},
};

use crate::harness::{Client, PATIENCE, RECEIVERS, Running, folder, json_lines, run, stdout, vedette, wait_until};

/// A running `vedette witness`.
pub struct Cosigner {
    _process: Client,
    pub key: VerifierKey,
    pub address: SocketAddr,
}

impl Cosigner {
    /// Of a log, given by its key or the file of it.
    pub fn start(folder: &Path, log: &str, name: &str, listen: Option<SocketAddr>) -> Cosigner {
        let listen = listen.map_or_else(|| "127.0.0.1:0".to_owned(), |address| address.to_string());
        let name = format!("witness.example/{name}");
        let mut command = vedette();
        command.args(["witness", "--listen", &listen, "--name", &name, "--log", log, "--data"]).arg(folder);
        let mut process = Client::start(command.stdout(Stdio::piped()));
        let out = BufReader::new(process.0.stdout.take().expect("stdout is piped"));
        let lines: Vec<String> = out.lines().map_while(Result::ok).take_while(|line| line != "ready").collect();
        let said = |word: &str| lines.iter().find_map(|line| line.strip_prefix(word)).expect("it is said").to_owned();
        let key = said("key ").parse().expect("a key");
        Cosigner { _process: process, key, address: said("listening witness ").parse().expect("an address") }
    }

    /// Its line in a configuration.
    fn configured(&self) -> String {
        format!("{{url: \"http://{}\", key: \"{}\"}}", self.address, self.key)
    }
}

/// One document with a level: the status, the level that was reached, the body.
fn send(running: &Running, path: &str, header: &str) -> (u16, Option<String>, String) {
    let body = if path.starts_with("/ingest") { "{\"a\":1}\n" } else { "{\"create\":{}}\n{\"a\":1}\n" };
    let head = format!("POST {path} HTTP/1.1\r\nhost: v\r\nconnection: close\r\ncontent-length: {}", body.len());
    let mut stream = TcpStream::connect(running.address("http")).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket option");
    stream.write_all(format!("{head}\r\n{header}\r\n{body}").as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let level = answer.lines().find_map(|line| line.strip_prefix("vedette-ack: ")).map(str::to_owned);
    (status, level, answer)
}

fn reached(running: &Running, path: &str) -> String {
    let (status, level, answer) = send(running, path, "");
    assert_eq!(status, 200, "{answer}");
    level.unwrap_or_else(|| panic!("no level: {answer}"))
}

fn sealed(data: &Path, name: &str) -> Note {
    Note::parse(&fs::read(data.join("ledger").join(name)).expect("a file")).expect("a note")
}

fn size(note: &Note) -> u64 {
    note.text.parse::<Checkpoint>().expect("a checkpoint").size
}

fn detail(running: &Running) -> Value {
    running.api("GET", "/api/v1/health/detail", "").1
}

fn check(running: &Running, name: &str) -> Value {
    let detail = detail(running);
    let checks = detail["checks"].as_array().expect("checks");
    checks.iter().find(|check| check["name"] == name).cloned().unwrap_or_default()
}

/// The key of a log that was never used.
fn new_log(folder: &Path) -> String {
    let running = Running::start(folder, RECEIVERS);
    assert!(running.stop().success());
    fs::read_to_string(folder.join("data/ledger/log.vkey")).expect("a key").trim().to_owned()
}

#[test]
fn replies_wait_for_a_checkpoint() {
    let folder = folder();
    let running = Running::start(folder.path(), RECEIVERS);
    let (status, level, _) = send(&running, "/_bulk", "");
    assert_eq!((status, level), (200, None));
    for path in ["/_bulk?ack=sealed", "/ingest?ack=sealed"] {
        let before = size(&sealed(&running.data(), "checkpoint"));
        assert_eq!(reached(&running, path), "sealed");
        assert!(size(&sealed(&running.data(), "checkpoint")) > before, "{path}: what was sent is in a checkpoint");
    }
    let (_, level, answer) = send(&running, "/ingest?ack=stored", "vedette-ack: sealed\r\n");
    assert_eq!(level.as_deref(), Some("stored"), "the query wins: {answer}");
    let (_, level, answer) = send(&running, "/ingest", "Vedette-Ack: sealed\r\n");
    assert_eq!(level.as_deref(), Some("sealed"), "{answer}");
    // Without witnesses nothing is witnessed, and nobody is to wait for it.
    let (status, level, answer) = send(&running, "/_bulk?ack=witnessed", "");
    assert_eq!((status, level), (400, None));
    assert!(answer.contains("no witness is configured (ledger.witnesses)"), "{answer}");
    assert_eq!(send(&running, "/_bulk?ack=maybe", "").0, 400);
    assert_eq!(check(&running, "witnesses"), Value::Null);
    let ledger = detail(&running)["ledger"].clone();
    assert!(ledger["entries"].as_u64() > Some(0) && ledger["witnessed"].is_null(), "{ledger}");
    assert!(running.stop().success());
    let verified = stdout(&run(&["verify", &folder.path().join("data").to_string_lossy(), "-o", "json"]), 0);
    assert!(json_lines(&verified)[0]["checked"]["events"].as_u64() >= Some(5));
}

/// Two witnesses that must both cosign: one checkpoint has the signatures of both.
#[test]
fn a_quorum_cosigns_one_checkpoint() {
    let folder = folder();
    let log = new_log(folder.path());
    let witnesses = ["w1", "w2"].map(|name| Cosigner::start(&folder.path().join(name), &log, name, None));
    let configured = witnesses.each_ref().map(Cosigner::configured).join(", ");
    let config = format!("{RECEIVERS}ledger: {{witnesses: [{configured}], required_witnesses: 2}}\n");
    let running = Running::start(folder.path(), &config);
    let data = running.data();
    for _ in 0..5 {
        assert_eq!(reached(&running, "/_bulk?ack=witnessed"), "witnessed");
    }
    wait_until("the newest checkpoint has both signatures", || {
        let note = sealed(&data, "witnessed");
        size(&note) == size(&sealed(&data, "checkpoint")) && witnesses.iter().all(|w| w.key.verify(&note).is_ok())
    });
    assert_eq!(check(&running, "witnesses")["status"], "ok");
    let ledger = detail(&running)["ledger"].clone();
    assert_eq!(ledger["required_witnesses"], 2, "{ledger}");
    assert_eq!(ledger["witnesses"][1]["name"], "witness.example/w2", "{ledger}");
    assert!(ledger["witnesses"][1]["cosigned"]["entries"].as_u64() > Some(0), "{ledger}");
    assert_eq!(ledger["witnessed"]["by"], 2, "{ledger}");
    assert!(running.stop().success());
    let policy = folder.path().join("keys.txt");
    let [w1, w2] = witnesses.each_ref().map(|witness| witness.key.to_string());
    fs::write(&policy, format!("log {log}\nwitness {w1}\nwitness {w2}\nquorum 2\n")).expect("it is written");
    let verified = run(&["verify", &data.to_string_lossy(), "--policy", &policy.to_string_lossy()]);
    assert_eq!(verified.status.code(), Some(0), "{}", stdout(&verified, 0));
    // What was cosigned before is known after the next start, without any witness.
    drop(witnesses);
    let running = Running::start(folder.path(), &config);
    assert_eq!(detail(&running)["ledger"]["witnessed"]["by"], 2);
    assert!(running.stop().success());
}

/// The required witness goes away, is missed, and comes back.
#[test]
fn a_required_witness_is_missed() {
    let folder = folder();
    let log = new_log(folder.path());
    let place = folder.path().join("w");
    let witness = Cosigner::start(&place, &log, "w", None);
    let address = witness.address;
    let config = format!("{RECEIVERS}ledger: {{witnesses: [{}], required_witnesses: 1}}\n", witness.configured());
    let running = Running::start(folder.path(), &config);
    assert_eq!(reached(&running, "/_bulk?ack=witnessed"), "witnessed");
    drop(witness);
    // Stored and sealed; that is said, and nothing has to be sent again.
    let (status, level, answer) = send(&running, "/_bulk?ack=witnessed", "");
    assert_eq!((status, level.as_deref()), (200, Some("sealed")), "{answer}");
    assert!(answer.contains("\"errors\":false"), "{answer}");
    wait_until("it fails", || check(&running, "witnesses")["status"] == "fail");
    let said = check(&running, "witnesses")["detail"].as_str().unwrap_or_default().to_owned();
    assert!(said.contains("cosigned by 0 of 1 required witnesses") && said.contains("witness.example/w: "), "{said}");
    running.wait_for_at_least("event.action:ledger.unwitnessed", 1);
    let _witness = Cosigner::start(&place, &log, "w", Some(address));
    wait_until("it is well again", || check(&running, "witnesses")["status"] == "ok");
    running.wait_for_count("event.action:ledger.witnessed", 1);
    assert_eq!(reached(&running, "/_bulk?ack=witnessed"), "witnessed");
    running.wait_for_count("event.action:ledger.unwitnessed", 1);
    assert!(running.stop().success());
}

/// A data folder that was set back contradicts what a witness has seen.
#[test]
fn a_witness_that_has_seen_more_is_a_conflict() {
    let folder = folder();
    let log = new_log(folder.path());
    let old = folder.path().join("old");
    let copied = std::process::Command::new("cp").arg("-a").arg(folder.path().join("data")).arg(&old).status();
    assert!(copied.expect("cp runs").success());
    let witness = Cosigner::start(&folder.path().join("w"), &log, "w", None);
    let config = format!("{RECEIVERS}ledger: {{witnesses: [{}]}}\n", witness.configured());
    let running = Running::start(folder.path(), &config);
    for _ in 0..3 {
        assert_eq!(reached(&running, "/ingest?ack=witnessed"), "witnessed");
    }
    assert!(running.stop().success());
    fs::remove_dir_all(folder.path().join("data")).expect("it goes");
    fs::rename(&old, folder.path().join("data")).expect("the old one comes back");
    let running = Running::start(folder.path(), &config);
    running.wait_for_at_least("event.action:ledger.conflict vedette.target:witness.example/w", 1);
    assert_eq!(check(&running, "witnesses")["status"], "fail");
    // Also once the log is as long again.
    for _ in 0..20 {
        assert_eq!(reached(&running, "/ingest?ack=sealed"), "sealed");
    }
    let conflict = || check(&running, "witnesses")["detail"].as_str().unwrap_or_default().to_owned();
    wait_until("the witness sees two histories", || conflict().contains("another history"));
    running.wait_for_count("event.action:ledger.conflict", 1);
    assert!(running.stop().success());
}

#[test]
fn a_configuration_of_witnesses_is_checked() {
    let folder = folder();
    let file = folder.path().join("vedette.yml");
    let check = |text: &str| {
        fs::write(&file, text).expect("it is written");
        let output = run(&["check", "--config", &file.to_string_lossy()]);
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = check("ledger: {required_witnesses: 1}\n");
    assert!(code == Some(2) && said.contains("ledger.required_witnesses is 1"), "{code:?} {said}");
    let (code, said) = check("ledger: {witnesses: [{url: \"http://w.example\", key: nonsense}]}\n");
    assert!(code == Some(2) && said.contains("not a verifier key"), "{code:?} {said}");
}
