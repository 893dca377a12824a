//! The file: what survives, what is refused.

use std::{collections::BTreeMap, os::unix::fs::PermissionsExt};

use vedette_alert::{AlertError, AlertId, Alerts, Condition, Fired, IncidentId, RiskFilter, Verdict};
use vedette_event::Time;
use vedette_statefile::OpenError;

use crate::support::{all, finding, record};

#[test]
fn all_is_there_after_reopening_and_only_the_owner_reads_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("alerts.db");
    let alerts = Alerts::open(&path).unwrap();
    record(&alerts, &[finding("a", "1", 1), finding("a", "2", 2)], 10);
    alerts.close(AlertId(1), Verdict::Benign, "ada", Some("ok"), Time::from_secs(11)).unwrap();
    let (before, revision) = (all(&alerts), alerts.revision());
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let pragma = rusqlite::Connection::open(&path).unwrap();
    let mode: String = pragma.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal");
    drop(alerts);

    let alerts = Alerts::open(&path).unwrap();
    assert_eq!((all(&alerts), alerts.revision()), (before, revision));
}

#[test]
fn what_was_committed_survives_a_copy_taken_under_load() {
    // A copy of the file and its WAL is what a machine that lost power finds.
    let (dir, after) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = dir.path().join("alerts.db");
    let alerts = Alerts::open(&path).unwrap();
    for seq in 0..40 {
        record(&alerts, &[finding("a", "1", seq), finding("b", "1", seq)], 10);
    }
    for name in ["alerts.db", "alerts.db-wal"] {
        std::fs::copy(dir.path().join(name), after.path().join(name)).unwrap();
    }
    // A torn last write.
    let wal = after.path().join("alerts.db-wal");
    let len = std::fs::metadata(&wal).unwrap().len();
    std::fs::OpenOptions::new().write(true).open(&wal).unwrap().set_len(len - 1000).unwrap();

    let recovered = Alerts::open(&after.path().join("alerts.db")).unwrap();
    let counts: Vec<_> = all(&recovered).iter().map(|detail| detail.alert.count).collect();
    assert_eq!(counts, [39, 39], "the torn transaction is gone as a whole, those before it are there");
    for seq in 0..40 {
        record(&recovered, &[finding("a", "1", seq), finding("b", "1", seq)], 10);
    }
    assert_eq!(all(&recovered)[0].alert.count, 40, "recording all again after the crash gives the truth");
}

#[test]
fn a_failing_batch_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("alerts.db");
    let alerts = Alerts::open(&path).unwrap();
    record(&alerts, &[finding("a", "1", 1)], 10);
    let before = (all(&alerts), alerts.revision());
    rusqlite::Connection::open(&path)
        .unwrap()
        .execute_batch(
            "CREATE TRIGGER full BEFORE INSERT ON findings WHEN (SELECT count(*) FROM findings) >= 2
             BEGIN SELECT raise(ABORT, 'disk full'); END",
        )
        .unwrap();
    let findings = [finding("a", "1", 2), finding("a", "1", 3)];
    let sightings: Vec<_> = findings.iter().map(vedette_alert::Sighting::from).collect();
    assert!(alerts.record(&sightings, Time::from_secs(11)).unwrap_err().to_string().contains("disk full"));
    assert_eq!((all(&alerts), alerts.revision()), before);
    assert!(!alerts.has(findings[0].id).unwrap());
}

#[test]
fn newer_and_foreign_files_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("alerts.db");
    drop(Alerts::open(&path).unwrap());
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    for open in [Alerts::open, Alerts::open_read_only] {
        let error = open(&path).unwrap_err();
        assert!(matches!(error, AlertError::File(OpenError::Newer { found: 99, .. })), "{error}");
        assert!(error.to_string().contains("newer"), "{error}");
    }

    let other = dir.path().join("other.db");
    rusqlite::Connection::open(&other).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    assert!(matches!(Alerts::open(&other).unwrap_err(), AlertError::File(OpenError::Foreign { .. })));
}

/// What a file of version 4 looked like, made of the newest.
const BACK_TO_VERSION_4: &str = "
DROP INDEX incidents_by_revision;
ALTER TABLE incidents DROP COLUMN revision;
ALTER TABLE revision DROP COLUMN last_of_incidents;
DROP TRIGGER step_is_gone;
CREATE TABLE old_step_entities (
    entity INTEGER NOT NULL REFERENCES risk_entities(id),
    hour INTEGER NOT NULL,
    step INTEGER NOT NULL REFERENCES old_steps(id) ON DELETE CASCADE,
    PRIMARY KEY (entity, hour, step)
) STRICT, WITHOUT ROWID;
CREATE TABLE old_steps (
    id INTEGER PRIMARY KEY,
    alert INTEGER NOT NULL REFERENCES alerts(id) ON DELETE CASCADE,
    hour INTEGER NOT NULL,
    entities BLOB NOT NULL,
    sealed INTEGER NOT NULL DEFAULT 0,
    rule INTEGER NOT NULL,
    level INTEGER NOT NULL,
    tactics INTEGER NOT NULL,
    count INTEGER NOT NULL,
    first_time INTEGER NOT NULL,
    last_time INTEGER NOT NULL,
    void INTEGER NOT NULL DEFAULT 0,
    incident INTEGER REFERENCES incidents(id) ON DELETE SET NULL,
    UNIQUE (alert, hour, entities, sealed)
) STRICT;
INSERT INTO old_steps SELECT id, alert, hour, CAST('hash of ' || entities AS BLOB), sealed, rule, level, tactics, count,
    first_time, last_time, void, incident FROM steps;
