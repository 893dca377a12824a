//! What is known of checks in one event.

use std::cell::Cell;

use super::CheckId;

/// The truth of checks in one event, by a number of the event: no event has to begin by forgetting the last.
#[derive(Debug, Default)]
pub(super) struct Truths {
    /// For each check: twice the event's number where it is false there, one more where it is true.
    marks: Vec<Cell<u32>>,
    now: u32,
    /// All checks of values were put: those that are not true are false.
    read: bool,
}

impl Truths {
    /// Forgets all truths.
    pub(super) fn begin(&mut self, checks: usize) {
        if self.now >= u32::MAX - 3 {
            self.marks.clear();
            self.now = 0;
        }
        self.marks.resize(checks, Cell::new(0));
        self.now += 2;
        self.read = false;
    }

    /// Says that all checks of the event's values were put.
    pub(super) fn read(&mut self) {
        self.read = true;
    }

    /// Whether they were.
    pub(super) fn is_read(&self) -> bool {
        self.read
    }

    /// What is known of a check.
    pub(super) fn known(&self, check: CheckId) -> Option<bool> {
        let mark = self.marks[check as usize].get();
        (mark & !1 == self.now).then_some(mark & 1 == 1)
    }

    pub(super) fn is_true(&self, check: CheckId) -> bool {
        self.marks[check as usize].get() == self.now | 1
    }

    pub(super) fn set(&self, check: CheckId, truth: bool) {
        self.marks[check as usize].set(self.now | u32::from(truth));
    }
}
