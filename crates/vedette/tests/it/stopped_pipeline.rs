//! The pipeline ends on an error: Vedette ends, and what it had acknowledged is there after the next start.

use std::{path::Path, process::Command, sync::Mutex};

use crate::{
    acknowledging::{Account, Sender, assert_all_once},
    harness::{OTHERS, RECEIVERS, Running, folder, http, post, root, wait_until},
};

/// Changes the alert file behind Vedette's back.
fn alter(folder: &Path, statement: &str) {
    let code = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], timeout=30); c.execute(sys.argv[2]); c.commit()";
    let python = root().join("target/test-venv/bin/python");
    let status = Command::new(python).args(["-c", code]).arg(folder.join("data/alerts.db")).arg(statement).status();
    assert!(status.expect("`scripts/needs test` made the Python environment").success(), "{statement}");
}

/// Text that hardly compresses.
fn noise(seed: u64, words: usize) -> String {
    let mut state = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        format!("{state:016x}")
    };
    (0..words).map(|_| next()).collect()
}

#[test]
fn a_broken_alert_file_costs_no_record() {
    let folder = folder();
    // Nothing is sealed before the kill: the next start reads all of it again.
    let config = format!("{RECEIVERS}storage: {{seal_after_seconds: 3600}}\n");
    let running = Running::start(folder.path(), &config);
    let account = Mutex::new(Account::default());
    let mut sender = Sender::connect(running.address("http")).expect("it listens");
    let mut send = |requests: u64, size: usize| {
        for n in 0..requests {
            let name = |document| format!("broken-{size}-{n}-{document} {}", noise(n * 50 + document, size));
            sender.send((0..50).map(name).collect(), &account).expect("an answer");
        }
    };
    // Some batches before the finding, and after it more than a file of the spool that nobody needs is left to be.
    send(60, 10);
    let line = "<38>Nov 21 04:11:52 web1 sshd[811]: Accepted password for root from 192.0.2.7 port 4711 ssh2";
    http(running.address("http"), &post("/ingest?source=auth", "text/plain", line)).expect("an answer");
    running.wait_for_count("event.dataset:vedette.findings", 1);
    send(40, 400);
    running.kill();

    alter(folder.path(), "ALTER TABLE findings RENAME TO elsewhere");
    let running = Running::start(folder.path(), &config);
    wait_until("it ends", || running.has_ended());
    assert!(!running.stop().success());

    alter(folder.path(), "ALTER TABLE elsewhere RENAME TO findings");
    let running = Running::start(folder.path(), &config);
    let account = account.into_inner().expect("no sender panics");
    running.wait_for_at_least(&format!("broken-* {OTHERS}"), account.acknowledged.len() as u64);
    assert_all_once(&running.data(), "broken-*", &account.acknowledged);
    running.wait_for_count("event.dataset:vedette.findings", 1);
    assert_eq!(running.api("GET", "/api/v1/alerts", "").1["alerts"].as_array().map(Vec::len), Some(1));
}