INSERT INTO old_step_entities SELECT * FROM step_entities;
DROP TABLE steps;
DROP TABLE step_entities;
ALTER TABLE old_steps RENAME TO steps;
ALTER TABLE old_step_entities RENAME TO step_entities;
CREATE INDEX steps_by_incident ON steps(incident, first_time) WHERE incident IS NOT NULL;
CREATE INDEX steps_by_hour ON steps(hour) WHERE incident IS NULL;
CREATE INDEX step_entities_by_step ON step_entities(step, entity);
ALTER TABLE incidents DROP COLUMN assignee;
ALTER TABLE risk_entities ADD COLUMN calm_from INTEGER;
ALTER TABLE risk_entities ADD COLUMN calm_milli INTEGER NOT NULL DEFAULT 0;
ALTER TABLE risk_entities ADD COLUMN calm_tactics INTEGER NOT NULL DEFAULT 0;
ALTER TABLE risk_entities ADD COLUMN calm_options INTEGER NOT NULL DEFAULT 0;
CREATE TABLE alert_history (
    id INTEGER PRIMARY KEY,
    alert INTEGER NOT NULL REFERENCES alerts(id) ON DELETE CASCADE,
    time INTEGER NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL, detail TEXT
) STRICT;
CREATE TABLE incident_history (
    id INTEGER PRIMARY KEY,
    incident INTEGER NOT NULL REFERENCES incidents(id) ON DELETE CASCADE,
    time INTEGER NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL, detail TEXT
) STRICT;
CREATE INDEX incident_history_by_incident ON incident_history(incident);
CREATE TABLE case_history (
    id INTEGER PRIMARY KEY,
    case_id INTEGER NOT NULL REFERENCES cases(id) ON DELETE CASCADE,
    time INTEGER NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL, detail TEXT
) STRICT;
CREATE INDEX case_history_by_case ON case_history(case_id);
INSERT INTO alert_history SELECT id, alert, time, who, what, detail FROM history WHERE alert IS NOT NULL;
INSERT INTO incident_history SELECT id, incident, time, who, what, detail FROM history WHERE incident IS NOT NULL;
INSERT INTO case_history SELECT id, case_id, time, who, what, detail FROM history WHERE case_id IS NOT NULL;
DROP TABLE history;
ALTER TABLE alert_history RENAME TO history;
CREATE INDEX history_by_alert ON history(alert);
PRAGMA user_version = 4;
";

#[test]
fn a_file_of_version_4_keeps_its_points_incidents_and_histories() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("alerts.db");
    let alerts = Alerts::open(&path).unwrap();
    let now = Time::from_secs(11);
    let findings: Vec<_> = (0..90).map(|seq| finding(["a", "b", "c"][seq as usize % 3], "1", seq)).collect();
    record(&alerts, &findings, 10);
    let case = alerts.open_case("one", "ada", now).unwrap();
    alerts.add_incident_to_case(case, IncidentId(1), "ada", now).unwrap();
    alerts.note_incident(IncidentId(1), "look", "ada", now).unwrap();
    alerts.acknowledge(AlertId(1), "ada", now).unwrap();
    let essence = |alerts: &Alerts| {
        let risk = alerts.risk(&RiskFilter::default(), Time::from_secs(9)).unwrap();
        (all(alerts), risk, alerts.incident(IncidentId(1)).unwrap(), alerts.case(case).unwrap())
    };
    let mut before = essence(&alerts);
    before.2.incident.revision = 0;
    assert!(before.1.total > 0 && before.2.timeline.len() > 1);
    drop(alerts);
    let db = rusqlite::Connection::open(&path).unwrap();
    db.pragma_update(None, "foreign_keys", false).unwrap();
    db.execute_batch(BACK_TO_VERSION_4).unwrap();
    drop(db);

    let alerts = Alerts::open(&path).unwrap();
    assert_eq!(essence(&alerts), before);
    assert_eq!((alerts.incidents_revision(), alerts.incidents_changed_since(0, 10).unwrap()), (0, vec![]));
    record(&alerts, &[finding("a", "1", 90)], 12);
    assert_eq!(alerts.incidents_changed_since(0, 10).unwrap().len(), 1);
    assert_eq!(alerts.incident(IncidentId(1)).unwrap().incident.findings, before.2.incident.findings + 1);
    let db = rusqlite::Connection::open(&path).unwrap();
    let broken: i64 = db.query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0)).unwrap();
    assert_eq!(broken, 0);
}

