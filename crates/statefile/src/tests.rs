use std::{os::unix::fs::PermissionsExt, path::PathBuf};

use super::*;

const FIRST: &str = "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT";
const LINKS: &str = "
    CREATE TABLE links (note INTEGER NOT NULL REFERENCES notes(id)) STRICT;
    INSERT INTO links SELECT id FROM notes;
";
const OLD: Format = Format { what: "a file of notes", application_id: 0x564e_7465, versions: &[FIRST] };
const NOTES: Format = Format { versions: &[FIRST, LINKS], ..OLD };

fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.db");
    (folder, path)
}

fn add(file: &StateFile, text: &str) {
    file.write(|tx| tx.execute("INSERT INTO notes (text) VALUES (?1)", [text])).unwrap();
}

fn count(file: &StateFile, table: &str) -> i64 {
    file.read(|db| db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))).unwrap()
}

fn pragma<T: rusqlite::types::FromSql>(file: &StateFile, name: &str) -> T {
    file.connection().pragma_query_value(None, name, |row| row.get(0)).unwrap()
}

#[test]
fn a_file_is_private_durable_and_says_what_it_is() {
    let (_folder, path) = place();
    let file = NOTES.open(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let settings = ["application_id", "user_version", "synchronous", "foreign_keys", "busy_timeout"];
    assert_eq!(settings.map(|name| pragma::<i64>(&file, name)), [0x564e_7465, 2, 2, 1, 5000]);
    assert_eq!(pragma::<String>(&file, "journal_mode"), "wal");

    add(&file, "one");
    drop(file);
    assert_eq!(count(&NOTES.open(&path).unwrap(), "notes"), 1, "opening it again leaves it as it is");
}

#[test]
fn an_older_file_is_brought_to_the_newest_version() {
    let (_folder, path) = place();
    add(&OLD.open(&path).unwrap(), "one");
    for _ in 0..2 {
        let file = NOTES.open(&path).unwrap();
        assert_eq!((count(&file, "notes"), count(&file, "links")), (1, 1), "version 2 is added once");
    }
    assert!(matches!(OLD.open(&path), Err(OpenError::Newer { found: 2, known: 1, .. })));
}

#[test]
fn a_version_that_fails_leaves_the_file_as_it_was() {
    let (_folder, path) = place();
    add(&OLD.open(&path).unwrap(), "one");
    let broken = Format { versions: &[FIRST, "DELETE FROM notes; CREATE TABLE notes (x)"], ..OLD };
    let error = broken.open(&path).unwrap_err();
    assert!(error.to_string().contains("notes.db: table notes already exists"), "{error}");
    assert_eq!(count(&OLD.open(&path).unwrap(), "notes"), 1);
}

#[test]
fn newer_foreign_and_missing_files_are_refused_as_they_are() {
    let (folder, path) = place();
    drop(NOTES.open(&path).unwrap());
    let db = Connection::open(&path).unwrap();
    db.pragma_update(None, "user_version", 99).unwrap();
    for open in [Format::open, Format::open_read_only] {
        let error = open(&NOTES, &path).unwrap_err();
        assert!(matches!(error, OpenError::Newer { found: 99, known: 2, .. }), "{error}");
        let said = "notes.db is a file of notes of version 99, which is newer than the 2 this Vedette knows";
        assert!(error.to_string().contains(said), "{error}");
    }
    db.pragma_update(None, "user_version", -1).unwrap();
    assert!(matches!(NOTES.open(&path), Err(OpenError::Sqlite { .. })), "no Vedette counts down");
    db.pragma_update(None, "application_id", 7).unwrap();
    db.pragma_update(None, "user_version", 2).unwrap();
    let error = NOTES.open(&path).unwrap_err();
    assert!(error.to_string().contains("notes.db: not a file of notes of Vedette (application id 0x7)"), "{error}");

    for (name, theirs) in [("tables.db", "CREATE TABLE t (x)"), ("version.db", "PRAGMA user_version = 1")] {
        let other = folder.path().join(name);
        Connection::open(&other).unwrap().execute_batch(theirs).unwrap();
        let before = std::fs::read(&other).unwrap();
        for open in [Format::open, Format::open_read_only] {
            assert!(matches!(open(&NOTES, &other), Err(OpenError::Foreign { found: 0, .. })), "{name}");
        }
        assert_eq!(std::fs::read(&other).unwrap(), before, "{name}");
    }

    let text = folder.path().join("text.db");
    std::fs::write(&text, "this is not a database, it is a text of some length".repeat(100)).unwrap();
    assert!(NOTES.open(&text).unwrap_err().to_string().contains("not a database"));

    let missing = folder.path().join("missing.db");
    assert!(matches!(NOTES.open_read_only(&missing), Err(OpenError::Open { path, .. }) if path == missing));
    assert!(!missing.exists());
    assert!(matches!(NOTES.open(&missing.join("notes.db")), Err(OpenError::Open { .. })));
}

#[test]
fn a_transaction_is_all_or_nothing() {
    let file = NOTES.in_memory().unwrap();
    let refused = file.write(|tx| {
        tx.execute("INSERT INTO notes (text) VALUES ('half')", [])?;
        tx.execute("INSERT INTO links VALUES (999)", [])
    });
    assert!(refused.unwrap_err().to_string().contains("FOREIGN KEY"), "foreign keys are checked");
    assert_eq!(count(&file, "notes"), 0);
}

#[test]
fn a_panic_in_a_transaction_undoes_it_and_the_file_goes_on() {
    let file = NOTES.in_memory().unwrap();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        file.write(|tx| -> rusqlite::Result<()> {
            tx.execute("INSERT INTO notes (text) VALUES ('half')", [])?;
            panic!("in the middle")
        })
    }));
    assert!(panicked.is_err());
    add(&file, "whole");
    assert_eq!(count(&file, "notes"), 1);
}

#[test]
fn a_reader_beside_the_writer_sees_and_does_not_touch() {
    let (_folder, path) = place();
    let (writer, reader) = (NOTES.open(&path).unwrap(), NOTES.open_read_only(&path).unwrap());
    add(&writer, "one");
    assert_eq!(count(&reader, "notes"), 1);
    assert!(reader.write(|tx| tx.execute("DELETE FROM notes", [])).is_err());
}
