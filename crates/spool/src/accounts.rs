//! The sources and what became of their records.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use vedette_event::{Losses, Reason, Source, SourceId, Time};

use crate::{
    Refused,
    format::{
        Bad, MAX_NUMBER,
        payload::{Payload, Total},
    },
};

/// Longer names than this are refused: every segment restates them all.
const MAX_NAME_BYTES: usize = 1024;
/// How many `<receiver>:other` sources are granted beyond the limit.
const MAX_OTHERS: usize = 64;

type Counts = [u64; Reason::ALL.len()];

/// One source, with the numbers that its next record and its loss account begin from.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) source: Arc<Source>,
    /// The next record's sequence number: all before it are durable.
    pub(crate) next_seq: u64,
    /// The newest stamp given; the next one is not before it.
    pub(crate) last_received: Time,
    /// The definition that is durable; another one since then is written with the next record.
    saved_source: Option<Arc<Source>>,
    refused: Counts,
    shed: Counts,
    /// Changes of the counters, and how many of them are durable.
    changes: u64,
    saved_changes: u64,
}

impl Account {
    fn new(source: Arc<Source>) -> Self {
        Account {
            source,
            next_seq: 0,
            last_received: Time::MIN,
            saved_source: None,
            refused: [0; Reason::ALL.len()],
            shed: [0; Reason::ALL.len()],
            changes: 0,
            saved_changes: 0,
        }
    }

    pub(crate) fn is_unsaved(&self) -> bool {
        self.changes != self.saved_changes
    }

    /// Some frame has named it, so every segment has to.
    pub(crate) fn is_defined(&self) -> bool {
        self.saved_source.is_some()
    }

    pub(crate) fn needs_definition(&self) -> bool {
        self.saved_source.as_ref().is_none_or(|saved| !Arc::ptr_eq(saved, &self.source))
    }

    pub(crate) fn saved_definition(&mut self, source: &Arc<Source>) {
        self.saved_source = Some(source.clone());
    }

    /// What a frame with `stored_more` records of this source says about it.
    pub(crate) fn total(&self, stored_more: u64) -> Total {
        let sparse =
            |counts: &Counts| Reason::ALL.into_iter().zip(*counts).filter(|(_, count)| *count > 0).collect::<Vec<_>>();
        Total {
            source: self.source.id,
            next_seq: self.next_seq + stored_more,
            last_received: self.last_received,
            refused: sparse(&self.refused),
            shed: sparse(&self.shed),
        }
    }

    /// The counters' state, for [`Account::saved`] once it is durable.
    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    pub(crate) fn saved(&mut self, changes: u64) {
        self.saved_changes = changes;
    }

    fn losses(&self) -> Losses {
        let total = self.total(0);
        Losses {
            stored: self.next_seq,
            refused: total.refused.into_iter().collect(),
            shed: total.shed.into_iter().collect(),
        }
    }
}

/// Which of the two counters.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Loss {
    Refused,
    Shed,
}

/// All sources, by number and by name. Numbers count from 1; one that a frame has named is never given
/// to another source.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    accounts: BTreeMap<SourceId, Account>,
    ids: HashMap<Arc<str>, SourceId>,
    others: usize,
}

