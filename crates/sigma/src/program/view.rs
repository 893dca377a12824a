//! One event as rules see it.

use std::{borrow::Cow, cell::OnceCell};

use vedette_event::{Event, NameId, Value, ecs};

use super::{Check, CheckId, Program, SlotId, evidence::Evidence, partition::Implied, truths::Truths};
use crate::{check::Test, fold::fold};

const NONE: u32 = u32::MAX;

/// Fields that say how the event was sorted, not what it says: keywords are not searched in them.
const NOT_SEARCHED: [&str; 6] =
    ["event.kind", "event.category", "event.type", "event.outcome", "event.dataset", "event.module"];

/// Whether keywords are searched in fields of this name.
pub(super) fn is_searched(name: &str) -> bool {
    !NOT_SEARCHED.contains(&name)
}

/// Whether keywords are searched in the original: where it is no JSON object (whose values are the fields, without
/// JSON's escapes).
fn is_original_searched(event: Event<'_>) -> bool {
    event.raw().trim_ascii_start().first() != Some(&b'{')
}

/// The original, where keywords are searched in it.
pub(super) fn searched_original(event: Event<'_>) -> Option<Cow<'_, str>> {
    is_original_searched(event).then(|| String::from_utf8_lossy(event.raw()))
}

/// A value with its forms, made when first asked for.
pub(super) struct Held<'b> {
    pub(super) name: &'b str,
    pub(super) value: Value<'b>,
    text: OnceCell<Cow<'b, str>>,
    folded: OnceCell<Cow<'b, str>>,
    /// The next value of the same field.
    next: u32,
    evidence: Evidence,
}

impl<'b> Held<'b> {
    fn new(name: &'b str, value: Value<'b>, evidence: Evidence) -> Self {
        Held { name, value, text: OnceCell::new(), folded: OnceCell::new(), next: NONE, evidence }
    }

    fn of_text(name: &'b str, text: Cow<'b, str>, evidence: Evidence) -> Self {
        let held = Held::new(name, Value::Str(""), evidence);
        held.text.get_or_init(|| text);
        held
    }

    pub(super) fn text(&self) -> &str {
        self.text.get_or_init(|| self.value.to_text())
    }

    pub(super) fn folded(&self) -> &str {
        self.folded.get_or_init(|| match fold(self.text()) {
            Cow::Borrowed(_) => match self.value {
                Value::Str(text) if text.len() == self.text().len() => Cow::Borrowed(text),
                _ => Cow::Owned(self.text().to_owned()),
            },
            Cow::Owned(folded) => Cow::Owned(folded),
        })
    }

    pub(super) fn is_null(&self) -> bool {
        self.value == Value::Null
    }

    /// That it speaks for a match.
    pub(super) fn evidence(&self) -> Evidence {
        self.evidence
    }
}

/// An event under the program's checks.
pub(super) struct View<'p, 'b> {
    program: &'p Program,
    event: Event<'b>,
    fields: OnceCell<Fields<'b>>,
    time: OnceCell<Held<'b>>,
    original: OnceCell<Held<'b>>,
    truths: &'p Truths,
}

/// An event's fields, made when the event is looked at more closely.
struct Fields<'b> {
    list: Vec<Held<'b>>,
    /// For each name of the batch, its first field; [`NONE`] if there is none.
    first: Vec<u32>,
}

impl<'b> Fields<'b> {
    fn new(event: Event<'b>) -> Fields<'b> {
        let names = event.batch().names().len();
        let (mut first, mut last) = (vec![NONE; names], vec![NONE; names]);
        let mut list: Vec<Held<'b>> = Vec::with_capacity(event.fields().len());
        for field in event.fields() {
            let (at, name) = (list.len() as u32, field.id.index());
            match list.get_mut(last[name] as usize) {
                Some(before) => before.next = at,
                None => first[name] = at,
            }
            last[name] = at;
            list.push(Held::new(field.name, field.value, Evidence::Field(at)));
        }
        Fields { list, first }
    }
}

impl<'p, 'b> View<'p, 'b> {
    pub(super) fn new(program: &'p Program, event: Event<'b>, truths: &'p Truths) -> Self {
        let (fields, time, original) = Default::default();
        View { program, event, fields, time, original, truths }
    }

