//! Rules as they are written: from files to [`Rule`]s.
//!
//! [`files`] finds and reads, [`document`] turns a YAML document into a rule, a [`correlation`] or a [`filter`];
//! [`item`] reads a field with its modifiers, [`condition`] the condition; [`lower`] makes of both a tree of
//! [`Check`](crate::check::Check)s. When all files are read, [`link`] puts filters into the rules they name.

mod condition;
mod correlation;
mod document;
mod files;
mod filter;
mod item;
mod link;
mod lower;

use std::{borrow::Cow, fmt, sync::Arc};

use vedette_event::RuleRef;

pub(crate) use {
    condition::{Condition, in_words, read as read_condition},
    correlation::{Bounds, Kind},
    document::read_logsource,
    item::{Item, Modifier, read_selection},
    lower::{Meant, Placeholders, lower_selection, placeholder},
};
pub use {
    correlation::Correlation,
    files::{Documents, load, load_str},
    filter::Filter,
    link::Loaded,
};

use crate::{
    check::{Check, Tree},
    yaml::{Place, Problem},
};

/// Which log a rule reads.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Logsource {
    /// `windows`, `linux`, `aws` …
    pub product: Option<String>,
    /// `process_creation`, `webserver` …
    pub category: Option<String>,
    /// `security`, `sshd`, `cloudtrail` …
    pub service: Option<String>,
}

impl Logsource {
    /// The dataset of events that a logsource reads where no mapping says otherwise.
    pub(crate) fn dataset(&self) -> String {
        let named = [&self.product, &self.category, &self.service];
        named.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(".")
    }

    /// True if every part that this one names is the same in `other`.
    pub(crate) fn covers(&self, other: &Logsource) -> bool {
        let same = |mine: &Option<String>, theirs: &Option<String>| mine.is_none() || mine == theirs;
        same(&self.product, &other.product)
            && same(&self.category, &other.category)
            && same(&self.service, &other.service)
    }

    /// This one with the parts of `other` where it names none.
    pub(crate) fn refined(&self, other: &Logsource) -> Logsource {
        let either = |mine: &Option<String>, theirs: &Option<String>| mine.clone().or_else(|| theirs.clone());
        Logsource {
            product: either(&self.product, &other.product),
            category: either(&self.category, &other.category),
            service: either(&self.service, &other.service),
        }
    }
}

impl fmt::Display for Logsource {
    /// `product=windows category=process_creation`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [("product", &self.product), ("category", &self.category), ("service", &self.service)];
        let mut named = parts.into_iter().filter_map(|(key, value)| value.as_ref().map(|value| (key, value)));
        if let Some((key, value)) = named.next() {
            write!(f, "{key}={value}")?;
        }
        named.try_for_each(|(key, value)| write!(f, " {key}={value}"))
    }
}

/// A rule that was read and understood.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The file, as the user named it.
    pub file: Arc<str>,
    /// The line its document begins at.
    pub line: u32,
    /// Id, title, level, author and ATT&CK references, as findings carry them.
    pub reference: RuleRef,
    /// What correlations and filters may call it beside its id.
    pub name: Option<String>,
    /// `stable`, `test`, `experimental` …
    pub status: Option<String>,
    /// What it is about.
    pub description: Option<String>,
    /// What else could look like it.
    pub false_positives: Vec<String>,
    /// Further reading.
    pub links: Vec<String>,
    /// All its tags.
    pub tags: Vec<String>,
    /// A number for what it asks, filters included: the same for two texts that ask the same in other layout.
    pub fingerprint: u64,
    /// The titles of the filters that were put into it.
    pub filters: Vec<Arc<str>>,
    /// Which log it reads.
    pub logsource: Logsource,
    /// Pipelines leave it as it is: it names fields as events do.
    pub(crate) is_native: bool,
    /// What it looks for: its own detection, and those of its filters. All must hold.
    pub(crate) parts: Vec<Part>,
}

/// A detection with its checks.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// The title of the filter that it is of.
    pub(crate) filter: Option<Arc<str>>,
    pub(crate) detection: Arc<Detection>,
    /// None if it has placeholders (`expand`), whose values are known when it is compiled.
    ready: Option<Arc<Tree<Check>>>,
}

impl Part {
    pub(crate) fn new(detection: Detection, filter: Option<Arc<str>>) -> Result<Part, Problem> {
        let ready = match detection.has_placeholders() {
            true => None,
            false => Some(Arc::new(detection.lower(&Placeholders::new())?)),
        };
        Ok(Part { filter, detection: Arc::new(detection), ready })
    }

    /// Its checks, with these values for placeholders.
    pub(crate) fn lower(&self, placeholders: &Placeholders) -> Result<Cow<'_, Tree<Check>>, Problem> {
        match &self.ready {
            Some(tree) => Ok(Cow::Borrowed(tree)),
            None => self.detection.lower(placeholders).map(Cow::Owned),
        }
    }
}

/// The `detection` part.
#[derive(Clone, Debug)]
pub(crate) struct Detection {
    pub(crate) selections: Vec<(String, Selection)>,
    pub(crate) condition: condition::Condition,
    /// The condition in words; several are alternatives.
    pub(crate) written: Vec<Box<str>>,
}

/// One named search.
#[derive(Clone, Debug)]
pub(crate) enum Selection {
    /// A map: every item.
    All(Vec<Item>),
    /// A list: any of its elements.
    Any(Vec<Selection>),
}

/// A rule that will not run, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The file, as the user named it.
    pub file: Arc<str>,
    /// The line of what is wrong, from 1; 0 if the file itself cannot be read.
    pub line: u32,
    /// The column of what is wrong, from 1; 0 where there is none.
    pub column: u32,
    /// The rule's id, where one could be read.
    pub id: Option<String>,
    /// The rule's title, where one could be read.
    pub title: Option<String>,
    /// What is wrong: lower case, no full stop.
    pub reason: String,
}

impl Refused {
    pub(crate) fn of(rule: &Rule, place: Place, reason: impl Into<String>) -> Self {
        Refused::named(&rule.file, &rule.reference, place, reason)
    }

    pub(crate) fn named(file: &Arc<str>, reference: &RuleRef, place: Place, reason: impl Into<String>) -> Self {
        Refused {
            file: file.clone(),
            line: place.line,
            column: place.column,
            id: Some(reference.id.clone()),
            title: Some(reference.title.clone()),
            reason: reason.into(),
        }
    }
}

impl fmt::Display for Refused {
    /// `file:line:column: reason (title, id)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file)?;
        if self.line > 0 {
            write!(f, "{}:{}:", self.line, self.column)?;
        }
        write!(f, " {}", self.reason)?;
        match (&self.title, &self.id) {
            (Some(title), Some(id)) if title != id => write!(f, " ({title}, {id})"),
            (Some(name), _) | (None, Some(name)) => write!(f, " ({name})"),
            (None, None) => Ok(()),
        }
    }
}
