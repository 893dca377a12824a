//! The documents of one request and what became of each.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use serde::de::IgnoredAny;
use tokio::time::Instant;
use vedette_event::{Reason, Source};
use vedette_spool::{Spool, Ticket};

use crate::receive::{
    Counters, Limits,
    deliver::{Backoff, MAX_PORTION, is_passing},
};

/// What became of one document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Handed over, not yet known; never in a reply.
    Waiting,
    /// Durable, with this sequence number.
    Stored(u64),
    /// The spool or a limit refused it.
    Refused(Reason),
    /// It is not what the protocol asks for.
    Bad(Bad),
}

/// What is wrong with a document or an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bad {
    NotAnObject,
    Syntax { column: u32 },
    Update,
    Delete,
    NoDocument,
    Garbage,
}

impl Bad {
    pub(super) fn reason(self) -> String {
        match self {
            Bad::NotAnObject => "the document is not a JSON object".to_owned(),
            Bad::Syntax { column } => format!("the document is not valid JSON (at byte {column})"),
            Bad::Update => "update is not supported: the store is append-only; use index or create".to_owned(),
            Bad::Delete => "delete is not supported: the store is append-only".to_owned(),
            Bad::NoDocument => "the action has no document line after it".to_owned(),
            Bad::Garbage => "no JSON value can begin here, or it is not complete".to_owned(),
        }
    }
}

/// Why the spool did not take a document, for its sender.
pub(super) fn refusal(reason: Reason) -> &'static str {
    match reason {
        Reason::Busy => "the spool is busy; try again later",
        Reason::DiskFull => "the disk is full; try again later",
        Reason::WriteFailed => "writing to the disk failed; try again later",
        Reason::TooLarge => "the document is longer than the limit",
        Reason::TooManySources => "no more sources can be told apart",
        Reason::Malformed => "the document is malformed",
        Reason::Truncated => "the request broke off",
        Reason::KernelDrop => "the kernel dropped it",
    }
}

/// Whether these bytes are one JSON object. Strings need not be UTF-8: what a sender logs is stored as it is.
pub(super) fn check_object(document: &[u8]) -> Result<(), Bad> {
    if document.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return Err(Bad::NotAnObject);
    }
    match serde_json::from_slice::<IgnoredAny>(document) {
        Ok(_) => Ok(()),
        Err(error) => Err(Bad::Syntax { column: u32::try_from(error.column()).unwrap_or(u32::MAX) }),
    }
}

/// Collects documents, hands them to the spool in portions, and learns their fates.
pub(super) struct Documents {
    spool: Spool,
    source: Arc<Source>,
    counters: Arc<Counters>,
    portion_bytes: usize,
    portion: BytesMut,
    /// Where each document of the portion ends, and its place in `fates`.
    ends: Vec<(usize, u32)>,
    pending: VecDeque<Pending>,
    /// Portions that the spool did not take yet.
    deferred: VecDeque<Portion>,
    /// Until when those are offered again.
    deadline: Option<Instant>,
    fates: Vec<Fate>,
    refused: BTreeMap<Reason, u64>,
    room: Room,
}

/// What one request's documents may be: also where what they share stands in the request once and in each of them.
struct Room {
    documents: usize,
    bytes: usize,
    /// There were more, which were not taken.
    is_exceeded: bool,
}

/// Documents, and their places in `fates`.
struct Portion {
    records: Vec<Bytes>,
    places: Vec<u32>,
}

/// A portion that is on its way to the disk.
struct Pending {
    portion: Portion,
    ticket: Ticket,
}

impl Documents {
    pub(super) fn new(spool: Spool, source: Arc<Source>, counters: Arc<Counters>, limits: &Limits) -> Self {
        let room = Room { documents: limits.documents, bytes: limits.body_bytes, is_exceeded: false };
        Documents {
            spool,
            source,
            counters,
            portion_bytes: limits.chunk_bytes,
            portion: BytesMut::new(),
            ends: Vec::new(),
            pending: VecDeque::new(),
            deferred: VecDeque::new(),
            deadline: None,
            fates: Vec::new(),
            refused: BTreeMap::new(),
            room,
        }
    }

    /// For protocols whose replies know no single documents: while the spool cannot take a portion, it is offered again for so
    /// long, since a sender who is told to try later sends the stored ones a second time.
    pub(super) fn patiently(mut self, patience: Duration) -> Self {
        self.deadline = Some(Instant::now() + patience);
        self
    }

    pub(super) fn source(&self) -> &Arc<Source> {
        &self.source
    }

    pub(super) fn fates(&self) -> &[Fate] {
        &self.fates
    }

    pub(super) fn len(&self) -> usize {
        self.fates.len()
    }

    /// Documents that are durable.
    pub(super) fn stored(&self) -> usize {
        self.fates.iter().filter(|fate| matches!(fate, Fate::Stored(_))).count()
    }

    /// The documents that are not stored: their places and why. To be asked when every fate is known.
    pub(super) fn refusals(&self) -> impl Iterator<Item = (usize, Reason)> {
        self.fates.iter().enumerate().filter_map(|(place, fate)| match fate {
            Fate::Stored(_) => None,
            Fate::Refused(reason) => Some((place, *reason)),
            Fate::Waiting | Fate::Bad(_) => Some((place, Reason::Malformed)),
        })
    }

