//! Batches in, findings out.

use std::sync::Arc;

use vedette_event::{Batch, Event, Finding};

use super::{
    Check, CheckId, Program,
    finding::finding,
    scratch::Scratch,
    view::{Names, View},
};
use crate::check::Test;

impl Program {
    /// Matches every event of a batch against every rule of its log sources. Findings are appended in the order
    /// of the events, those of one event in the order of the rules.
    pub fn run(&self, batch: &Batch, out: &mut Vec<Finding>) {
        self.run_counted(batch, out, |_| ());
    }

    /// The same, and tells each time that a rule's condition was asked of an event, by the rule's place among
    /// [`rules`](Program::rules): that is what a rule costs.
    pub fn run_counted(&self, batch: &Batch, out: &mut Vec<Finding>, mut tried: impl FnMut(usize)) {
        let mut scratch = self.scratches.take();
        let (names, mut items) = (Names::new(), Vec::new());
        scratch.begin(self, batch);
        for event in batch.events() {
            scratch.next(self, event);
            let Scratch { routes, truths, .. } = &mut scratch;
            let partitions = routes.find(|| self.partitions_of(&View::new(self, &names, event, truths)));
            for &partition in partitions.iter() {
                scratch.read(self, partition, (event, &names), &mut items);
            }
            let Scratch { candidates, truths, states, .. } = &mut scratch;
            candidates.sort_unstable();
            truths.read();
            let view = View::new(self, &names, event, truths);
            let now = truths.now();
            let of_event = |check: CheckId| match &self.checks[check as usize] {
                Check { test: Test::Null, slot: Some(slot), .. } => states.is_null(*slot, now),
                Check { test: Test::Exists, slot: Some(slot), .. } => states.exists(*slot, now),
                Check { test: Test::Field { .. }, .. } => view.truth(check),
                _ => false,
            };
            for &rule in candidates.iter() {
                tried(rule as usize);
                let rule = &self.rules[rule as usize];
                if rule.code.run(|check| truths.is_true(check), of_event) {
                    out.push(finding(self, rule, &view));
                }
            }
        }
        self.scratches.give(scratch);
    }

    /// The rules whose log source an event belongs to, by their places among [`rules`](Program::rules), ascending.
    pub fn readers(&self, event: Event<'_>) -> Vec<usize> {
        let mut scratch = self.scratches.take();
        scratch.begin(self, event.batch());
        scratch.next(self, event);
        let Scratch { routes, truths, .. } = &mut scratch;
        let partitions = routes.find(|| self.partitions_of(&View::new(self, &Names::new(), event, truths)));
        self.scratches.give(scratch);
        let rules = partitions.iter().flat_map(|number| self.partition(*number).rules.to_vec());
        let mut rules: Vec<usize> = rules.map(|rule| rule as usize).collect();
        rules.sort_unstable();
        rules
    }

    /// The partitions that hold all rules which see an event.
    fn partitions_of(&self, view: &View<'_, '_>) -> Arc<[u32]> {
        let belongs = |group: &u32| self.groups[*group as usize].when.eval(&mut |check| view.truth(*check));
        let groups: Vec<u32> = (0..self.groups.len() as u32).filter(belongs).collect();
        self.partitions.of(self, groups)
    }
}
