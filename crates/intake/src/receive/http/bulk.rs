//! The body of a `_bulk` request: action line, document line, action line, …

use std::{borrow::Cow, collections::HashMap, convert::Infallible, sync::Arc};

use axum::http::StatusCode;
use serde::Deserialize;
use vedette_event::Reason;

use super::{
    body::Sink,
    documents::{Bad, Documents, Fate, check_object},
    request::{BodyCutter, Fatal},
};
use crate::receive::lines::{Line, Lines};

/// Longest index name, as Elasticsearch has it.
const MAX_INDEX_NAME: usize = 255;

/// The operations that have an item in the reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Index,
    Create,
    Update,
    Delete,
}

impl Operation {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Operation::Index => "index",
            Operation::Create => "create",
            Operation::Update => "update",
            Operation::Delete => "delete",
        }
    }
}

/// Unknown keys beside and inside the action are ignored, as clients send some.
#[derive(Deserialize)]
struct Action<'a> {
    #[serde(borrow)]
    index: Option<Target<'a>>,
    #[serde(borrow)]
    create: Option<Target<'a>>,
    #[serde(borrow)]
    update: Option<Target<'a>>,
    #[serde(borrow)]
    delete: Option<Target<'a>>,
}

#[derive(Deserialize)]
struct Target<'a> {
    #[serde(rename = "_index", borrow)]
    index: Option<Cow<'a, str>>,
}

/// Reads the decompressed body line by line.
pub(super) struct Bulk {
    lines: Lines,
    state: Reading,
}

pub(super) struct Reading {
    pub(super) documents: Documents,
    /// One per document, in order: what was asked and for which index.
    pub(super) actions: Vec<(Operation, u16)>,
    pub(super) indices: Vec<Arc<str>>,
    fatal: Option<Fatal>,
    known: HashMap<Arc<str>, u16>,
    max_documents: usize,
    line: u64,
    /// An action that waits for its document.
    open: Option<(Operation, u16)>,
}

impl Bulk {
    pub(super) fn new(documents: Documents, default_index: &str, line_limit: usize, max_documents: usize) -> Self {
        let mut state = Reading {
            documents,
            actions: Vec::new(),
            indices: Vec::new(),
            fatal: None,
            known: HashMap::new(),
            max_documents,
            line: 0,
            open: None,
        };
        state.index(default_index);
        Bulk { lines: Lines::new(line_limit), state }
    }

    pub(super) fn into_reading(self) -> Reading {
        self.state
    }
}

impl Sink for Bulk {
    fn take(&mut self, bytes: &[u8]) {
        let state = &mut self.state;
        let Ok(()) = self.lines.push(bytes, |line| {
            state.line(line);
            Ok::<(), Infallible>(())
        });
    }
}

impl BodyCutter for Bulk {
    fn documents(&mut self) -> &mut Documents {
        &mut self.state.documents
    }

    fn fatal(&self) -> Option<Fatal> {
        self.state.fatal.clone()
    }

    fn finish(&mut self) {
        let state = &mut self.state;
        let Ok(()) = self.lines.finish(|line| {
            state.line(line);
            Ok::<(), Infallible>(())
        });
        if let Some(open) = state.open.take() {
            state.refuse(open, Fate::Bad(Bad::NoDocument));
        }
    }
}

impl Reading {
    fn line(&mut self, line: Line<'_>) {
        self.line += 1;
        if self.fatal.is_some() || matches!(line, Line::Whole(line) if line.trim_ascii().is_empty()) {
            return;
        }
        match (self.open.take(), line) {
            (None, Line::Whole(line)) => self.action(line),
            (None, Line::TooLong) => self.fail("the action line is too long"),
            (Some(open @ (Operation::Update, _)), _) => self.refuse(open, Fate::Bad(Bad::Update)),
            (Some(open), Line::TooLong) => self.refuse(open, Fate::Refused(Reason::TooLarge)),
            (Some(open), Line::Whole(document)) => match check_object(document) {
                Ok(()) => {
                    self.actions.push(open);
                    self.documents.add(document);
                }
                Err(bad) => self.refuse(open, Fate::Bad(bad)),
            },
        }
    }

    fn action(&mut self, line: &[u8]) {
        if self.actions.len() >= self.max_documents {
            let limit = self.max_documents;
            self.fatal = Some(Fatal {
                status: StatusCode::PAYLOAD_TOO_LARGE,
                reason: format!("more than {limit} documents in one request; send smaller requests"),
                counted: Reason::TooLarge,
            });
            return;
        }
        let action: Action<'_> = match serde_json::from_slice(line) {
            Ok(action) => action,
            Err(error) => return self.fail(&format!("malformed action/metadata line: {error}")),
        };
        let (operation, target) = match action {
            Action { index: Some(target), .. } => (Operation::Index, target),
            Action { create: Some(target), .. } => (Operation::Create, target),
            Action { update: Some(target), .. } => (Operation::Update, target),
            Action { delete: Some(target), .. } => (Operation::Delete, target),
            _ => return self.fail("malformed action/metadata line: expected index, create, update or delete"),
        };
        let index = match &target.index {
            None => Some(0),
            Some(name) => self.index(name),
        };
        let Some(index) = index else {
            return self.fail("index names must have at most 255 bytes, and a request at most 65,535 of them");
        };
        match operation {
            Operation::Delete => self.refuse((operation, index), Fate::Bad(Bad::Delete)),
            _ => self.open = Some((operation, index)),
        }
    }

    fn index(&mut self, name: &str) -> Option<u16> {
        if let Some(known) = self.known.get(name) {
            return Some(*known);
        }
        if name.len() > MAX_INDEX_NAME {
            return None;
        }
        let number = u16::try_from(self.indices.len()).ok()?;
        let name: Arc<str> = name.into();
        self.indices.push(name.clone());
        self.known.insert(name, number);
        Some(number)
    }

    fn refuse(&mut self, action: (Operation, u16), fate: Fate) {
        self.actions.push(action);
        self.documents.refuse(fate);
    }

    fn fail(&mut self, reason: &str) {
        self.fatal = Some(Fatal {
            status: StatusCode::BAD_REQUEST,
            reason: format!("line {}: {reason}", self.line),
            counted: Reason::Malformed,
        });
    }
}
