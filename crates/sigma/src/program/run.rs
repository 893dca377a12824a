//! Batches in, findings out.

use std::rc::Rc;

use hashbrown::HashMap;
use vedette_event::{Batch, Finding};

use super::{
    Program,
    finding::finding,
    view::{Names, Scratch, View},
};

impl Program {
    /// Matches every event of a batch against every rule of its log sources. Findings are appended in the order
    /// of the events, those of one event in the order of the rules.
    pub fn run(&self, batch: &Batch, out: &mut Vec<Finding>) {
        self.run_counted(batch, out, |_| ());
    }

    /// The same, and tells each time that a rule's condition was asked of an event, by the rule's place among
    /// [`rules`](Program::rules): that is what a rule costs.
    pub fn run_counted(&self, batch: &Batch, out: &mut Vec<Finding>, mut tried: impl FnMut(usize)) {
        let names = Names::new(self);
        let scratch = Scratch::new(self, batch);
        let mut routes = Routes::default();
        let mut seen = vec![0; self.rules.len()];
        let mut candidates = Vec::new();
        for (number, event) in (1_u32..).zip(batch.events()) {
            let view = View::new(self, &names, event, &scratch, number);
            candidates.clear();
            for &group in self.groups_of(&view, &mut routes).iter() {
                self.groups[group].candidates(
                    |slot| view.values(slot).filter(|held| !held.is_null()).map(|held| held.folded()),
                    || view.searched().map(|held| held.folded()),
                    |rules| {
                        for &rule in rules {
                            if std::mem::replace(&mut seen[rule as usize], number) != number {
                                candidates.push(rule);
                            }
                        }
                    },
                );
            }
            candidates.sort_unstable();
            for &rule in &candidates {
                tried(rule as usize);
                let rule = &self.rules[rule as usize];
                if rule.condition.eval(&mut |check| view.truth(*check)) {
                    out.push(finding(self, rule, &view));
                }
            }
        }
    }

    /// The groups that an event belongs to. Events of one batch are much alike, so that the conditions are asked
    /// only once for each set of values that they read.
    fn groups_of(&self, view: &View<'_, '_>, routes: &mut Routes) -> Rc<[usize]> {
        let mut key = Vec::new();
        for &slot in &self.routing {
            for held in view.values(slot) {
                let text = held.text();
                key.extend_from_slice(&(text.len() as u32).to_le_bytes());
                key.push(u8::from(held.is_null()));
                key.extend_from_slice(text.as_bytes());
            }
            key.extend_from_slice(&u32::MAX.to_le_bytes());
        }
        if let Some(groups) = routes.get(&key) {
            return groups.clone();
        }
        let belongs = |group: &usize| self.groups[*group].when.eval(&mut |check| view.truth(*check));
        let groups: Rc<[usize]> = (0..self.groups.len()).filter(belongs).collect();
        routes.insert(key, groups.clone());
        groups
    }
}

type Routes = HashMap<Vec<u8>, Rc<[usize]>, foldhash::fast::RandomState>;
