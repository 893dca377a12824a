use std::path::PathBuf;

/// Why notifications could not be opened, configured or changed. No text of it holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// The configuration is wrong.
    #[error("{0}")]
    Config(String),
    /// The file was written by a newer Vedette.
    #[error(
        "{path}: notification file version {found} is newer than the {known} this Vedette knows; use the newer Vedette or restore a backup"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The version it says.
        found: i64,
        /// The newest version this code knows.
        known: i64,
    },
    /// The file is some other program's database.
    #[error("{path}: not a notification file of Vedette (application id {found:#x})")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// SQLite's `application_id` found in it.
        found: i32,
    },
    /// The file could not be opened or created.
    #[error("{path}: {source}")]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// SQLite refused.
    #[error("notification file: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A row does not hold what this code writes.
    #[error("notification file: {what} holds what Vedette does not write; the file was changed or is damaged")]
    Damaged {
        /// Table and column.
        what: &'static str,
    },
    /// The alerts could not be read.
    #[error(transparent)]
    Alerts(#[from] vedette_alert::AlertError),
    /// There is no such channel.
    #[error("there is no channel `{0}`")]
    UnknownChannel(String),
    /// There is no such dead letter.
    #[error("there is no dead letter {0}")]
    UnknownLetter(i64),
}
