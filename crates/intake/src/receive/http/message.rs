//! A body that is one message, and has to be there whole before its documents are known.

use std::collections::VecDeque;

use axum::http::StatusCode;
use bytes::Bytes;
use vedette_event::Reason;

use super::{
    body::Sink,
    documents::{Documents, Fate},
    request::{BodyCutter, Fatal},
};

/// The largest message. The collector's own limit is of that size.
pub(super) const MAX_MESSAGE: usize = 20 << 20;
/// So many documents are handed over at a time.
const STEP: usize = 256;

/// Takes a message apart: its documents in order, or what is wrong with it.
pub(super) type Unpack = fn(&[u8]) -> Result<Vec<Bytes>, String>;

pub(super) struct Message {
    documents: Documents,
    bytes: Vec<u8>,
    document_limit: usize,
    unpack: Unpack,
    unpacked: VecDeque<Bytes>,
    fatal: Option<Fatal>,
}

impl Message {
    pub(super) fn new(documents: Documents, document_limit: usize, unpack: Unpack) -> Self {
        Message { documents, bytes: Vec::new(), document_limit, unpack, unpacked: VecDeque::new(), fatal: None }
    }

    pub(super) fn into_documents(self) -> Documents {
        self.documents
    }

    fn fail(&mut self, status: StatusCode, reason: String, counted: Reason) {
        self.fatal = Some(Fatal { status, reason, counted });
    }
}

impl Sink for Message {
    fn take(&mut self, bytes: &[u8]) {
        if self.bytes.len() + bytes.len() > MAX_MESSAGE {
            let reason = format!("the message is larger than {MAX_MESSAGE} bytes; send smaller ones");
            return self.fail(StatusCode::PAYLOAD_TOO_LARGE, reason, Reason::TooLarge);
        }
        self.bytes.extend_from_slice(bytes);
    }
}

impl BodyCutter for Message {
    fn documents(&mut self) -> &mut Documents {
        &mut self.documents
    }

    fn fatal(&self) -> Option<Fatal> {
        self.fatal.clone()
    }

    fn finish(&mut self) {
        match (self.unpack)(&std::mem::take(&mut self.bytes)) {
            Ok(documents) => self.unpacked = documents.into(),
            Err(reason) => self.fail(StatusCode::BAD_REQUEST, reason, Reason::Malformed),
        }
    }

    fn unpack(&mut self) -> bool {
        for document in self.unpacked.drain(..STEP.min(self.unpacked.len())) {
            match document.len() > self.document_limit {
                true => self.documents.refuse(Fate::Refused(Reason::TooLarge)),
                false => self.documents.add(&document),
            }
        }
        !self.unpacked.is_empty()
    }
}
