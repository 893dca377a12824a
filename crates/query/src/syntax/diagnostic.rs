//! What is wrong with a query, and where.

use std::{fmt, ops::Range};

use serde::Serialize;

/// A refusal that points into the query text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// The first byte it is about.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
    /// Line from 1.
    pub line: usize,
    /// Column in characters from 1.
    pub column: usize,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Diagnostic {
    /// A diagnostic about a byte range of `text`; a range outside it or inside a character is moved.
    pub fn new(text: &str, range: Range<usize>, message: impl Into<String>) -> Self {
        let floor = |mut at: usize| {
            at = at.min(text.len());
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let start = floor(range.start);
        let end = floor(range.end).max(start);
        let before = &text[..start];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Diagnostic {
            message: message.into(),
            start,
            end,
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            hint: None,
        }
    }

    /// Adds a hint.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The message with the line of the query under it and carets under the place:
    ///
    /// ```text
    /// error: unknown operator `sumarize`
    ///   | 1:10
    ///   | failed | sumarize count()
    ///   |          ^^^^^^^^
    ///   = hint: did you mean `summarize`?
    /// ```
    pub fn render(&self, text: &str) -> String {
        let mut out = format!("error: {}\n  | {}:{}\n", self.message, self.line, self.column);
        let start = self.start.min(text.len());
        let line_start = text.get(..start).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
        let line_end = text.get(start..).and_then(|rest| rest.find('\n')).map_or(text.len(), |at| start + at);
        let line = text.get(line_start..line_end).unwrap_or_default();
        // A window of a long line, so that the caret is seen on a terminal.
        let column = self.column - 1;
        let skip = column.saturating_sub(60);
        let shown: String = line.chars().skip(skip).take(120).map(|c| if c.is_control() { ' ' } else { c }).collect();
        let width = text.get(start..self.end.min(line_end)).map_or(1, |marked| marked.chars().count()).clamp(1, 60);
        out.push_str(&format!("  | {shown}\n  | {}{}\n", " ".repeat(column - skip), "^".repeat(width)));
        if let Some(hint) = &self.hint {
            out.push_str(&format!("  = hint: {hint}\n"));
        }
        out
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Diagnostic {}
