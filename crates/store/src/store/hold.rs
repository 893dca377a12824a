//! Legal holds: what they cover is neither deleted by retention nor erased.

use std::collections::BTreeSet;

use vedette_event::{SourceId, Time};

use super::{Store, lock};
use crate::{Result, Segment, StoreError, manifest};

/// A legal hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Its name.
    pub name: String,
    /// Why.
    pub reason: String,
    /// Only events of the source of this name.
    pub source: Option<String>,
    /// Only events received at or after this time.
    pub from: Option<Time>,
    /// Only events received before this time.
    pub to: Option<Time>,
    /// Who set it.
    pub by: String,
    /// When it was set.
    pub since: Time,
}

/// What the holds cover, with the numbers of sources that there are now.
#[derive(Clone, Debug)]
pub struct Held(Vec<Cover>);

#[derive(Clone, Debug)]
struct Cover {
    name: String,
    /// All sources if none.
    sources: Option<BTreeSet<SourceId>>,
    from: Time,
    to: Time,
}

impl Held {
    /// The hold that keeps a segment, if one does.
    pub fn segment(&self, segment: &Segment) -> Option<&str> {
        let (first, last) = segment.received();
        let has = |sources: &BTreeSet<SourceId>| segment.runs().iter().any(|run| sources.contains(&run.source));
        let covers = |cover: &&Cover| cover.from <= last && first < cover.to && cover.sources.as_ref().is_none_or(has);
        self.0.iter().find(covers).map(|cover| &*cover.name)
    }

    /// The hold that keeps an event, if one does.
    pub fn event(&self, source: SourceId, received: Time) -> Option<&str> {
        let covers = |cover: &&Cover| {
            (cover.from..cover.to).contains(&received)
                && cover.sources.as_ref().is_none_or(|sources| sources.contains(&source))
        };
        self.0.iter().find(covers).map(|cover| &*cover.name)
    }
}

impl Store {
    /// The legal holds, by name.
    pub fn holds(&self) -> Vec<Hold> {
        lock(&self.inner.holds).clone()
    }

    /// What they cover.
    pub fn held(&self) -> Held {
        let holds = self.holds();
        let writer = lock(&self.inner.writer);
        let numbers = |name: &String| {
            let named = writer.sources.iter().filter(|(_, source)| source.name == *name);
            named.map(|(id, _)| *id).collect()
        };
        let cover = |hold: &Hold| Cover {
            name: hold.name.clone(),
            sources: hold.source.as_ref().map(numbers),
            from: hold.from.unwrap_or(Time::MIN),
            to: hold.to.unwrap_or(Time::MAX),
        };
        Held(holds.iter().map(cover).collect())
    }

    /// Sets a hold; it is durable on return. False if there is one of this name.
    ///
    /// # Errors
    /// The manifest cannot be written.
    pub fn hold(&self, hold: Hold) -> Result<bool> {
        let mut manifest = lock(&self.inner.manifest);
        let manifest = manifest.as_mut().ok_or(StoreError::ReadOnly)?;
        if self.holds().iter().any(|known| known.name == hold.name) {
            return Ok(false);
        }
        manifest.write(|transaction| manifest::insert_hold(transaction, &hold))?;
        let mut holds = lock(&self.inner.holds);
        holds.push(hold);
        holds.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(true)
    }

    /// Lifts a hold. False if there is none of this name.
    ///
    /// # Errors
    /// The manifest cannot be written.
    pub fn lift(&self, name: &str) -> Result<bool> {
        let mut manifest = lock(&self.inner.manifest);
        let manifest = manifest.as_mut().ok_or(StoreError::ReadOnly)?;
        manifest.write(|transaction| manifest::delete_hold(transaction, name))?;
        let mut holds = lock(&self.inner.holds);
        let before = holds.len();
        holds.retain(|hold| hold.name != name);
        Ok(holds.len() < before)
    }
}