impl Accounts {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values()
    }

    pub(crate) fn get(&self, id: SourceId) -> Option<&Account> {
        self.accounts.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: SourceId) -> Option<&mut Account> {
        self.accounts.get_mut(&id)
    }

    /// The account of a source that this spool gave out; a source of another spool has none.
    pub(crate) fn of(&mut self, source: &Source) -> Option<&mut Account> {
        self.get_mut(source.id).filter(|account| account.source.name == source.name)
    }

    /// The source of that name. A known one keeps its receiver; another parser replaces its parser, in this
    /// run and for readers that open the spool later.
    pub(crate) fn source(
        &mut self,
        name: &str,
        receiver: &str,
        parser: Option<&str>,
        max_sources: usize,
    ) -> Result<Arc<Source>, Refused> {
        if let Some(id) = self.ids.get(name).copied() {
            let account = self.get_mut(id).expect("ids holds only numbers of accounts");
            if account.source.parser.as_deref() != parser {
                let source = Source { parser: parser.map(Into::into), ..Source::clone(&account.source) };
                account.source = Arc::new(source);
            }
            return Ok(account.source.clone());
        }
        for (what, text) in [("name", name), ("receiver", receiver), ("parser", parser.unwrap_or(""))] {
            if text.len() > MAX_NAME_BYTES {
                let detail = format!("a source's {what} of {} bytes; the limit is {MAX_NAME_BYTES}", text.len());
                return Err(Refused::new(Reason::Malformed, detail));
            }
        }
        let is_other = name.strip_prefix(receiver) == Some(":other");
        let is_full = if is_other { self.others >= MAX_OTHERS } else { self.len() - self.others >= max_sources };
        if is_full {
            let detail = format!(
                "source {name}: there are {} already, the limit is {max_sources} (max_sources); use {receiver}:other",
                self.len() - self.others
            );
            return Err(Refused::new(Reason::TooManySources, detail));
        }
        let last = self.accounts.keys().next_back().map_or(0, |id| id.0);
        let Some(id) = last.checked_add(1).map(SourceId) else {
            return Err(Refused::new(Reason::TooManySources, "no source number is left"));
        };
        let source = Source { id, name: name.into(), receiver: receiver.into(), parser: parser.map(Into::into) };
        Ok(self.add(source))
    }

    fn len(&self) -> usize {
        self.accounts.len()
    }

    fn add(&mut self, source: Source) -> Arc<Source> {
        let source = Arc::new(source);
        self.others += usize::from(source.name.strip_prefix(&*source.receiver) == Some(":other"));
        self.ids.insert(source.name.clone(), source.id);
        self.accounts.insert(source.id, Account::new(source.clone()));
        source
    }

    /// Counts a loss. False when the source is not of this spool.
    pub(crate) fn count(&mut self, source: &Source, loss: Loss, reason: Reason, count: u64) -> bool {
        let Some(account) = self.of(source) else { return false };
        let counts = match loss {
            Loss::Refused => &mut account.refused,
            Loss::Shed => &mut account.shed,
        };
        for (known, total) in Reason::ALL.into_iter().zip(counts) {
            if known == reason {
                *total = total.saturating_add(count);
            }
        }
        account.changes += 1;
        true
    }

    pub(crate) fn ledger(&self) -> Vec<(Arc<Source>, Losses)> {
        self.iter().map(|account| (account.source.clone(), account.losses())).collect()
    }

    /// Takes over what a frame on disk says, in recovery.
    pub(crate) fn replay(&mut self, payload: &Payload) -> Result<(), Bad> {
        for definition in &payload.definitions {
            self.define(definition)?;
        }
        for run in &payload.runs {
            let account = self.known(run.source)?;
            if account.next_seq != run.first_seq {
                let what = format!(
                    "source {} continues at {} instead of {}",
                    account.source.name, run.first_seq, account.next_seq
                );
                return Err(Bad::new(what));
            }
            account.next_seq += run.records.len() as u64;
            if let Some((received, _)) = run.records.last() {
                account.last_received = account.last_received.max(*received);
            }
        }
        for total in &payload.totals {
            let account = self.known(total.source)?;
            if account.next_seq > total.next_seq {
                return Err(Bad::new(format!("source {} goes backwards", account.source.name)));
            }
            if total.next_seq >= MAX_NUMBER {
                let what = format!("source {} continues at {}, out of range", account.source.name, total.next_seq);
                return Err(Bad::new(what));
            }
            account.next_seq = total.next_seq;
            account.last_received = account.last_received.max(total.last_received);
            for (counts, losses) in [(&mut account.refused, &total.refused), (&mut account.shed, &total.shed)] {
                for (known, count) in Reason::ALL.into_iter().zip(counts) {
                    *count = losses.iter().find(|(reason, _)| *reason == known).map_or(0, |(_, count)| *count);
                }
            }
        }
        Ok(())
    }

    fn known(&mut self, id: SourceId) -> Result<&mut Account, Bad> {
        self.get_mut(id).ok_or_else(|| Bad::new(format!("source {} was not defined", id.0)))
    }

    fn define(&mut self, definition: &Source) -> Result<(), Bad> {
        if let Some(account) = self.get_mut(definition.id) {
            if account.source.name != definition.name {
                return Err(Bad::new(format!("source {} has two names", definition.id.0)));
            }
            account.source = Arc::new(definition.clone());
            account.saved_source = Some(account.source.clone());
            return Ok(());
        }
        if self.ids.contains_key(&definition.name) {
            return Err(Bad::new(format!("source {} has two numbers", definition.name)));
        }
        self.add(definition.clone());
        if let Some(account) = self.get_mut(definition.id) {
            account.saved_source = Some(account.source.clone());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_total_that_could_overflow_is_refused() {
        let id = SourceId(1);
        let source = Source { id, name: "test:1".into(), receiver: "test".into(), parser: None };
        for (next_seq, is_right) in [(5, true), (MAX_NUMBER - 1, true), (MAX_NUMBER, false), (u64::MAX, false)] {
            let total =
                Total { source: id, next_seq, last_received: Time::default(), refused: Vec::new(), shed: Vec::new() };
            let payload = Payload { definitions: vec![source.clone()], totals: vec![total], runs: Vec::new() };
            assert_eq!(Accounts::default().replay(&payload).is_ok(), is_right, "{next_seq}");
        }
    }
}
