//! What is wrong within a document that was read, and in which part of it.

use std::fmt;

/// What is wrong with a value, and the way to it. Whoever has the document's text finds the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The way from the document's root; empty for the document itself.
    pub path: Vec<Step>,
    /// What is wrong: lower case, no full stop.
    pub message: String,
}

/// A step on the way to a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// To a map's entry.
    Key(String),
    /// To a list's element, from 0.
    Index(usize),
}

impl Fault {
    /// The same, seen from one step nearer to the root.
    pub fn at(mut self, step: impl Into<Step>) -> Self {
        self.path.insert(0, step.into());
        self
    }

    /// The same with what it is about before it.
    pub fn about(mut self, what: impl fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }
}

impl From<String> for Fault {
    fn from(message: String) -> Self {
        Fault { path: Vec::new(), message }
    }
}

impl From<&str> for Fault {
    fn from(message: &str) -> Self {
        message.to_owned().into()
    }
}

impl From<&str> for Step {
    fn from(key: &str) -> Self {
        Step::Key(key.to_owned())
    }
}

impl From<usize> for Step {
    fn from(index: usize) -> Self {
        Step::Index(index)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}
