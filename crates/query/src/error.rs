//! Why a query gave no answer.

use datafusion::error::DataFusionError;

use crate::{engine::Cancelled, syntax::Diagnostic};

/// Why a query gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The text is wrong; each diagnostic points into it.
    #[error("{}", .0.iter().map(Diagnostic::to_string).collect::<Vec<_>>().join("; "))]
    Text(Vec<Diagnostic>),
    /// The caller cancelled it.
    #[error("the query was cancelled")]
    Cancelled,
    /// It needs more memory than it may have.
    #[error("the query needs more than its memory budget ({0}); narrow the time range or group by fewer fields")]
    Memory(String),
    /// It produced more bytes than it may.
    #[error("the answer is larger than its budget of {0} bytes; take fewer rows or project fewer columns")]
    Bytes(u64),
    /// A table that came with the request cannot be read.
    #[error("table `{name}`: {reason}")]
    Table {
        /// The table.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Reading or computing failed.
    #[error("the query failed: {0}")]
    Failed(String),
}

impl From<Diagnostic> for QueryError {
    fn from(diagnostic: Diagnostic) -> Self {
        QueryError::Text(vec![diagnostic])
    }
}

impl From<DataFusionError> for QueryError {
    fn from(error: DataFusionError) -> Self {
        let mut cause: &(dyn std::error::Error + 'static) = &error;
        loop {
            if cause.is::<Cancelled>() {
                return QueryError::Cancelled;
            }
            match cause.source() {
                Some(source) => cause = source,
                None => break,
            }
        }
        match error.find_root() {
            DataFusionError::External(external) if external.is::<Cancelled>() => QueryError::Cancelled,
            DataFusionError::ResourcesExhausted(reason) => QueryError::Memory(first_line(reason)),
            _ => QueryError::Failed(first_line(&error.strip_backtrace())),
        }
    }
}

/// Messages of the engine without their notes and prefixes.
pub(crate) fn first_line(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    let mut line = line;
    for prefix in [
        "Error during planning: ",
        "Schema error: ",
        "Execution error: ",
        "External error: ",
        "This feature is not implemented: ",
    ] {
        line = line.strip_prefix(prefix).unwrap_or(line);
    }
    line.chars().take(400).collect()
}
