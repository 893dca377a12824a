//! Which parsers to try on a record: tables from what the record shows to a short, ordered list.

use std::borrow::Cow;

use aho_corasick::{AhoCorasick, MatchKind};
use hashbrown::HashMap;
use vedette_event::Source;

use super::{
    draft::{Draft, Name},
    spec::{Format, Select},
    vocabulary::{Sym, Vocabulary},
};

/// How much of a line is searched for the pieces that parsers ask for.
const LOOK: usize = 4096;
/// Most parsers tried on one record: more than there are that select by text, so that a line which names many
/// sources cannot hide from its own.
const MAX_CANDIDATES: usize = 64;

/// A short ordered list of parsers, without an allocation.
#[derive(Debug)]
pub(crate) struct Candidates {
    list: [u16; MAX_CANDIDATES],
    len: usize,
}

impl Default for Candidates {
    fn default() -> Self {
        Candidates { list: [0; MAX_CANDIDATES], len: 0 }
    }
}

impl Candidates {
    /// Appends a parser that is not in it yet.
    pub fn add(&mut self, parser: u16) {
        if self.len < MAX_CANDIDATES && !self.as_slice().contains(&parser) {
            self.list[self.len] = parser;
            self.len += 1;
        }
    }

    /// The parsers in order.
    pub fn as_slice(&self) -> &[u16] {
        &self.list[..self.len]
    }
}

/// The tables.
#[derive(Debug)]
pub(crate) struct Selector {
    names: HashMap<Box<str>, u16>,
    programs: HashMap<Box<str>, Vec<u16>>,
    /// By name: the groups of which it is the first.
    json: Vec<Vec<(u16, Vec<Sym>)>>,
    contains: Option<(AhoCorasick, Vec<u16>)>,
    sources: Vec<(Glob, u16)>,
    formats: Vec<(Format, u16)>,
}

