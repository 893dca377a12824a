use crate::{AlertId, CaseId, IncidentId, State};

/// Why the alert file could not be opened, read or changed.
#[derive(Debug, thiserror::Error)]
pub enum AlertError {
    /// The file could not be opened: another program's, a newer Vedette's, or the system refuses.
    #[error(transparent)]
    File(#[from] vedette_statefile::OpenError),
    /// SQLite refused.
    #[error("alert file: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A row does not hold what this code writes.
    #[error("alert file: {what} holds `{found}`, which Vedette does not write; the file was changed or is damaged")]
    Damaged {
        /// Table and column.
        what: &'static str,
        /// What is there.
        found: String,
    },
    /// There is no such alert.
    #[error("there is no alert {0}")]
    Unknown(AlertId),
    /// The alert's state does not allow it.
    #[error("alert {id} cannot be {wanted}: it is {}{}", state.as_str(), by_whom(by.as_deref()))]
    Transition {
        /// The alert.
        id: AlertId,
        /// What was asked, as a past participle: `acknowledged`, `closed`, `reopened`.
        wanted: &'static str,
        /// The state it is in.
        state: State,
        /// Who brought it there, if anybody did.
        by: Option<String>,
    },
    /// An alert cannot be reopened beside an open one of its group.
    #[error("alert {id} cannot be reopened: alert {open} of the same rule and entity is open; go on there")]
    GroupOpen {
        /// The closed alert.
        id: AlertId,
        /// The open one.
        open: AlertId,
    },
    /// An exception says too little, or there are too many.
    #[error("exception: {0}")]
    Exception(String),
    /// There is no such exception.
    #[error("there is no exception {0}")]
    NoException(i64),
    /// The numbers for risk make no sense.
    #[error("risk: {0}")]
    Risk(String),
    /// There is no such incident.
    #[error("there is no incident {0}")]
    NoIncident(IncidentId),
    /// An incident that is not open cannot be judged or given to anybody.
    #[error("incident {id} is {state}, not open")]
    NotOpen {
        /// The incident.
        id: IncidentId,
        /// What it is: `closed`, or `merged into 7`.
        state: String,
    },
    /// There is no such case.
    #[error("there is no case {0}")]
    NoCase(CaseId),
    /// There is no such task.
    #[error("case {case} has no task {task}")]
    NoTask {
        /// The case.
        case: CaseId,
        /// The number asked for.
        task: i64,
    },
    /// The case's state does not allow it.
    #[error("case {id} is {}", if *closed { "closed; reopen it first" } else { "not closed" })]
    CaseState {
        /// The case.
        id: CaseId,
        /// Whether it is closed.
        closed: bool,
    },
    /// What was asked of a case says too little, is there already, or is too much.
    #[error("case: {0}")]
    Case(String),
    /// A text is longer than its limit.
    #[error("{what} of {bytes} bytes is longer than {limit}")]
    TooLong {
        /// Which text.
        what: &'static str,
        /// Its length.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The file is open for reading only.
    #[error("the alert file is open for reading only; is the server running? use its socket to change alerts")]
    ReadOnly,
}

fn by_whom(by: Option<&str>) -> String {
    by.map_or_else(String::new, |by| format!(" by {by}"))
}
