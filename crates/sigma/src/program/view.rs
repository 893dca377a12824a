//! One event as rules see it.

use std::{
    borrow::Cow,
    cell::{Cell, OnceCell},
};

use vedette_event::{Batch, Event, NameId, Value, ecs};

use super::{Check, CheckId, Program, SlotId};
use crate::{
    check::{Number, Test},
    fold::fold,
};

const NONE: u32 = u32::MAX;

/// Fields that say how the event was sorted, not what it says: keywords are not searched in them.
const NOT_SEARCHED: [&str; 6] =
    ["event.kind", "event.category", "event.type", "event.outcome", "event.dataset", "event.module"];

/// Where the events of a batch have the program's slots.
pub(super) struct Names {
    slots: Vec<OnceCell<Box<[Place]>>>,
}

#[derive(Clone, Copy)]
enum Place {
    Field(NameId),
    /// The event's own time.
    Time,
    /// Its original bytes.
    Original,
}

impl Names {
    pub(super) fn new(program: &Program) -> Names {
        Names { slots: vec![OnceCell::new(); program.slots.len()] }
    }

    fn of(&self, slot: SlotId, program: &Program, batch: &Batch) -> &[Place] {
        self.slots[slot as usize].get_or_init(|| {
            let place = |name: &str| match batch.name_id(name) {
                Some(id) => Some(Place::Field(id)),
                None if name == ecs::TIMESTAMP => Some(Place::Time),
                None if name == ecs::ORIGINAL => Some(Place::Original),
                None => None,
            };
            program.slots[slot as usize].names.iter().filter_map(|name| place(name)).collect()
        })
    }
}

/// A value with its forms, made when first asked for.
pub(super) struct Held<'b> {
    pub(super) name: &'b str,
    pub(super) value: Value<'b>,
    text: OnceCell<Cow<'b, str>>,
    folded: OnceCell<Cow<'b, str>>,
    /// The next value of the same field.
    next: u32,
}

impl<'b> Held<'b> {
    fn new(name: &'b str, value: Value<'b>) -> Self {
        Held { name, value, text: OnceCell::new(), folded: OnceCell::new(), next: NONE }
    }

    fn of_text(name: &'b str, text: Cow<'b, str>) -> Self {
        let held = Held::new(name, Value::Str(""));
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
}

/// An event under the program's checks.
pub(super) struct View<'p, 'b> {
    program: &'p Program,
    names: &'p Names,
    event: Event<'b>,
    fields: Vec<Held<'b>>,
    time: OnceCell<Held<'b>>,
    original: OnceCell<Held<'b>>,
    scratch: &'p Scratch,
    /// Even, and different for each event that shares the scratch.
    number: u32,
}

/// What the views of one batch's events share, so that it is allocated once.
pub(super) struct Scratch {
    /// For each check: the view's number where it is false there, the next number where it is true.
    truths: Vec<Cell<u32>>,
    /// For each name of the batch: the view's number, and the name's first and last field there.
    chains: Vec<Cell<(u32, u32, u32)>>,
}

impl Scratch {
    pub(super) fn new(program: &Program, batch: &Batch) -> Scratch {
        Scratch {
            truths: vec![Cell::new(0); program.checks.len()],
            chains: vec![Cell::new((0, NONE, NONE)); batch.names().len()],
        }
    }
}

impl<'p, 'b> View<'p, 'b> {
    /// The event as the `number`th of those that share the scratch, from 1.
    pub(super) fn new(
        program: &'p Program,
        names: &'p Names,
        event: Event<'b>,
        scratch: &'p Scratch,
        number: u32,
    ) -> Self {
        let number = number * 2;
        let mut fields: Vec<Held<'b>> = Vec::with_capacity(event.fields().len());
        for field in event.fields() {
            let at = fields.len() as u32;
            let chain = &scratch.chains[field.id.index()];
            match chain.get() {
                (seen, first, last) if seen == number => {
                    fields[last as usize].next = at;
                    chain.set((number, first, at));
                }
                _ => chain.set((number, at, at)),
            }
            fields.push(Held::new(field.name, field.value));
        }
        View { program, names, event, fields, time: OnceCell::new(), original: OnceCell::new(), scratch, number }
    }

