//! The file: its tables, transactions on them.

use std::{
    mem,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use rusqlite::{Connection, Transaction};
use vedette_statefile::{Format, StateFile};

use crate::{AlertError, RiskOptions, risk::Memory};

const FORMAT: Format = Format {
    what: "an alert file",
    application_id: 0x5641_6c74, // `VAlt`
    versions: &[CREATE, ADD_EXCEPTIONS, ADD_FIRED, ADD_RISK_AND_CASES, MAKE_RISK_CHEAP, COUNT_INCIDENTS_CHANGES],
};

const CREATE: &str = "
CREATE TABLE alerts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    revision INTEGER NOT NULL,
    group_key BLOB NOT NULL,
    rule_id TEXT NOT NULL,
    rule TEXT NOT NULL,                 -- JSON: id, title, level, author, techniques, tactics
    rule_time INTEGER NOT NULL,         -- of the finding the rule was quoted from
    rule_finding BLOB NOT NULL,
    level INTEGER NOT NULL,             -- 0 informational .. 4 critical
    entity_kind TEXT NOT NULL,
    entity_value TEXT NOT NULL,
    entities_truncated INTEGER NOT NULL DEFAULT 0,
    count INTEGER NOT NULL,
    first_time INTEGER NOT NULL,        -- microseconds since 1970 UTC, as all times here
    last_time INTEGER NOT NULL,
    state TEXT NOT NULL,                -- new, acknowledged, closed
    verdict TEXT,                       -- true_positive, false_positive, benign
    assignee TEXT,
    note TEXT,
    opened INTEGER NOT NULL,
    changed INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX one_open_alert_per_group ON alerts(group_key) WHERE state <> 'closed';
CREATE INDEX alerts_by_revision ON alerts(revision);
CREATE INDEX alerts_by_last ON alerts(last_time);
CREATE INDEX alerts_by_level ON alerts(level, last_time);
CREATE INDEX alerts_by_rule ON alerts(rule_id);
-- Every finding ever recorded, so that none counts twice.
CREATE TABLE findings (
    id BLOB PRIMARY KEY,
    alert INTEGER NOT NULL REFERENCES alerts(id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX findings_by_alert ON findings(alert);
-- The latest findings of an alert, with what an analyst needs to see.
CREATE TABLE hits (
    alert INTEGER NOT NULL REFERENCES alerts(id) ON DELETE CASCADE,
    time INTEGER NOT NULL,
    finding BLOB NOT NULL,
    events TEXT NOT NULL,               -- JSON: [\"3-1042\", ..]
    matched TEXT NOT NULL,              -- JSON: [{field, value}, ..]
    PRIMARY KEY (alert, time, finding)
) STRICT, WITHOUT ROWID;
CREATE TABLE entities (
    alert INTEGER NOT NULL REFERENCES alerts(id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (alert, kind, value)
) STRICT, WITHOUT ROWID;
CREATE INDEX entities_by_value ON entities(value, kind);
CREATE TABLE history (
    id INTEGER PRIMARY KEY,
    alert INTEGER NOT NULL REFERENCES alerts(id) ON DELETE CASCADE,
    time INTEGER NOT NULL,
    who TEXT NOT NULL,
    what TEXT NOT NULL,
    detail TEXT
) STRICT;
CREATE INDEX history_by_alert ON history(alert);
CREATE TABLE revision (last INTEGER NOT NULL) STRICT;
INSERT INTO revision VALUES (0);
";

/// What version 2 added.
const ADD_EXCEPTIONS: &str = "
CREATE TABLE exceptions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    rule_id TEXT NOT NULL,
    conditions TEXT NOT NULL,           -- JSON: [{field, value}, ..]
    reason TEXT NOT NULL,
    author TEXT NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER,
    hidden INTEGER NOT NULL DEFAULT 0,
    last_hidden INTEGER
) STRICT;
CREATE INDEX exceptions_by_rule ON exceptions(rule_id);
-- Findings that an exception keeps from the alerts, so that none counts twice.
CREATE TABLE hidden (finding BLOB PRIMARY KEY, time INTEGER NOT NULL) STRICT, WITHOUT ROWID;
";

/// What version 3 added. Of what was found before, that is counted which the file still knows.
const ADD_FIRED: &str = "
-- How often each rule has fired, also where an exception hid it or its alert has gone since.
CREATE TABLE fired (
    rule_id TEXT PRIMARY KEY,
    count INTEGER NOT NULL,
    last_time INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO fired SELECT rule_id, sum(count), max(last_time) FROM (
    SELECT rule_id, count, last_time FROM alerts
    UNION ALL SELECT rule_id, hidden, last_hidden FROM exceptions WHERE hidden > 0 AND last_hidden IS NOT NULL
) GROUP BY rule_id;
";

/// What version 4 added. Findings from before add no points: which entities each of them named was not kept.
const ADD_RISK_AND_CASES: &str = "
CREATE TABLE risk_entities (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,                 -- host, user, ip
    value TEXT NOT NULL,
    calm_from INTEGER,                  -- from this hour on it has no more than these points (see risk/calm.rs)
    calm_milli INTEGER NOT NULL DEFAULT 0,
    calm_tactics INTEGER NOT NULL DEFAULT 0,
    calm_options INTEGER NOT NULL DEFAULT 0,
    UNIQUE (kind, value)
) STRICT;
CREATE TABLE incidents (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    state TEXT NOT NULL,                -- open, closed, merged
    verdict TEXT,
    merged_into INTEGER,                -- an incident that came to be linked with this one and has its steps now
    entity INTEGER NOT NULL REFERENCES risk_entities(id),
    lone INTEGER NOT NULL,              -- 1: opened by a hub; only that entity's findings are in it
    is_full INTEGER NOT NULL DEFAULT 0,
    level INTEGER NOT NULL DEFAULT 0,
    steps INTEGER NOT NULL DEFAULT 0,
    findings INTEGER NOT NULL DEFAULT 0,
    pruned INTEGER NOT NULL DEFAULT 0,  -- of the findings, those that are no longer in a step
    first_time INTEGER NOT NULL,
    last_time INTEGER NOT NULL,
    opened INTEGER NOT NULL,
    changed INTEGER NOT NULL
) STRICT;
CREATE INDEX incidents_by_entity ON incidents(entity);
CREATE INDEX incidents_by_last ON incidents(last_time);
CREATE TABLE incident_history (
    id INTEGER PRIMARY KEY,
    incident INTEGER NOT NULL REFERENCES incidents(id) ON DELETE CASCADE,
    time INTEGER NOT NULL,
    who TEXT NOT NULL,
    what TEXT NOT NULL,
    detail TEXT
) STRICT;
CREATE INDEX incident_history_by_incident ON incident_history(incident);
-- The findings of one alert in one hour about the same entities.
CREATE TABLE steps (
    id INTEGER PRIMARY KEY,
    alert INTEGER NOT NULL REFERENCES alerts(id) ON DELETE CASCADE,
    hour INTEGER NOT NULL,              -- of event time, since 1970 UTC
    entities BLOB NOT NULL,             -- hash of the set
    sealed INTEGER NOT NULL DEFAULT 0,  -- 0, or the closed incident it belongs to
    rule INTEGER NOT NULL,              -- hash of the rule's id
    level INTEGER NOT NULL,
    tactics INTEGER NOT NULL,           -- one bit each
    count INTEGER NOT NULL,
    first_time INTEGER NOT NULL,
    last_time INTEGER NOT NULL,
    void INTEGER NOT NULL DEFAULT 0,    -- 1: judged to be no risk
    incident INTEGER REFERENCES incidents(id) ON DELETE SET NULL,
    UNIQUE (alert, hour, entities, sealed)
) STRICT;
CREATE INDEX steps_by_incident ON steps(incident, first_time) WHERE incident IS NOT NULL;
CREATE INDEX steps_by_hour ON steps(hour) WHERE incident IS NULL;
CREATE TABLE step_entities (
    entity INTEGER NOT NULL REFERENCES risk_entities(id),
    hour INTEGER NOT NULL,
    step INTEGER NOT NULL REFERENCES steps(id) ON DELETE CASCADE,
    PRIMARY KEY (entity, hour, step)
) STRICT, WITHOUT ROWID;
CREATE INDEX step_entities_by_step ON step_entities(step, entity);
-- What limits have cut, by the limit's name.
CREATE TABLE risk_cut (what TEXT PRIMARY KEY, count INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE cases (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    title TEXT NOT NULL,
    state TEXT NOT NULL,                -- open, closed
    verdict TEXT,
    summary TEXT,
    assignee TEXT,
    opened INTEGER NOT NULL,
    changed INTEGER NOT NULL
) STRICT;
CREATE INDEX cases_by_changed ON cases(changed);
CREATE TABLE case_alerts (
    case_id INTEGER NOT NULL REFERENCES cases(id) ON DELETE CASCADE,
    alert INTEGER NOT NULL REFERENCES alerts(id) ON DELETE CASCADE,
    PRIMARY KEY (case_id, alert)
) STRICT, WITHOUT ROWID;
CREATE INDEX case_alerts_by_alert ON case_alerts(alert);
CREATE TABLE case_incidents (
    case_id INTEGER NOT NULL REFERENCES cases(id) ON DELETE CASCADE,
    incident INTEGER NOT NULL REFERENCES incidents(id) ON DELETE CASCADE,
    PRIMARY KEY (case_id, incident)
) STRICT, WITHOUT ROWID;
CREATE INDEX case_incidents_by_incident ON case_incidents(incident);
CREATE TABLE case_notes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    case_id INTEGER NOT NULL REFERENCES cases(id) ON DELETE CASCADE,
    time INTEGER NOT NULL,
    author TEXT NOT NULL,
    text TEXT NOT NULL
) STRICT;
CREATE INDEX case_notes_by_case ON case_notes(case_id);
CREATE TABLE case_tasks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    case_id INTEGER NOT NULL REFERENCES cases(id) ON DELETE CASCADE,
    text TEXT NOT NULL,
    done_by TEXT,
    done_at INTEGER
) STRICT;
CREATE INDEX case_tasks_by_case ON case_tasks(case_id);
CREATE TABLE case_evidence (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    case_id INTEGER NOT NULL REFERENCES cases(id) ON DELETE CASCADE,
    item TEXT NOT NULL,                 -- JSON: {\"event\": \"3-1042\"} or {\"bundle\": {\"name\", \"blake3\"}}
    comment TEXT,
    added INTEGER NOT NULL,
    added_by TEXT NOT NULL,
    UNIQUE (case_id, item)
) STRICT;
CREATE TABLE case_history (
    id INTEGER PRIMARY KEY,
    case_id INTEGER NOT NULL REFERENCES cases(id) ON DELETE CASCADE,
    time INTEGER NOT NULL,
    who TEXT NOT NULL,
    what TEXT NOT NULL,
    detail TEXT
) STRICT;
CREATE INDEX case_history_by_case ON case_history(case_id);
";

/// What version 5 changed: a step has its entities' numbers instead of a hash of their names, so that the entities need no
/// index by step; what an entity has at most is kept in memory; an incident can be given to somebody; alerts, incidents and
/// cases have one history.
const MAKE_RISK_CHEAP: &str = "
CREATE TABLE new_steps (
    id INTEGER PRIMARY KEY,
    alert INTEGER NOT NULL REFERENCES alerts(id) ON DELETE CASCADE,
    hour INTEGER NOT NULL,              -- of event time, since 1970 UTC
    entities TEXT NOT NULL,             -- JSON: their numbers, ascending
    sealed INTEGER NOT NULL DEFAULT 0,  -- 0, or the closed incident it belongs to
    rule INTEGER NOT NULL,              -- hash of the rule's id
    level INTEGER NOT NULL,
    tactics INTEGER NOT NULL,           -- one bit each
    count INTEGER NOT NULL,
    first_time INTEGER NOT NULL,
    last_time INTEGER NOT NULL,
    void INTEGER NOT NULL DEFAULT 0,    -- 1: judged to be no risk
    incident INTEGER REFERENCES incidents(id) ON DELETE SET NULL,
    UNIQUE (alert, hour, entities, sealed)
) STRICT;
INSERT INTO new_steps SELECT id, alert, hour,
    (SELECT json_group_array(entity) FROM (SELECT entity FROM step_entities WHERE step = steps.id ORDER BY entity)),
    sealed, rule, level, tactics, count, first_time, last_time, void, incident FROM steps;
CREATE TABLE new_step_entities (
    entity INTEGER NOT NULL,
    hour INTEGER NOT NULL,
    step INTEGER NOT NULL,
    PRIMARY KEY (entity, hour, step)
) STRICT, WITHOUT ROWID;
INSERT INTO new_step_entities SELECT entity, hour, step FROM step_entities;
DROP TABLE step_entities;
DROP TABLE steps;
ALTER TABLE new_steps RENAME TO steps;
ALTER TABLE new_step_entities RENAME TO step_entities;
CREATE INDEX steps_by_incident ON steps(incident, first_time) WHERE incident IS NOT NULL;
CREATE INDEX steps_by_hour ON steps(hour) WHERE incident IS NULL;
CREATE TRIGGER step_is_gone AFTER DELETE ON steps BEGIN
    DELETE FROM step_entities WHERE entity IN (SELECT value FROM json_each(OLD.entities)) AND hour = OLD.hour AND step = OLD.id;
END;
ALTER TABLE incidents ADD COLUMN assignee TEXT;
ALTER TABLE risk_entities DROP COLUMN calm_from;
ALTER TABLE risk_entities DROP COLUMN calm_milli;
ALTER TABLE risk_entities DROP COLUMN calm_tactics;
ALTER TABLE risk_entities DROP COLUMN calm_options;
CREATE TABLE new_history (
    id INTEGER PRIMARY KEY,
    alert INTEGER REFERENCES alerts(id) ON DELETE CASCADE,
    incident INTEGER REFERENCES incidents(id) ON DELETE CASCADE,
    case_id INTEGER REFERENCES cases(id) ON DELETE CASCADE,
    time INTEGER NOT NULL,
    who TEXT NOT NULL,
    what TEXT NOT NULL,
    detail TEXT,
    CHECK ((alert IS NOT NULL) + (incident IS NOT NULL) + (case_id IS NOT NULL) = 1)
) STRICT;
INSERT INTO new_history (id, alert, time, who, what, detail) SELECT id, alert, time, who, what, detail FROM history;
INSERT INTO new_history (incident, time, who, what, detail)
    SELECT incident, time, who, what, detail FROM incident_history ORDER BY id;
INSERT INTO new_history (case_id, time, who, what, detail)
    SELECT case_id, time, who, what, detail FROM case_history ORDER BY id;
DROP TABLE history;
DROP TABLE incident_history;
DROP TABLE case_history;
ALTER TABLE new_history RENAME TO history;
CREATE INDEX history_by_alert ON history(alert) WHERE alert IS NOT NULL;
CREATE INDEX history_by_incident ON history(incident) WHERE incident IS NOT NULL;
CREATE INDEX history_by_case ON history(case_id) WHERE case_id IS NOT NULL;
";

/// What version 6 added: incidents can be followed as alerts can. Those that are there have not changed yet.
const COUNT_INCIDENTS_CHANGES: &str = "
ALTER TABLE incidents ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
CREATE INDEX incidents_by_revision ON incidents(revision);
ALTER TABLE revision ADD COLUMN last_of_incidents INTEGER NOT NULL DEFAULT 0;
";

/// More than rusqlite keeps by itself: recording a finding takes about thirty statements.
const STATEMENTS: usize = 128;
/// KiB of pages that the recorder keeps: its random inserts touch more than the two MiB that SQLite keeps by itself.
const PAGES_KIB: i64 = 16 << 10;

/// The alert file. Cheap to clone; every clone works on the same file.
#[derive(Clone, Debug)]
pub struct Alerts {
    shared: Arc<Shared>,
    pub(crate) risk: RiskOptions,
    keeps_risk: bool,
}

#[derive(Debug)]
struct Shared {
    write: Option<StateFile>,
    /// Readers do not wait for the recorder. In memory there is only one connection.
    read: Option<StateFile>,
    revision: AtomicU64,
    incidents_revision: AtomicU64,
    /// Held through every transaction that writes.
    memory: Mutex<Memory>,
}

impl Alerts {
    /// Opens the file, creating it (readable by its owner only) if there is none.
    ///
    /// # Errors
    /// If it cannot be opened, is not an alert file, or was written by a newer Vedette.
    pub fn open(path: &Path) -> Result<Self, AlertError> {
        Self::over(Some(FORMAT.open(path)?), Some(FORMAT.open_read_only(path)?))
    }

    /// Opens an existing file for reading, beside a server that writes it or without one.
    ///
    /// # Errors
    /// As [`open`](Self::open), and if there is no file.
    pub fn open_read_only(path: &Path) -> Result<Self, AlertError> {
        Self::over(None, Some(FORMAT.open_read_only(path)?))
    }

    /// Alerts that are gone with the last clone; for tests and offline runs.
    ///
    /// # Errors
    /// If SQLite cannot start.
    pub fn in_memory() -> Result<Self, AlertError> {
        Self::over(Some(FORMAT.in_memory()?), None)
    }

    fn over(write: Option<StateFile>, read: Option<StateFile>) -> Result<Self, AlertError> {
        for file in write.iter().chain(&read) {
            file.connection().set_prepared_statement_cache_capacity(STATEMENTS);
        }
        if let Some(file) = &write {
            file.connection().pragma_update(None, "cache_size", -PAGES_KIB)?;
        }
        let shared = Arc::new(Shared {
            write,
            read,
            revision: AtomicU64::new(0),
            incidents_revision: AtomicU64::new(0),
            memory: Mutex::default(),
        });
        let alerts = Alerts { shared, risk: RiskOptions::default(), keeps_risk: true };
        alerts.set_revisions(alerts.read(revisions)?);
        Ok(alerts)
    }

    /// With other numbers for risk than the default ones; this handle's clones have them too.
    ///
    /// # Errors
    /// If they make no sense together.
    pub fn with_risk(self, options: RiskOptions) -> Result<Self, AlertError> {
        options.check().map_err(AlertError::Risk)?;
        Ok(Alerts { risk: options, ..self })
    }

    /// The numbers for risk that this handle has.
    pub fn risk_options(&self) -> &RiskOptions {
        &self.risk
    }

    /// Findings add no risk: what nobody looks at is not computed.
    #[must_use]
    pub fn without_risk(self) -> Self {
        Alerts { keeps_risk: false, ..self }
    }

    /// The number of the latest change of an alert. Cheap: watch it to learn that something changed.
    pub fn revision(&self) -> u64 {
        self.shared.revision.load(Ordering::Acquire)
    }

    /// The number of the latest change of an incident, as [`revision`](Self::revision) is that of an alert.
    pub fn incidents_revision(&self) -> u64 {
        self.shared.incidents_revision.load(Ordering::Acquire)
    }

    fn set_revisions(&self, (of_alerts, of_incidents): (u64, u64)) {
        // Of two writers the later one may be here first.
        self.shared.revision.fetch_max(of_alerts, Ordering::AcqRel);
        self.shared.incidents_revision.fetch_max(of_incidents, Ordering::AcqRel);
    }

    /// Runs `f` in one transaction: all of it is durable when this returns `Ok`, none of it otherwise.
    pub(crate) fn write<T>(&self, f: impl FnOnce(&Writing<'_>) -> Result<T, AlertError>) -> Result<T, AlertError> {
        let mut memory = self.memory();
        *memory = Memory::default();
        self.transact(f)
    }

    /// The same for what changes risk as [`Memory`] does, which is kept for the next time.
    pub(crate) fn write_remembering<T>(
        &self,
        f: impl FnOnce(&Writing<'_>, &mut Memory) -> Result<T, AlertError>,
    ) -> Result<T, AlertError> {
        let mut kept = self.memory();
        // Out of its place: what a transaction that fails has changed in it is forgotten.
        let mut memory = mem::take(&mut *kept);
        let done = self.transact(|writing| {
            memory.forget_stale(writing)?;
            let done = f(writing, &mut memory)?;
            memory.write(writing)?;
            Ok(done)
        })?;
        *kept = memory;
        Ok(done)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // After a panic it is empty, which is always true.
        self.shared.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn transact<T>(&self, f: impl FnOnce(&Writing<'_>) -> Result<T, AlertError>) -> Result<T, AlertError> {
        let file = self.shared.write.as_ref().ok_or(AlertError::ReadOnly)?;
        let (done, last) = file.write(|tx| {
            let done = f(&Writing { tx, risk: &self.risk, keeps_risk: self.keeps_risk })?;
            Ok::<_, AlertError>((done, revisions(tx)?))
        })?;
        self.set_revisions(last);
        Ok(done)
    }

    /// Runs `f` on one consistent view.
    pub(crate) fn read<T>(&self, f: impl FnOnce(&Connection) -> Result<T, AlertError>) -> Result<T, AlertError> {
        let file = self.shared.read.as_ref().or(self.shared.write.as_ref());
        file.expect("every constructor gives at least one file").read(f)
    }
}

/// The latest changes of an alert and of an incident.
fn revisions(db: &Connection) -> Result<(u64, u64), AlertError> {
    Ok(db.query_row("SELECT last, last_of_incidents FROM revision", [], |row| {
        Ok((row.get::<_, i64>(0)?.unsigned_abs(), row.get::<_, i64>(1)?.unsigned_abs()))
    })?)
}

/// A transaction that gives out revisions.
pub(crate) struct Writing<'a> {
    pub(crate) tx: &'a Transaction<'a>,
    pub(crate) risk: &'a RiskOptions,
    /// Whether findings add any.
    pub(crate) keeps_risk: bool,
}

impl Writing<'_> {
    pub(crate) fn next_revision(&self) -> Result<i64, AlertError> {
        Ok(self.tx.query_row("UPDATE revision SET last = last + 1 RETURNING last", [], |row| row.get(0))?)
    }

    pub(crate) fn next_incidents_revision(&self) -> Result<i64, AlertError> {
        let sql = "UPDATE revision SET last_of_incidents = last_of_incidents + 1 RETURNING last_of_incidents";
        Ok(self.tx.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
    }
}
