//! A partition with what a thread has learnt of it.

use std::sync::Arc;

use super::{
    Program,
    gate::Gate,
    layout::{Habit, Layouts},
    partition::{Partition, Witnesses},
    scan::Local,
};

/// When the choice of witnesses is looked over for the first time, and how often at least after that.
const FIRST_REVIEW: u64 = 128;
const REVIEW_EVERY: u64 = 1 << 18;

#[derive(Debug)]
pub(super) struct Part {
    pub(super) partition: Arc<Partition>,
    pub(super) layouts: Layouts,
    /// Of values that keywords are searched in.
    pub(super) keywords: Habit,
    pub(super) witnesses: Witnesses,
    /// In how many events each check was true, of those that were decided.
    hits: Vec<u32>,
    events: u64,
    next_review: u64,
}

impl Part {
    pub(super) fn new(program: &Program, partition: Arc<Partition>) -> Part {
        Part {
            layouts: Layouts::default(),
            // Reading everything costs less than remembering it, where nothing but texts is looked for.
            keywords: Habit { without: if partition.keywords.is_plain() { u32::MAX } else { 0 }, ..Habit::default() },
            witnesses: partition.witnesses(program, |_| None),
            hits: vec![0; partition.checks.len()],
            events: 0,
            next_review: FIRST_REVIEW,
            partition,
        }
    }

    /// Counts an event that is decided. Now and then the checks that were true least often become the witnesses.
    pub(super) fn event(&mut self, program: &Program) {
        self.events += 1;
        if self.events < self.next_review {
            return;
        }
        self.next_review = self.events + (self.events * 3).min(REVIEW_EVERY);
        let events = self.events as f32;
        // What was never seen may be seen next: the guess is worth one event.
        self.witnesses = self.partition.witnesses(program, |local| {
            let gate = &program.checks[self.partition.checks[local as usize] as usize].test;
            Some((self.hits[local as usize] as f32 + Gate::guess(gate)) / (events + 1.0))
        });
    }

    /// Counts a check that is true in it.
    pub(super) fn hit(&mut self, local: Local) {
        self.hits[local as usize] += 1;
    }
}