impl Selector {
    /// Builds the tables; the order of the parsers decides between several that fit.
    pub fn new<'a>(parsers: impl Iterator<Item = (&'a str, &'a Select)>, vocabulary: &mut Vocabulary) -> Self {
        let mut selector = Selector {
            names: HashMap::new(),
            programs: HashMap::new(),
            json: Vec::new(),
            contains: None,
            sources: Vec::new(),
            formats: Vec::new(),
        };
        let mut pieces: Vec<&str> = Vec::new();
        let mut owners = Vec::new();
        for (index, (name, select)) in parsers.enumerate() {
            let index = index as u16;
            selector.names.insert(name.into(), index);
            for program in &select.programs {
                selector.programs.entry(program.to_ascii_lowercase().into()).or_default().push(index);
            }
            for group in &select.json {
                let group: Vec<Sym> = group.iter().map(|name| vocabulary.intern(name)).collect();
                if let Some(first) = group.first().map(|sym| sym.index()) {
                    selector.json.resize_with(selector.json.len().max(first + 1), Vec::new);
                    selector.json[first].push((index, group));
                }
            }
            for piece in &select.contains {
                pieces.push(piece);
                owners.push(index);
            }
            selector.sources.extend(select.sources.iter().map(|glob| (Glob::new(glob), index)));
            selector.formats.extend(select.formats.iter().map(|format| (*format, index)));
        }
        selector.contains = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            .build(&pieces)
            .ok()
            .filter(|_| !pieces.is_empty())
            .map(|automaton| (automaton, owners));
        selector
    }

    /// The parser of that name.
    pub fn named(&self, name: &str) -> Option<u16> {
        self.names.get(name).copied()
    }

    /// The parser for a built-in format.
    pub fn format(&self, wanted: Format) -> Option<u16> {
        self.formats.iter().find(|(format, _)| *format == wanted).map(|(_, parser)| *parser)
    }

    /// What the configuration and the source's name say.
    pub fn by_source(&self, source: &Source, candidates: &mut Candidates) {
        if let Some(parser) = source.parser.as_deref().and_then(|name| self.named(name)) {
            candidates.add(parser);
        }
        for (glob, parser) in &self.sources {
            if glob.matches(&source.name) {
                candidates.add(*parser);
            }
        }
    }

    /// By the program's name: as it is, its PAM module, without its path, and up to the first slash.
    pub fn by_program(&self, program: &str, candidates: &mut Candidates) {
        if program.len() > 128 {
            return;
        }
        let lower = match program.bytes().any(|byte| byte.is_ascii_uppercase()) {
            true => Cow::Owned(program.to_ascii_lowercase()),
            false => Cow::Borrowed(program),
        };
        let lower = &*lower;
        let module = lower.find('(').map(|at| lower.split_at(at));
        let plain = module.map(|(plain, _)| plain);
        let stem = plain.unwrap_or(lower);
        let base = stem.rsplit_once('/').map(|(_, base)| base);
        let first = stem.split_once('/').map(|(first, _)| first);
        for key in [module.map(|(_, module)| module), Some(lower), plain, base, first].into_iter().flatten() {
            if let Some(parsers) = self.programs.get(key) {
                parsers.iter().for_each(|parser| candidates.add(*parser));
            }
        }
    }

    /// By the names that a flattened JSON record has, from slot `from` on.
    pub fn by_json(&self, draft: &Draft, from: usize, candidates: &mut Candidates) {
        let mut found: Vec<u16> = Vec::new();
        for slot in &draft.slots[from..] {
            let Name::Sym(sym) = slot.name else { continue };
            let Some(groups) = self.json.get(sym.index()) else { continue };
            for (parser, group) in groups {
                if !found.contains(parser) && group.iter().all(|sym| draft.get(*sym).is_some()) {
                    found.push(*parser);
                }
            }
        }
        found.sort_unstable();
        found.into_iter().for_each(|parser| candidates.add(parser));
    }

    /// By pieces of the text.
    pub fn by_text(&self, text: &str, candidates: &mut Candidates) {
        let Some((automaton, owners)) = &self.contains else { return };
        let text = &text[..text.floor_char_boundary(LOOK)];
        let mut found: Vec<u16> = Vec::new();
        for hit in automaton.find_overlapping_iter(text) {
            let owner = owners[hit.pattern().as_usize()];
            if !found.contains(&owner) {
                found.push(owner);
            }
        }
        found.sort_unstable();
        found.into_iter().for_each(|parser| candidates.add(parser));
    }
}

/// A pattern for names; `*` stands for any text.
#[derive(Debug)]
struct Glob {
    before: Box<str>,
    /// Between the stars; `None` without a star.
    rest: Option<(Vec<Box<str>>, Box<str>)>,
}

impl Glob {
    fn new(text: &str) -> Glob {
        let mut parts = text.split('*').map(Box::<str>::from);
        let before = parts.next().unwrap_or_default();
        let mut middle: Vec<Box<str>> = parts.collect();
        let rest = middle.pop().map(|last| (middle, last));
        Glob { before, rest }
    }

    fn matches(&self, text: &str) -> bool {
        let Some(mut left) = text.strip_prefix(&*self.before) else { return false };
        let Some((middle, last)) = &self.rest else { return left.is_empty() };
        for part in middle {
            match left.find(&**part) {
                Some(at) => left = &left[at + part.len()..],
                None => return false,
            }
        }
        left.ends_with(&**last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        for (glob, text, expected) in [
            ("file:*/nginx/*access*", "file:/var/log/nginx/access.log", true),
            ("file:*/nginx/*access*", "file:/var/log/apache2/access.log", false),
            ("a", "a", true),
            ("a", "ab", false),
            ("a*", "ab", true),
            ("*b", "ab", true),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "a1b2", false),
        ] {
            assert_eq!(Glob::new(glob).matches(text), expected, "{glob} {text}");
        }
    }
}
