//! Which values made a rule match: the same for all events that have the same layout and whose values have the same
//! outcomes, so that it is found out once.

use super::{CheckId, Program, view::View};
use crate::check::Tree;

/// Most pieces of evidence for one match.
const MAX_EVIDENCE: usize = 64;

/// A value that speaks for a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Evidence {
    /// Of the field at this place in the event.
    Field(u32),
    /// The event's time.
    Time,
    /// Its original bytes.
    Original,
    /// This keyword, in any value.
    Keyword(CheckId),
}

const TIME: u32 = 1 << 30;
const ORIGINAL: u32 = TIME + 1;
const KEYWORD: u32 = 1 << 31;

impl Evidence {
    /// With a field's place among those of a layout, which are at these places in the event, instead of its place there.
    pub(super) fn by_field(self, places: &[u32]) -> Evidence {
        match self {
            Evidence::Field(place) => Evidence::Field(places.partition_point(|known| *known < place) as u32),
            other => other,
        }
    }

    /// The other way round.
    pub(super) fn by_place(self, places: &[u32]) -> Evidence {
        match self {
            Evidence::Field(field) => Evidence::Field(places[field as usize]),
            other => other,
        }
    }

    /// As one number.
    pub(super) fn to_number(self) -> u32 {
        match self {
            Evidence::Field(place) => place,
            Evidence::Time => TIME,
            Evidence::Original => ORIGINAL,
            Evidence::Keyword(check) => KEYWORD | check,
        }
    }

    /// Of a number.
    pub(super) fn from_number(number: u32) -> Evidence {
        match number {
            TIME => Evidence::Time,
            ORIGINAL => Evidence::Original,
            number if number & KEYWORD != 0 => Evidence::Keyword(number & !KEYWORD),
            place => Evidence::Field(place),
        }
    }
}

/// All true checks that count in the condition's favour.
pub(super) fn collect(program: &Program, condition: &Tree<CheckId>, view: &View<'_, '_>, found: &mut Vec<Evidence>) {
    let holds = |tree: &Tree<CheckId>| tree.eval(&mut |check| view.truth(*check));
    match condition {
        Tree::Leaf(check) => {
            let asked = &program.checks[*check as usize];
            let evidence = match asked.slot {
                None => view.truth(*check).then_some(Evidence::Keyword(*check)),
                Some(_) => view.witness(asked).map(|held| held.evidence()),
            };
            if let Some(evidence) = evidence
                && found.len() < MAX_EVIDENCE
                && !found.contains(&evidence)
            {
                found.push(evidence);
            }
        }
        Tree::All(children) | Tree::Any(children) | Tree::AtLeast(_, children) => {
            children.iter().filter(|child| holds(child)).for_each(|child| collect(program, child, view, found));
        }
        Tree::Not(_) => {}
    }
}
