use std::os::unix::fs::FileExt;

use vedette_store::{Options, Store, StoreError, Term};

use crate::support::{Clock, START, batch, check_events, events, files, open};

fn sqlite(dir: &std::path::Path, sql: &str) {
    rusqlite::Connection::open(dir.join("manifest.sqlite")).unwrap().execute_batch(sql).unwrap();
}

#[test]
fn a_newer_manifest_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).append(&batch(1, 0..3, START), 0).unwrap();
    sqlite(dir.path(), "PRAGMA user_version = 3");
    for result in [Store::open(dir.path(), Options::default()), Store::open_read_only(dir.path(), Options::default())] {
        let error = result.err().unwrap();
        assert!(matches!(error, StoreError::Newer { found: 3, known: 2, .. }), "{error}");
        assert!(error.to_string().contains("use a newer vedette"), "{error}");
    }
}

#[test]
fn another_database_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    sqlite(dir.path(), "CREATE TABLE theirs (x)");
    let error = Store::open(dir.path(), Options::default()).err().unwrap();
    assert!(error.to_string().contains("not a manifest"), "{error}");
}

#[test]
fn a_newer_sidecar_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.append(&batch(1, 0..3, START), 0).unwrap();
    store.seal().unwrap();
    let segment = &store.snapshot().segments[0];
    let file = std::fs::File::options().write(true).open(segment.tokens_path()).unwrap();
    // The version is in the footer, before the magic.
    file.write_all_at(&2u32.to_le_bytes(), segment.tokens_bytes() - 12).unwrap();
    let term = Term::Word("absent".into()).into();
    let error = segment.try_candidates(&term).unwrap_err();
    assert!(matches!(error, StoreError::Newer { what: "token sidecar", found: 2, .. }), "{error}");
    assert!(segment.candidates(&term).is_all());
}

/// One writer at a time; readers only when there is none; reading changes nothing on disk.
#[test]
fn readers_and_writers_exclude_each_other() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(Store::open_read_only(dir.path(), Options::default()), Ok(store) if store.stats().events == 0));
    let store = open(dir.path());
    store.append(&batch(1, 0..100, START), 0).unwrap();
    store.seal().unwrap();
    for second in [Store::open(dir.path(), Options::default()), Store::open_read_only(dir.path(), Options::default())] {
        assert!(matches!(second.err().unwrap(), StoreError::Locked { .. }));
    }
    drop(store);

    let before = files(dir.path());
    let reader = Store::open_read_only(dir.path(), Clock::new().options()).unwrap();
    let another = Store::open_read_only(dir.path(), Options::default()).unwrap();
    assert!(matches!(Store::open(dir.path(), Options::default()), Err(StoreError::Locked { .. })));
    check_events(&another, &[(1, 100)]);
    // What the spool has beyond the segments can be shown too.
    reader.append(&batch(1, 90..120, START), 0).unwrap();
    check_events(&reader, &[(1, 120)]);
    for refused in [reader.seal().map(drop), reader.compact().map(drop), reader.retain(|_| Ok(())).map(drop)] {
        assert!(matches!(refused, Err(StoreError::ReadOnly)));
    }
    drop((reader, another));
    assert_eq!(files(dir.path()), before);
    assert_eq!(events(&open(dir.path()).snapshot()).len(), 100);
}