    /// The first field of that name.
    fn field(&self, name: NameId) -> Option<&Held<'b>> {
        let (seen, first, _) = self.scratch.chains[name.index()].get();
        if seen == self.number { self.fields.get(first as usize) } else { None }
    }

    pub(super) fn event(&self) -> Event<'b> {
        self.event
    }

    /// A slot's values: of the first of its names that has one, else of the first that is null.
    pub(super) fn values(&self, slot: SlotId) -> impl Iterator<Item = &Held<'b>> {
        let mut at = self.first_value(slot);
        std::iter::from_fn(move || {
            let held = at?;
            at = self.fields.get(held.next as usize);
            Some(held)
        })
    }

    fn first_value(&self, slot: SlotId) -> Option<&Held<'b>> {
        let mut null = None;
        for place in self.names.of(slot, self.program, self.event.batch()) {
            let held = match place {
                Place::Field(name) => self.field(*name),
                Place::Time => Some(
                    self.time.get_or_init(|| Held::of_text(ecs::TIMESTAMP, Cow::Owned(self.event.time().to_string()))),
                ),
                Place::Original => Some(self.original()),
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
            at = self.fields.get(held.next as usize);
        }
        false
    }

    fn original(&self) -> &Held<'b> {
        self.original.get_or_init(|| Held::of_text(ecs::ORIGINAL, String::from_utf8_lossy(self.event.raw())))
    }

    /// Everything that keywords are searched in: every value, and the original where it is no JSON object (whose
    /// values are the fields, without JSON's escapes).
    pub(super) fn searched(&self) -> impl Iterator<Item = &Held<'b>> {
        let structured = self.event.raw().trim_ascii_start().first() == Some(&b'{');
        let original = (!structured).then(|| self.original());
        let told = |held: &&Held<'b>| !held.is_null() && !NOT_SEARCHED.contains(&held.name);
        self.fields.iter().filter(told).chain(original)
    }

    /// The truth of a check in this event.
    pub(super) fn truth(&self, check: CheckId) -> bool {
        let truth = &self.scratch.truths[check as usize];
        if truth.get() & !1 == self.number {
            return truth.get() & 1 == 1;
        }
        let check = &self.program.checks[check as usize];
        let holds = match (&check.test, check.slot) {
            (Test::Null, Some(slot)) => self.is_null(slot),
            (Test::Exists, Some(slot)) => self.values(slot).next().is_some(),
            _ => self.witness(check).is_some(),
        };
        truth.set(self.number | u32::from(holds));
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
        match test {
            Test::Text { pattern, cased: true } => pattern.matches(held.text()),
            Test::Text { pattern, cased: false } => pattern.matches(held.folded()),
            Test::Regex(expression) => expression.0.is_match(held.text()),
            Test::Cidr(network) => network.contains(held.text()),
            Test::Number(compare, number) => {
                number_of(held).and_then(|value| value.compare(*number)).is_some_and(|ordering| compare.holds(ordering))
            }
            Test::Part(part, compare, number) => {
                part.of(held.text()).is_some_and(|value| compare.holds(value.cmp(number)))
            }
            Test::Field { relation, cased, .. } => other.is_some_and(|other| {
                let mut others = self.values(other).filter(|other| !other.is_null());
                match cased {
                    true => others.any(|other| relation.holds(held.text(), other.text())),
                    false => others.any(|other| relation.holds(held.folded(), other.folded())),
                }
            }),
            Test::Null | Test::Exists => unreachable!("answered above"),
        }
    }
}

fn number_of(held: &Held<'_>) -> Option<Number> {
    match held.value {
        Value::Int(int) => Some(Number::Int(int)),
        Value::Float(float) => Some(Number::Float(float)),
        _ => Number::parse(held.text()),
    }
}
