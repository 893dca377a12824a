//! Feeds as they come: plain lists, CSV, STIX bundles, MISP events. All are read as they flow; none is held whole.
//!
//! [`lines`] bounds lines, [`json`] walks JSON without a tree, [`columns`] knows the names of CSV columns.

mod columns;
mod csv;
mod json;
mod lines;
mod list;
mod misp;
mod stix;
mod times;

use std::{collections::BTreeMap, io::BufRead};

use vedette_event::Diagnostic;

use crate::{Feed, Indicator, Item, Unfit, Withdrawal};

/// An account shows this many refusals; all are counted.
pub const MAX_SHOWN: usize = 100;

/// How a feed is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// One value a line, comments, also the form of a hosts file.
    List,
    /// CSV with a header line.
    Csv,
    /// A STIX 2.0 or 2.1 bundle, or a TAXII 2.1 envelope.
    Stix,
    /// MISP's JSON: events, or attributes.
    Misp,
}

impl Format {
    /// The format that a file's first bytes look like. A few KiB are enough.
    pub fn detect(head: &[u8]) -> Format {
        let text = String::from_utf8_lossy(head);
        let text = text.trim_start_matches('\u{feff}').trim_start();
        let is_json = text.starts_with('{')
            || text.strip_prefix('[').is_some_and(|rest| rest.trim_start().starts_with(['{', ']']));
        if is_json {
            let misp = ["\"Event\"", "\"Attribute\"", "\"response\""].iter().any(|name| text.contains(name));
            let stix = ["\"objects\"", "\"bundle\"", "\"spec_version\""].iter().any(|name| text.contains(name));
            return if misp && !stix { Format::Misp } else { Format::Stix };
        }
        if columns::is_table(text) { Format::Csv } else { Format::List }
    }
}

/// What a reader found: everything it met is in one of the counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Indicators handed out.
    pub taken: u64,
    /// Withdrawals handed out.
    pub withdrawn: u64,
    /// Indicators held by their hash alone, though the feed also names the file's name or size.
    pub widened: u64,
    /// Indicators handed out before their MISP event's tags were read, since the event has more than 65,536.
    pub untagged: u64,
    /// What is no indicator: comments, other objects, attributes that are not meant for detection, by kind.
    pub passed: BTreeMap<String, u64>,
    /// What should be one and cannot be, by reason.
    pub refused: BTreeMap<String, u64>,
    /// The first [`MAX_SHOWN`] refusals.
    pub shown: Vec<Diagnostic>,
}

impl Account {
    /// Everything that was refused.
    pub fn refusals(&self) -> u64 {
        self.refused.values().sum()
    }

    /// Adds what another file of the feed came to.
    pub fn add(&mut self, other: Account) {
        self.taken += other.taken;
        self.withdrawn += other.withdrawn;
        self.widened += other.widened;
        self.untagged += other.untagged;
        for (mine, theirs) in [(&mut self.passed, other.passed), (&mut self.refused, other.refused)] {
            theirs.into_iter().for_each(|(reason, count)| tally(mine, &reason, count));
        }
        let room = MAX_SHOWN.saturating_sub(self.shown.len());
        self.shown.extend(other.shown.into_iter().take(room));
    }
}

/// Most different reasons and kinds that are counted by name.
const MAX_REASONS: usize = 100;

fn tally(counts: &mut BTreeMap<String, u64>, reason: &str, count: u64) {
    let known = counts.contains_key(reason) || counts.len() < MAX_REASONS;
    *counts.entry(if known { reason } else { "other" }.to_owned()).or_default() += count;
}

/// The file could not be read to its end.
#[derive(Debug, thiserror::Error)]
#[error("{diagnostic}")]
pub struct Broken {
    /// Where and why.
    pub diagnostic: Diagnostic,
    /// What was read up to there. It was handed out; whoever wants all or nothing does not use it.
    pub account: Account,
}

/// Reads a feed, handing out what it says as it comes.
///
/// `file` names the input in diagnostics.
///
/// # Errors
/// If the input cannot be read, or is no JSON where it should be.
pub fn read(
    format: Format,
    feed: &Feed,
    file: &str,
    input: impl BufRead,
    take: &mut dyn FnMut(Item),
) -> Result<Account, Box<Broken>> {
    let mut desk = Desk { feed, file, take, account: Account::default() };
    let done = match format {
        Format::List => list::read(input, &mut desk),
        Format::Csv => csv::read(input, &mut desk),
        Format::Stix => stix::read(input, &mut desk),
        Format::Misp => misp::read(input, &mut desk),
    };
    match done {
        Ok(()) => Ok(desk.account),
        Err(diagnostic) => Err(Box::new(Broken { diagnostic, account: desk.account })),
    }
}

/// Where readers hand in what they find.
struct Desk<'a> {
    feed: &'a Feed,
    file: &'a str,
    take: &'a mut dyn FnMut(Item),
    account: Account,
}

impl Desk<'_> {
    fn take(&mut self, indicator: Indicator) {
        self.account.taken += 1;
        (self.take)(Item::Indicator(indicator));
    }

    fn withdraw(&mut self, withdrawal: Withdrawal) {
        self.account.withdrawn += 1;
        (self.take)(Item::Withdrawal(withdrawal));
    }

    fn pass(&mut self, kind: &str) {
        tally(&mut self.account.passed, shortened(kind, 64), 1);
    }

    /// Refuses something: `reason` is counted, `what` (an id, a value) is shown with it.
    fn refuse(&mut self, line: u32, what: &str, reason: &str) {
        tally(&mut self.account.refused, reason, 1);
        if self.account.shown.len() < MAX_SHOWN {
            let what = shortened(what, 128);
            let message = if what.is_empty() { reason.to_owned() } else { format!("`{what}`: {reason}") };
            self.account.shown.push(Diagnostic::new(self.file, line, 0, message));
        }
    }

    fn unfit(&mut self, line: u32, what: &str, unfit: Unfit) {
        self.refuse(line, what, unfit.as_str());
    }

    fn broken(&self, line: u32, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(self.file, line, 0, message)
    }
}

fn shortened(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}
