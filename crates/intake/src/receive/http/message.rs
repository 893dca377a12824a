//! A body that is one message, and has to be there whole before its documents are known.

use std::collections::VecDeque;

use axum::http::StatusCode;
use bytes::Bytes;
use vedette_event::Reason;

use super::{
    body::Sink,
    documents::{Documents, Fate},
    protobuf::Damaged,
    request::{BodyCutter, Fatal},
};
use crate::receive::Limits;

/// The largest message. The collector's own limit is of that size.
pub(super) const MAX_MESSAGE: usize = 20 << 20;
/// What a message may be taken apart into.
const MAX_UNPACKED: usize = 64 << 20;
/// So many documents are handed over at a time.
const STEP: usize = 256;

/// Takes a message apart: its documents in order, or what is wrong with it.
pub(super) type Unpack = fn(&[u8], &mut Unpacked) -> Result<(), Unreadable>;

/// The documents of a message. What several of them share stands in the message once and in each of them, so they are bounded by
/// themselves.
pub(super) struct Unpacked {
    documents: VecDeque<Bytes>,
    documents_left: usize,
    bytes_left: usize,
}

/// Why a message is not taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// It is not what the protocol says.
    Malformed(String),
    /// Its documents are too many, or too long together.
    TooLarge,
}

impl From<String> for Unreadable {
    fn from(reason: String) -> Self {
        Unreadable::Malformed(reason)
    }
}

impl From<Damaged> for Unreadable {
    fn from(_: Damaged) -> Self {
        Unreadable::Malformed("the message is not this protocol's request in protobuf".to_owned())
    }
}

impl Unpacked {
    fn new(limits: &Limits) -> Self {
        let bytes_left = limits.body_bytes.min(MAX_UNPACKED);
        Unpacked { documents: VecDeque::new(), documents_left: limits.documents, bytes_left }
    }

    pub(super) fn add(&mut self, document: Vec<u8>) -> Result<(), Unreadable> {
        self.spend(document.len())?;
        self.documents_left = self.documents_left.checked_sub(1).ok_or(Unreadable::TooLarge)?;
        self.documents.push_back(document.into());
        Ok(())
    }

    /// So many bytes were copied: that must end too, also where no document comes of it.
    pub(super) fn spend(&mut self, bytes: usize) -> Result<(), Unreadable> {
        self.bytes_left = self.bytes_left.checked_sub(bytes).ok_or(Unreadable::TooLarge)?;
        Ok(())
    }
}

/// The documents of a message.
#[cfg(test)]
pub(super) fn unpacked(unpack: Unpack, message: &[u8]) -> Result<Vec<Bytes>, Unreadable> {
    let mut unpacked = Unpacked::new(&Limits::default());
    unpack(message, &mut unpacked)?;
    Ok(unpacked.documents.into())
}

pub(super) struct Message {
    documents: Documents,
    bytes: Vec<u8>,
    document_limit: usize,
    unpack: Unpack,
    unpacked: Unpacked,
    fatal: Option<Fatal>,
}

impl Message {
    pub(super) fn new(documents: Documents, limits: &Limits, unpack: Unpack) -> Self {
        let (document_limit, unpacked) = (limits.document_bytes, Unpacked::new(limits));
        Message { documents, bytes: Vec::new(), document_limit, unpack, unpacked, fatal: None }
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
        match (self.unpack)(&std::mem::take(&mut self.bytes), &mut self.unpacked) {
            Ok(()) => {}
            Err(Unreadable::Malformed(reason)) => self.fail(StatusCode::BAD_REQUEST, reason, Reason::Malformed),
            Err(Unreadable::TooLarge) => {
                let reason = "the message has too many records, or too long ones together; send smaller messages";
                self.fail(StatusCode::PAYLOAD_TOO_LARGE, reason.to_owned(), Reason::TooLarge);
            }
        }
    }

    fn unpack(&mut self) -> bool {
        let unpacked = &mut self.unpacked.documents;
        for document in unpacked.drain(..STEP.min(unpacked.len())) {
            match document.len() > self.document_limit {
                true => self.documents.refuse(Fate::Refused(Reason::TooLarge)),
                false => self.documents.add(&document),
            }
        }
        !unpacked.is_empty()
    }
}
