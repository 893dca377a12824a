//! What was wrong with a rule, a parser, a configuration or a query, and where.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A refusal that names the place, the reason and a way out. Prints as
/// `file:line:column: message (hint)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// The file, as the user named it; empty for text without a file.
    #[serde(default)]
    pub file: String,
    /// Line from 1; 0 where there is no line.
    pub line: u32,
    /// Column in characters from 1; 0 where there is no column.
    pub column: u32,
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Diagnostic {
    /// A diagnostic at a place in a file.
    pub fn new(file: impl Into<String>, line: u32, column: u32, message: impl Into<String>) -> Self {
        Diagnostic { file: file.into(), line, column, message: message.into(), hint: None }
    }

    /// Adds a hint.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.file.is_empty() {
            write!(f, "{}:", self.file)?;
        }
        if self.line > 0 {
            write!(f, "{}:", self.line)?;
            if self.column > 0 {
                write!(f, "{}:", self.column)?;
            }
        }
        if !self.file.is_empty() || self.line > 0 {
            write!(f, " ")?;
        }
        write!(f, "{}", self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, " ({hint})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostic {}