    fn fields(&self) -> &Fields<'b> {
        self.fields.get_or_init(|| Fields::new(self.event))
    }

    /// The first field of that name.
    fn field(&self, name: NameId) -> Option<&Held<'b>> {
        let fields = self.fields();
        fields.list.get(fields.first[name.index()] as usize)
    }

    pub(super) fn event(&self) -> Event<'b> {
        self.event
    }

    /// A slot's values: of the first of its names that has one, else of the first that is null.
    pub(super) fn values(&self, slot: SlotId) -> impl Iterator<Item = &Held<'b>> {
        let mut at = self.first_value(slot);
        std::iter::from_fn(move || {
            let held = at?;
            at = self.fields().list.get(held.next as usize);
            Some(held)
        })
    }

    fn first_value(&self, slot: SlotId) -> Option<&Held<'b>> {
        let mut null = None;
        for name in &self.program.slots[slot as usize].names {
            let field = self.event.batch().name_id(name).and_then(|name| self.field(name));
            let held = match Implied::named(name) {
                None => field,
                Some(what) => Some(field.filter(|field| self.any_value(field)).unwrap_or_else(|| self.held(what))),
            };
            match held {
                Some(held) if self.any_value(held) => return Some(held),
                Some(held) => null = null.or(Some(held)),
                None => {}
            }
        }
        null
    }

    fn any_value(&self, first: &Held<'b>) -> bool {
        let mut at = Some(first);
        while let Some(held) = at {
            if !held.is_null() {
                return true;
            }
            at = self.fields().list.get(held.next as usize);
        }
        false
    }

    fn held(&self, what: Implied) -> &Held<'b> {
        match what {
            Implied::Time => {
                let text = || Cow::Owned(self.event.time().to_string());
                self.time.get_or_init(|| Held::of_text(ecs::TIMESTAMP, text(), Evidence::Time))
            }
            Implied::Original => {
                let text = || String::from_utf8_lossy(self.event.raw());
                self.original.get_or_init(|| Held::of_text(ecs::ORIGINAL, text(), Evidence::Original))
            }
        }
    }

    /// Everything that keywords are searched in: every value, and perhaps the original.
    fn searched(&self) -> impl Iterator<Item = &Held<'b>> {
        let told = |held: &&Held<'b>| !held.is_null() && is_searched(held.name);
        let original = is_original_searched(self.event).then(|| self.held(Implied::Original));
        self.fields().list.iter().filter(told).chain(original)
    }

    /// The truth of a check in this event.
    pub(super) fn truth(&self, check: CheckId) -> bool {
        if let Some(truth) = self.truths.known(check) {
            return truth;
        }
        let asked = &self.program.checks[check as usize];
        let holds = match (&asked.test, asked.slot) {
            (Test::Null, Some(slot)) => self.is_null(slot),
            (Test::Exists, Some(slot)) => self.values(slot).next().is_some(),
            (test, _) if self.truths.is_read() && test.is_of_a_value() => false,
            _ => self.witness(asked).is_some(),
        };
        self.truths.set(check, holds);
        holds
    }

    fn is_null(&self, slot: SlotId) -> bool {
        let mut values = self.values(slot).peekable();
        values.peek().is_none() || values.any(Held::is_null)
    }

    /// The value that makes a check true; none for [`Test::Null`] of a missing field.
    pub(super) fn witness(&self, check: &Check) -> Option<&Held<'b>> {
        match check.slot {
            None => self.searched().find(|held| self.holds(&check.test, None, held)),
            Some(slot) => self.values(slot).find(|held| self.holds(&check.test, check.other, held)),
        }
    }

    fn holds(&self, test: &Test, other: Option<SlotId>, held: &Held<'b>) -> bool {
        match test {
            Test::Null => return held.is_null(),
            Test::Exists => return true,
            _ if held.is_null() => return false,
            _ => {}
        }
        let Test::Field { relation, cased, .. } = test else { return test.holds(held.text(), held.folded()) };
        other.is_some_and(|other| {
            let mut others = self.values(other).filter(|other| !other.is_null());
            match cased {
                true => others.any(|other| relation.holds(held.text(), other.text())),
                false => others.any(|other| relation.holds(held.folded(), other.folded())),
            }
        })
    }
}
