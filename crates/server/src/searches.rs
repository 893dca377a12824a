//! Searches that people keep.

use std::{path::Path, sync::Arc};

use rusqlite::{Connection, OptionalExtension, Row, params};
use vedette_event::Time;
use vedette_statefile::{Format, StateFile};

use crate::Language;

const FORMAT: Format = Format {
    what: "a file of saved searches",
    application_id: 0x5653_7263, // `VSrc`
    versions: &[CREATE],
};
const CREATE: &str = "
CREATE TABLE searches (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    query TEXT NOT NULL,
    language TEXT NOT NULL,             -- hunt, sql
    columns TEXT NOT NULL,              -- JSON: [\"user.name\", ..]
    owner TEXT NOT NULL,                -- who saved it first
    changed INTEGER NOT NULL            -- microseconds since 1970 UTC
) STRICT;
";
const MAX_SEARCHES: i64 = 10_000;
const MAX_NAME: usize = 200;
const MAX_QUERY: usize = 64 << 10;
const MAX_COLUMNS: usize = 200;

/// A search that somebody keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedSearch {
    /// Its number.
    pub id: i64,
    /// What it is.
    pub what: Search,
    /// Who saved it first.
    pub owner: String,
    /// When it last changed.
    pub changed: Time,
}

/// What is kept of a search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// What people call it.
    pub name: String,
    /// Its text.
    pub query: String,
    /// Its language.
    pub language: Language,
    /// The columns that are shown.
    pub columns: Vec<String>,
}

/// Why a search was not kept.
#[derive(Debug, thiserror::Error)]
pub enum SearchesError {
    /// It is not of the form.
    #[error("{0}")]
    Refused(String),
    /// There is none.
    #[error("there is no saved search {0}")]
    Unknown(i64),
    /// The file could not be opened: another program's, a newer Vedette's, or the system refuses.
    #[error(transparent)]
    File(#[from] vedette_statefile::OpenError),
    /// SQLite refused.
    #[error("the file of saved searches: {0}")]
    Sqlite(#[from] rusqlite::Error),
}

/// The file of saved searches. Cheap to clone; calls block on the disk.
#[derive(Clone, Debug)]
pub struct Searches(Arc<StateFile>);

impl Searches {
    /// Opens the file, creating it (readable by its owner only) if there is none.
    ///
    /// # Errors
    /// If it cannot be opened, is not ours, or was written by a newer Vedette.
    pub fn open(path: &Path) -> Result<Self, SearchesError> {
        Ok(Searches(Arc::new(FORMAT.open(path)?)))
    }

    /// Every saved search, by name.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn list(&self) -> Result<Vec<SavedSearch>, SearchesError> {
        self.0.read(|db| {
            let mut rows = db.prepare_cached(&format!("SELECT {COLUMNS} FROM searches ORDER BY lower(name), id"))?;
            let rows = rows.query_map([], saved)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Keeps a search.
    ///
    /// # Errors
    /// If it is not of the form, or the file cannot be written.
    pub fn add(&self, search: &Search, owner: &str, now: Time) -> Result<SavedSearch, SearchesError> {
        search.check()?;
        let insert = "INSERT INTO searches (name, query, language, columns, owner, changed) VALUES (?, ?, ?, ?, ?, ?)";
        let columns = columns(search);
        let Search { name, query, language, .. } = search;
        self.0.write(|tx| {
            let count: i64 = tx.query_row("SELECT count(*) FROM searches", [], |row| row.get(0))?;
            if count >= MAX_SEARCHES {
                let why = format!("there are {MAX_SEARCHES} saved searches; delete some first");
                return Err(SearchesError::Refused(why));
            }
            tx.execute(insert, params![name.trim(), query, language.as_str(), columns, owner, now.micros()])?;
            get(tx, tx.last_insert_rowid())
        })
    }

    /// Changes a search that is kept.
    ///
    /// # Errors
    /// As [`add`](Self::add); also if there is none of this number.
    pub fn change(&self, id: i64, search: &Search, now: Time) -> Result<SavedSearch, SearchesError> {
        search.check()?;
        let update = "UPDATE searches SET name = ?, query = ?, language = ?, columns = ?, changed = ? WHERE id = ?";
        let columns = columns(search);
        let Search { name, query, language, .. } = search;
        self.0.write(|tx| {
            tx.execute(update, params![name.trim(), query, language.as_str(), columns, now.micros(), id])?;
            get(tx, id)
        })
    }

    /// Keeps a search no more.
    ///
    /// # Errors
    /// If there is none of this number, or the file cannot be written.
    pub fn remove(&self, id: i64) -> Result<(), SearchesError> {
        self.0.write(|tx| match tx.execute("DELETE FROM searches WHERE id = ?", [id])? {
            0 => Err(SearchesError::Unknown(id)),
            _ => Ok(()),
        })
    }
}

impl Search {
    fn check(&self) -> Result<(), SearchesError> {
        let refused = |why: String| Err(SearchesError::Refused(why));
        let (name, columns) = (self.name.trim(), &self.columns);
        if name.is_empty() || name.chars().count() > MAX_NAME || name.chars().any(char::is_control) {
            return refused(format!("a search has a name of at most {MAX_NAME} printable characters"));
        }
        if self.query.len() > MAX_QUERY {
            return refused(format!("a query has at most {MAX_QUERY} bytes"));
        }
        if columns.len() > MAX_COLUMNS || columns.iter().any(|column| column.len() > 1000) {
            return refused(format!("a search has at most {MAX_COLUMNS} columns, each of at most 1000 bytes"));
        }
        Ok(())
    }
}

const COLUMNS: &str = "id, name, query, language, columns, owner, changed";

fn columns(search: &Search) -> String {
    serde_json::Value::from(search.columns.clone()).to_string()
}

fn get(db: &Connection, id: i64) -> Result<SavedSearch, SearchesError> {
    let found = db.query_row(&format!("SELECT {COLUMNS} FROM searches WHERE id = ?"), [id], saved).optional()?;
    found.ok_or(SearchesError::Unknown(id))
}

fn saved(row: &Row<'_>) -> rusqlite::Result<SavedSearch> {
    let columns: String = row.get("columns")?;
    let language: String = row.get("language")?;
    Ok(SavedSearch {
        id: row.get("id")?,
        what: Search {
            name: row.get("name")?,
            query: row.get("query")?,
            language: if language == Language::Sql.as_str() { Language::Sql } else { Language::Hunt },
            columns: serde_json::from_str(&columns).unwrap_or_default(),
        },
        owner: row.get("owner")?,
        changed: Time::from_micros(row.get("changed")?),
    })
}