    /// The first of them.
    pub(super) fn first_refused(&self) -> Option<(usize, Reason)> {
        self.refusals().next()
    }

    /// The sequence number after the last document that is durable.
    pub(super) fn next_seq(&self) -> Option<u64> {
        let stored = self.fates.iter().filter_map(|fate| match fate {
            Fate::Stored(seq) => Some(seq + 1),
            _ => None,
        });
        stored.max()
    }

    /// Whether the request had more documents than it may have. Those are not taken.
    pub(super) fn are_too_many(&self) -> bool {
        self.room.is_exceeded
    }

    fn has_room(&mut self, bytes: usize) -> bool {
        self.room.is_exceeded |= self.fates.len() >= self.room.documents || bytes > self.room.bytes;
        if !self.room.is_exceeded {
            self.room.bytes -= bytes;
        }
        !self.room.is_exceeded
    }

    /// Takes a document for storing.
    pub(super) fn add(&mut self, document: &[u8]) {
        if !self.has_room(document.len()) {
            return;
        }
        let place = self.push(Fate::Waiting);
        self.portion.extend_from_slice(document);
        self.ends.push((self.portion.len(), place));
        if self.portion.len() >= self.portion_bytes || self.ends.len() >= MAX_PORTION {
            self.hand_over();
        }
    }

    /// Notes a document that is not stored.
    pub(super) fn refuse(&mut self, fate: Fate) {
        if !self.has_room(0) {
            return;
        }
        self.push(fate);
        self.count(match fate {
            Fate::Refused(reason) => reason,
            _ => Reason::Malformed,
        });
    }

    fn push(&mut self, fate: Fate) -> u32 {
        let place = u32::try_from(self.fates.len()).unwrap_or(u32::MAX);
        self.fates.push(fate);
        place
    }

    fn count(&mut self, reason: Reason) {
        *self.refused.entry(reason).or_default() += 1;
    }

    /// Hands what is collected to the spool; does not wait.
    pub(super) fn hand_over(&mut self) {
        if self.ends.is_empty() {
            return;
        }
        let bytes = self.portion.split().freeze();
        let mut start = 0;
        let mut places = Vec::with_capacity(self.ends.len());
        let mut records = Vec::with_capacity(self.ends.len());
        for (end, place) in self.ends.drain(..) {
            records.push(bytes.slice(start..end));
            places.push(place);
            start = end;
        }
        self.counters.records.add(records.len() as u64);
        self.counters.bytes.add(bytes.len() as u64);
        self.append(Portion { records, places });
    }

    fn append(&mut self, portion: Portion) {
        match self.spool.append(&self.source, portion.records.clone()) {
            Ok(ticket) => self.pending.push_back(Pending { portion, ticket }),
            // One of them is over the spool's own limit: find it by itself.
            Err(refused) if refused.reason == Reason::TooLarge && portion.records.len() > 1 => {
                for (record, place) in portion.records.into_iter().zip(portion.places) {
                    self.append(Portion { records: vec![record], places: vec![place] });
                }
            }
            Err(refused) => self.not_taken(portion, refused.reason),
        }
    }

    fn not_taken(&mut self, portion: Portion, reason: Reason) {
        match self.deadline {
            Some(deadline) if is_passing(reason) && Instant::now() < deadline => self.deferred.push_back(portion),
            _ => self.refuse_all(&portion.places, reason),
        }
    }

    fn refuse_all(&mut self, places: &[u32], reason: Reason) {
        for place in places {
            self.fates[*place as usize] = Fate::Refused(reason);
            self.count(reason);
        }
    }

    /// Waits for the oldest portions until at most `left` are unknown.
    pub(super) async fn settle(&mut self, left: usize) {
        let mut backoff = Backoff::new();
        loop {
            while self.pending.len() > left || (!self.deferred.is_empty() && !self.pending.is_empty()) {
                let Some(Pending { portion, ticket }) = self.pending.pop_front() else { return };
                match ticket.wait().await {
                    Ok(receipt) => {
                        for (place, seq) in portion.places.iter().zip(receipt.first_seq..) {
                            self.fates[*place as usize] = Fate::Stored(seq);
                        }
                    }
                    Err(refused) => self.not_taken(portion, refused.reason),
                }
            }
            if self.deferred.is_empty() {
                return;
            }
            self.counters.waits.add(1);
            tokio::time::sleep(backoff.next()).await;
            for portion in std::mem::take(&mut self.deferred) {
                self.append(portion);
            }
        }
    }

    /// The request failed as a whole: what is not yet handed over is refused with it.
    pub(super) fn abandon(&mut self, reason: Reason) {
        self.portion.clear();
        let mut places: Vec<u32> = self.ends.drain(..).map(|(_, place)| place).collect();
        places.extend(self.deferred.drain(..).flat_map(|portion| portion.places));
        self.refuse_all(&places, reason);
    }
}

impl Drop for Documents {
    /// Also when the client goes away and the request is dropped half-way, the account is right.
    fn drop(&mut self) {
        if !self.ends.is_empty() || !self.deferred.is_empty() {
            self.abandon(Reason::Truncated);
        }
        for (reason, count) in std::mem::take(&mut self.refused) {
            self.spool.refuse(&self.source, reason, count);
        }
    }
}
