/// Why notifications could not be opened, configured or changed. No text of it holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// The configuration is wrong.
    #[error("{0}")]
    Config(#[from] vedette_event::Fault),
    /// The file could not be opened: another program's, a newer Vedette's, or the system refuses.
    #[error(transparent)]
    File(#[from] vedette_statefile::OpenError),
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
