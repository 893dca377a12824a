//! What a feed says.

use std::sync::Arc;

use vedette_event::{Level, Time};

use crate::Observable;

/// The confidence of what neither feed nor configuration rates.
pub const DEFAULT_CONFIDENCE: u8 = 50;

/// A feed: whose word it is, and what holds where it says nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feed {
    /// Its name, as people know it; also the end of the rule id `indicator:<name>`.
    pub name: Arc<str>,
    /// The confidence (0 to 100) of indicators that have none of their own.
    pub confidence: u8,
    /// The level of findings, whatever the confidence.
    pub level: Option<Level>,
    /// How long an indicator holds from its `valid_from` on if no end is given, in microseconds.
    pub lifetime: Option<i64>,
}

impl Feed {
    /// A feed of middling confidence whose indicators hold for ever.
    pub fn new(name: &str) -> Feed {
        Feed { name: name.into(), confidence: DEFAULT_CONFIDENCE, level: None, lifetime: None }
    }
}

/// Something that a feed knows to be bad.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Indicator {
    /// What it is.
    pub observable: Observable,
    /// The only port it is bad at; an event that names another does not match.
    pub port: Option<u16>,
    /// Whose word it is.
    pub feed: Arc<str>,
    /// How sure the feed is, 0 to 100.
    pub confidence: u8,
    /// How bad it is, if the feed or the configuration says so.
    pub level: Option<Level>,
    /// When it begins to hold; none: always did.
    pub valid_from: Option<Time>,
    /// When it ceases to hold, exclusive; none: never.
    pub valid_until: Option<Time>,
    /// What it is called, or what is said of it: `Emotet`, `C2 server`.
    pub name: String,
    /// Tags, types, markings such as `tlp:amber`.
    pub labels: Vec<String>,
    /// Its id at the feed, or an address where more is said.
    pub reference: String,
    /// When this version was made. Of the versions of one reference of one feed only the newest holds.
    pub modified: Option<Time>,
}

impl Indicator {
    /// An indicator of a feed about which nothing else is known.
    pub fn new(feed: &Feed, observable: Observable) -> Indicator {
        Indicator {
            observable,
            port: None,
            feed: feed.name.clone(),
            confidence: feed.confidence.min(100),
            level: feed.level,
            valid_from: None,
            valid_until: None,
            name: String::new(),
            labels: Vec::new(),
            reference: String::new(),
            modified: None,
        }
    }

    /// Sets since when and until when it holds; without an end, the feed's lifetime decides.
    pub(crate) fn holds(&mut self, feed: &Feed, from: Option<Time>, until: Option<Time>) {
        let end = || Some(from?.plus_micros(feed.lifetime?));
        self.valid_from = from;
        self.valid_until = until.or_else(end);
    }
}

/// A feed takes back what it said under a reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withdrawal {
    /// The feed.
    pub feed: Arc<str>,
    /// The reference.
    pub reference: String,
    /// When; versions made later hold again. None: all versions.
    pub modified: Option<Time>,
}

/// What a reader hands out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// Something is bad.
    Indicator(Indicator),
    /// Something that was said before no longer holds.
    Withdrawal(Withdrawal),
}