/// Makes a file of version 3 of it, and then an older one.
fn make_older(path: &std::path::Path, further: &str) {
    let db = rusqlite::Connection::open(path).unwrap();
    db.pragma_update(None, "foreign_keys", false).unwrap();
    db.execute_batch(BACK_TO_VERSION_4).unwrap();
    let mut tables = db
        .prepare(
            "SELECT name FROM sqlite_schema WHERE type = 'table'
             AND (name LIKE 'case%' OR name LIKE 'risk%' OR name LIKE 'incident%' OR name LIKE 'step%')",
        )
        .unwrap();
    let tables: Vec<String> = tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(tables.len(), 13);
    for table in tables {
        db.execute_batch(&format!("DROP TABLE {table}")).unwrap();
    }
    db.execute_batch("PRAGMA user_version = 3").unwrap();
    db.execute_batch(further).unwrap();
}

#[test]
fn a_file_from_before_risk_has_it_after_opening() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("alerts.db");
    let alerts = Alerts::open(&path).unwrap();
    record(&alerts, &[finding("a", "1", 1), finding("b", "1", 2)], 10);
    alerts.close(AlertId(1), Verdict::FalsePositive, "ada", None, Time::from_secs(11)).unwrap();
    let before = (all(&alerts), alerts.revision());
    drop(alerts);
    make_older(&path, "");

    let alerts = Alerts::open(&path).unwrap();
    assert_eq!((all(&alerts), alerts.revision()), before);
    // What was found before has no points, what is found from now on has.
    let user = vedette_event::Entity { kind: "user".into(), value: "user1".into() };
    assert_eq!(alerts.risk_of(&user, Time::from_secs(9)).unwrap().points, 0.0);
    record(&alerts, &[finding("a", "1", 1), finding("b", "1", 4)], 12);
    assert_eq!(alerts.risk_of(&user, Time::from_secs(9)).unwrap().points, 15.0);
    alerts.reopen(AlertId(1), "ada", Time::from_secs(13)).unwrap();
    assert_eq!(alerts.open_case("x", "ada", Time::from_secs(13)).unwrap().0, 1);
}

#[test]
fn a_file_from_before_exceptions_has_them_after_opening() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("alerts.db");
    let alerts = Alerts::open(&path).unwrap();
    record(&alerts, &[finding("a", "1", 1)], 10);
    let before = (all(&alerts), alerts.revision());
    drop(alerts);
    make_older(&path, "DROP TABLE exceptions; DROP TABLE hidden; DROP TABLE fired; PRAGMA user_version = 1");

    let alerts = Alerts::open(&path).unwrap();
    assert_eq!((all(&alerts), alerts.revision()), before);
    assert_eq!(alerts.exceptions().unwrap(), []);
}

#[test]
fn how_often_a_rule_fired_is_known_after_all_that_happens_to_its_alerts() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("alerts.db");
    let alerts = Alerts::open(&path).unwrap();
    let everything = Condition { field: "user.name".into(), value: "user*".into() };
    alerts.except("hidden", &[everything], "a test", None, "ada", Time::from_secs(0)).unwrap();
    let findings = [finding("a", "1", 3), finding("a", "1", 2), finding("a", "2", 4), finding("hidden", "1", 9)];
    record(&alerts, &findings, 10);
    record(&alerts, &findings, 11);
    let fired = |count, last| Fired { count, last: Time::from_secs(last) };
    let expected = BTreeMap::from([("a".to_owned(), fired(3, 4)), ("hidden".to_owned(), fired(1, 9))]);
    assert_eq!(alerts.fired_by_rule().unwrap(), expected);
    // Also of a file from before they were counted.
    drop(alerts);
    make_older(&path, "DROP TABLE fired; PRAGMA user_version = 2");
    let alerts = Alerts::open(&path).unwrap();
    assert_eq!(alerts.fired_by_rule().unwrap(), expected);
    for id in [1, 2] {
        alerts.close(AlertId(id), Verdict::Benign, "ada", None, Time::from_secs(12)).unwrap();
    }
    assert_eq!(alerts.prune(Time::from_secs(100)).unwrap(), 2);
    drop(alerts);
    assert_eq!(Alerts::open_read_only(&path).unwrap().fired_by_rule().unwrap(), expected);
}

#[test]
fn a_reader_beside_the_writer_sees_and_does_not_touch() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("alerts.db");
    let writer = Alerts::open(&path).unwrap();
    let reader = Alerts::open_read_only(&path).unwrap();
    record(&writer, &[finding("a", "1", 1)], 10);
    assert_eq!(all(&reader), all(&writer));
    assert!(matches!(reader.acknowledge(AlertId(1), "ada", Time::from_secs(1)), Err(AlertError::ReadOnly)));
}
