//! Batches in, findings out.

use std::{mem, sync::Arc};

use vedette_event::{Batch, Event, Finding};

use super::{
    Effort, Program,
    finding::{entities, finding},
    view::View,
};

impl Program {
    /// Matches every event of a batch against every rule of its log sources. Findings are appended in the order
    /// of the events, those of one event in the order of the rules.
    pub fn run(&self, batch: &Batch, out: &mut Vec<Finding>) {
        self.run_counted(batch, out, &mut Effort::default());
    }

    /// The same, and counts what rules did.
    pub fn run_counted(&self, batch: &Batch, out: &mut Vec<Finding>, effort: &mut Effort) {
        let mut scratch = self.scratches.take();
        scratch.begin(self, batch);
        for event in batch.events() {
            for &partition in scratch.next(self, event).iter() {
                effort.read_by(partition);
                scratch.run(self, partition, event, &mut |rule| effort.tried_one(rule));
            }
            if scratch.matches.is_empty() {
                continue;
            }
            let mut about = entities(event, &scratch.numbers);
            let matches = scratch.matches.sorted();
            let mut left = matches.len();
            for (rule, evidence) in matches {
                left -= 1;
                let entities = if left == 0 { mem::take(&mut about) } else { about.clone() };
                out.push(finding(self, &self.rules[rule as usize], event, evidence, entities));
            }
        }
        self.scratches.give(scratch);
    }

    /// The rules whose log source an event belongs to, by their places among [`rules`](Program::rules), ascending.
    pub fn readers(&self, event: Event<'_>) -> Vec<usize> {
        let mut scratch = self.scratches.take();
        scratch.begin(self, event.batch());
        let partitions = scratch.next(self, event);
        self.scratches.give(scratch);
        let rules = partitions.iter().flat_map(|number| self.partition(*number).rules.to_vec());
        let mut rules: Vec<usize> = rules.map(|rule| rule as usize).collect();
        rules.sort_unstable();
        rules
    }

    /// The partitions that hold all rules which see an event.
    pub(super) fn partitions_of(&self, view: &View<'_, '_>) -> Arc<[u32]> {
        let belongs = |group: &u32| self.groups[*group as usize].when.eval(&mut |check| view.truth(*check));
        let groups: Vec<u32> = (0..self.groups.len() as u32).filter(belongs).collect();
        self.partitions.of(self, groups)
    }
}
