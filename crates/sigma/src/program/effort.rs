//! What a program's rules did beside finding something.

use std::collections::BTreeSet;

use super::Program;
use crate::rule::Logsource;

/// What running a program over events came to, beside findings.
#[derive(Clone, Debug, Default)]
pub struct Effort {
    tried: Vec<u64>,
    partitions: Vec<u64>,
}

impl Effort {
    pub(super) fn tried_one(&mut self, rule: usize) {
        add(&mut self.tried, rule);
    }

    pub(super) fn read_by(&mut self, partition: u32) {
        add(&mut self.partitions, partition as usize);
    }

    /// For each rule that was, by its place among [`Program::rules`], how often its condition had to be asked, of an event or
    /// of one whose values came to the same: that is what a rule costs.
    pub fn tried(&self) -> impl Iterator<Item = (usize, u64)> {
        counted(&self.tried)
    }

    /// How many events there were of each set of log sources ([`Program::logsources`]).
    pub fn read(&self) -> impl Iterator<Item = (usize, u64)> {
        counted(&self.partitions)
    }
}

fn add(counts: &mut Vec<u64>, at: usize) {
    if counts.len() <= at {
        counts.resize(at + 1, 0);
    }
    counts[at] += 1;
}

fn counted(counts: &[u64]) -> impl Iterator<Item = (usize, u64)> {
    counts.iter().copied().enumerate().filter(|(_, count)| *count > 0)
}

impl Program {
    /// The log sources of a set that [`Effort::read`] names, as this program's rules name them.
    pub fn logsources(&self, set: usize) -> BTreeSet<&Logsource> {
        let partition = self.partition(set as u32);
        partition.rules.iter().map(|rule| &self.rules[*rule as usize].logsource).collect()
    }
}
