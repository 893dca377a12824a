//! A rule set's sieve, as stored history wants it.

use std::{collections::HashSet, sync::Arc};

use vedette_event::ecs::{self, Kind};
use vedette_intake::parse::Parsers;
use vedette_query::Narrow;
use vedette_sigma::{Cell, Program, Sieve, Wanted};
use vedette_store::{Term, TermQuery};

/// Leaves out stored events that no rule of a program matches.
pub struct Sift {
    sieve: Sieve,
    terms: TermQuery,
    parsers: Arc<HashSet<String>>,
}

/// The parsers whose columns say what would be derived today.
pub fn current(parsers: &Parsers) -> Arc<HashSet<String>> {
    Arc::new(parsers.names().map(ToOwned::to_owned).collect())
}

impl Sift {
    /// For a program, and the parsers that are loaded.
    pub fn new(program: &Program, parsers: Arc<HashSet<String>>) -> Sift {
        let is_column = |name: &str| ecs::core(name).is_some_and(|column| column.kind != Kind::Keywords);
        Sift { sieve: program.sieve(is_column), terms: terms(&program.wanted()), parsers }
    }
}

impl Narrow for Sift {
    fn terms(&self) -> TermQuery {
        self.terms.clone()
    }

    fn is_current(&self, parser: Option<&str>) -> bool {
        parser.is_some_and(|parser| self.parsers.contains(parser))
    }

    fn columns(&self) -> (Vec<String>, usize) {
        (self.sieve.columns().map(ToOwned::to_owned).collect(), self.sieve.routing())
    }

    fn class(&mut self, column: usize, value: Option<&str>) -> u32 {
        self.sieve.class(column, value.map_or(Cell::Missing, Cell::Text))
    }

    fn may_match(&mut self, classes: &[u32]) -> bool {
        self.sieve.may_match(classes)
    }

    fn forget(&mut self) -> bool {
        self.sieve.forget()
    }
}

fn terms(wanted: &Wanted) -> TermQuery {
    match wanted {
        Wanted::Anything => TermQuery::Any,
        Wanted::All(all) => TermQuery::And(all.iter().map(terms).collect()),
        Wanted::Any(any) => TermQuery::Or(any.iter().map(terms).collect()),
        Wanted::Text { text, begins, ends } => {
            let text = text.clone();
            TermQuery::Term(match (begins, ends) {
                (true, true) => Term::Value(text),
                (true, false) => Term::ValueStart(text),
                (false, true) => Term::ValueEnd(text),
                (false, false) => Term::Contains(text),
            })
        }
    }
}
