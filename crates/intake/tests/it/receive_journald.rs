//! The journal, with a stand-in for `journalctl` that behaves as it does.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use tokio_util::sync::CancellationToken;
use vedette_event::Reason;
use vedette_intake::receive::{
    ReceiveError,
    files::Start,
    journald::{self, Config},
};

use crate::support::Folder;

const SOURCE: &str = "journald:local";

/// Prints the lines of a file after the one with the cursor that it is given, and stays.
fn journalctl(folder: &Folder) -> PathBuf {
    let path = folder.path("journalctl");
    let journal = folder.path("journal");
    let script = format!(
        r#"#!/bin/sh
after=""
for argument in "$@"; do case "$argument" in --after-cursor=*) after="${{argument#--after-cursor=}}";; esac; done
if [ -n "$after" ]; then sed "1,/\"$after\"/d" {journal}; else cat {journal}; fi
exec sleep 60
"#,
        journal = journal.display()
    );
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    path
}

fn entry(number: usize) -> String {
    format!("{{\"__CURSOR\":\"c{number};\",\"MESSAGE\":\"entry {number}\"}}")
}

fn config(folder: &Folder) -> Config {
    Config {
        program: journalctl(folder),
        start: Start::Beginning,
        record_bytes: 1000,
        ..Config::new(folder.path("journald.json"))
    }
}

#[tokio::test]
async fn entries_come_once_over_restarts() {
    let folder = Folder::new();
    let mut journal: Vec<String> = (0..5).map(entry).collect();
    fs::write(folder.path("journal"), journal.join("\n") + "\nnonsense\n" + &"x".repeat(2000) + "\n").unwrap();
    let shutdown = CancellationToken::new();
    let receiver = journald::open(config(&folder), folder.spool.clone()).unwrap();
    let running = tokio::spawn(receiver.run(shutdown.clone()));
    folder.until("five entries", |folder| folder.stored(SOURCE) == 5 && folder.losses(SOURCE).received() == 7).await;
    assert_eq!(folder.texts(SOURCE), journal);
    assert_eq!(folder.refused(SOURCE, Reason::Malformed), 1);
    assert_eq!(folder.refused(SOURCE, Reason::TooLarge), 1);
    shutdown.cancel();
    running.await.unwrap().unwrap();

    // The checkpoint may be older than the spool: here it says that only two were stored.
    let text = fs::read_to_string(folder.path("journald.json")).unwrap();
    assert_eq!(text, r#"{"cursor":"c4;","stored":5}"#);
    fs::write(folder.path("journald.json"), r#"{"cursor":"c1;","stored":2}"#).unwrap();
    journal.extend((5..8).map(entry));
    fs::write(folder.path("journal"), journal.join("\n") + "\n").unwrap();
    let folder = folder.reopened();
    let shutdown = CancellationToken::new();
    let receiver = journald::open(config(&folder), folder.spool.clone()).unwrap();
    let running = tokio::spawn(receiver.run(shutdown.clone()));
    folder.until("eight entries", |folder| folder.stored(SOURCE) == 8).await;
    assert_eq!(folder.texts(SOURCE), journal);
    shutdown.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn where_there_is_no_journalctl_it_is_said() {
    let folder = Folder::new();
    let missing = Config { program: "/nonexistent/journalctl".into(), ..config(&folder) };
    let receiver = journald::open(missing, folder.spool.clone()).unwrap();
    let error = receiver.run(CancellationToken::new()).await.unwrap_err();
    assert!(matches!(error, ReceiveError::NoJournal(_)));
    assert_eq!(error.to_string(), "no journal on this machine: /nonexistent/journalctl is not installed");
}
