//! Which events belong to which log sources, and what rules' field names are called in them.
//!
//! The mapping is data: `content/logsources/*.yml`, built in, and replaceable file by file from a folder.
//! Each file may have three parts:
//!
//! ```yaml
//! logsources:            # an event belongs to every one of these whose conditions hold
//!   - product: windows
//!     category: process_creation
//!     when:              # a Sigma selection over the event's own field names: list = or, map = and
//!       - winlog.channel: Microsoft-Windows-Sysmon/Operational
//!         event.code: 1
//! fields:                # what rules of a log source call a field → where events have it; first present wins
//!   - product: windows   # the log sources it is for; the more parts it names, the earlier it is asked
//!     names:
//!       Image: [winlog.event_data.Image, process.executable]
//!     otherwise: ['winlog.event_data.*', '*']     # `*` is the rule's name for the field
//! placeholders:          # values for `%name%` under the modifier `expand`
//!   Admins: [root, 'adm_*']
//! ```

mod builtin;

use std::{collections::HashMap, fs, path::Path, sync::Arc};

use vedette_event::{Diagnostic, ecs};

use crate::{
    check::{Check, Test, Tree},
    pattern::Pattern,
    rule::{Item, Logsource, Placeholders, Selection, lower_selection, read_logsource, read_selection},
    yaml::{self, Node, Place, Problem, Scalar},
};

/// Largest mapping file.
const MAX_FILE_BYTES: u64 = 2 << 20;

/// Log source conditions, field names and placeholders.
#[derive(Clone, Debug, Default)]
pub struct Mapping {
    memberships: Vec<Membership>,
    fields: Vec<Fields>,
    placeholders: Placeholders,
}

/// Events for which `when` holds belong to `logsource`.
#[derive(Clone, Debug)]
struct Membership {
    logsource: Logsource,
    when: Arc<Tree<Check>>,
    written: Arc<Selection>,
}

/// Field names for the rules of some log sources.
#[derive(Clone, Debug)]
struct Fields {
    logsource: Logsource,
    names: HashMap<String, Vec<String>>,
    otherwise: Option<Vec<String>>,
}

impl Mapping {
    /// The mapping that Vedette comes with.
    pub fn builtin() -> Mapping {
        let (mapping, wrong) = Mapping::from_texts(builtin::FILES.iter().map(|(name, text)| (*name, *text)));
        debug_assert!(wrong.is_empty(), "{wrong:?}");
        mapping
    }

    /// The built-in mapping with the files of a folder: one with a built-in file's name takes its place, any other
    /// is added.
    pub fn load(folder: &Path) -> Result<Mapping, Vec<Diagnostic>> {
        let unreadable = |path: &Path, reason: String| vec![Diagnostic::new(path.to_string_lossy(), 0, 0, reason)];
        let entries = fs::read_dir(folder).and_then(|entries| entries.collect::<Result<Vec<_>, _>>());
        let mut entries = entries.map_err(|error| unreadable(folder, format!("cannot be read: {error}")))?;
        entries.sort_by_key(fs::DirEntry::file_name);
        let mut files: Vec<(String, String)> =
            builtin::FILES.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        for entry in entries {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            if !name.ends_with(".yml") || name.starts_with('.') {
                continue;
            }
            if fs::metadata(&path).is_ok_and(|metadata| metadata.len() > MAX_FILE_BYTES) {
                return Err(unreadable(&path, format!("larger than {MAX_FILE_BYTES} bytes")));
            }
            let text =
                fs::read_to_string(&path).map_err(|error| unreadable(&path, format!("cannot be read: {error}")))?;
            files.retain(|(known, _)| *known != name);
            files.push((name, text));
        }
        let (mapping, wrong) = Mapping::from_texts(files.iter().map(|(name, text)| (name.as_str(), text.as_str())));
        if wrong.is_empty() { Ok(mapping) } else { Err(wrong) }
    }

    /// A mapping of only this text.
    pub fn parse(file: &str, text: &str) -> Result<Mapping, Vec<Diagnostic>> {
        let (mapping, wrong) = Mapping::from_texts([(file, text)].into_iter());
        if wrong.is_empty() { Ok(mapping) } else { Err(wrong) }
    }

    /// Gives `%name%` its values, as Sigma strings (`*` and `?` are wildcards).
    pub fn placeholder(&mut self, name: &str, values: Vec<String>) {
        self.placeholders.insert(name.to_owned(), values);
    }

    fn from_texts<'a>(files: impl Iterator<Item = (&'a str, &'a str)>) -> (Mapping, Vec<Diagnostic>) {
        let mut mapping = Mapping::default();
        let mut wrong = Vec::new();
        for (file, text) in files {
            for document in yaml::documents(text) {
                if let Err(Problem { place, reason }) = document.and_then(|node| mapping.add(&node)) {
                    wrong.push(Diagnostic::new(file, place.line, place.column, reason));
                }
            }
        }
        (mapping, wrong)
    }

    fn add(&mut self, document: &Node) -> Result<(), Problem> {
        let Some(entries) = document.map() else {
            return Err(Problem::new(document.place, "a log source mapping is a map"));
        };
        for (key, part) in entries {
            match key.text.as_str() {
                "logsources" => {
                    for node in part.one_or_many() {
                        self.memberships.push(membership(node)?);
                    }
                }
                "fields" => {
                    for node in part.one_or_many() {
                        self.fields.push(fields(node)?);
                    }
                }
                "placeholders" => {
                    for (name, values) in part.map().unwrap_or_default() {
                        self.placeholders.insert(name.text.clone(), texts(values)?);
                    }
                }
                other => {
                    let reason = format!("unknown key `{other}`; there are: logsources, fields, placeholders");
                    return Err(Problem::new(key.place, reason));
                }
            }
        }
        Ok(())
    }

    pub(crate) fn placeholders(&self) -> &Placeholders {
        &self.placeholders
    }

    /// How the events for a rule's log source are told, and how they name fields.
    pub(crate) fn view(&self, logsource: &Logsource) -> View<'_> {
        let feeds = self.feeds(logsource);
        let mut alternatives: Vec<Tree<Check>> = feeds
            .iter()
            .map(|feed| Tree::all(feed.iter().map(|membership| (*membership.when).clone()).collect()))
            .collect();
        let mut logsources: Vec<Logsource> = feeds.iter().map(|feed| logsource.refined(&feed[0].logsource)).collect();
        let mapped = !alternatives.is_empty();
        if !mapped {
            let dataset = Test::Text { pattern: Pattern::literal(logsource.dataset()).folded(), cased: false };
            alternatives.push(Tree::Leaf(Check { field: Some("event.dataset".into()), test: dataset }));
            logsources.push(logsource.clone());
        }
        logsources.sort();
        logsources.dedup();
        View { mapping: self, mapped, when: Tree::any(alternatives), logsources }
    }

    /// What of the mapping feeds a log source: events that belong to one of these, or to both of a pair.
    fn feeds(&self, logsource: &Logsource) -> Vec<Vec<&Membership>> {
        let covered = self.memberships.iter().filter(|membership| logsource.covers(&membership.logsource));
        let mut feeds: Vec<Vec<&Membership>> = covered.map(|membership| vec![membership]).collect();
        if logsource.category.is_some() && logsource.service.is_some() {
            self.add_pairs(logsource, &mut feeds);
        }
        feeds
    }

    /// In words what [`view`](Mapping::view) says with `when`: for each log source that feeds this one, all that must hold.
    pub(crate) fn conditions(&self, logsource: &Logsource) -> Vec<(String, Vec<Arc<Selection>>)> {
        let feeds = self.feeds(logsource);
        if feeds.is_empty() {
            let dataset = logsource.dataset().replace('\\', r"\\").replace('*', r"\*").replace('?', r"\?");
            let place = Place::default();
            let item = Item {
                place,
                field: Some("event.dataset".into()),
                also: Vec::new(),
                modifiers: Vec::new(),
                values: vec![(place, Scalar::Text(dataset))],
            };
            return vec![(logsource.to_string(), vec![Arc::new(Selection::All(vec![item]))])];
        }
        let words = |feed: Vec<&Membership>| {
            let names: Vec<String> = feed.iter().map(|membership| membership.logsource.to_string()).collect();
            (names.join(" and "), feed.iter().map(|membership| membership.written.clone()).collect())
        };
        feeds.into_iter().map(words).collect()
    }

    /// A rule that names a category and a service reads the events that belong to both.
    fn add_pairs<'a>(&'a self, logsource: &Logsource, feeds: &mut Vec<Vec<&'a Membership>>) {
        let category = Logsource { service: None, ..logsource.clone() };
        let service = Logsource { category: None, ..logsource.clone() };
        for first in self.memberships.iter().filter(|membership| category.covers(&membership.logsource)) {
            for second in self.memberships.iter().filter(|membership| service.covers(&membership.logsource)) {
                let same_product = first.logsource.product == second.logsource.product;
                if same_product && first.logsource.service.is_none() && second.logsource.category.is_none() {
                    feeds.push(vec![first, second]);
                }
            }
        }
    }

    /// The names of a field in events of one log source, best first.
    fn names(&self, logsource: &Logsource, field: &str) -> Vec<String> {
        let mut blocks: Vec<&Fields> = self.fields.iter().filter(|block| block.logsource.covers(logsource)).collect();
        blocks.sort_by_key(|block| std::cmp::Reverse(block.logsource.parts()));
        if let Some(names) = blocks.iter().find_map(|block| block.names.get(field)) {
            return names.clone();
        }
        match blocks.iter().find_map(|block| block.otherwise.as_ref()) {
            Some(otherwise) => otherwise.iter().map(|name| name.replace('*', field)).collect(),
            None => vec![field.to_owned()],
        }
    }
}

/// What the mapping says for one log source.
pub(crate) struct View<'a> {
    mapping: &'a Mapping,
    /// False if no entry of the mapping feeds it; then it reads the dataset of its name.
    pub(crate) mapped: bool,
    /// Which events belong to it, in terms of their own field names.
    pub(crate) when: Tree<Check>,
    logsources: Vec<Logsource>,
}

impl View<'_> {
    /// Where events have a field that rules name so; first present wins.
    pub(crate) fn names(&self, field: &str) -> Vec<Box<str>> {
        let mut names: Vec<Box<str>> = Vec::new();
        for name in self.logsources.iter().flat_map(|logsource| self.mapping.names(logsource, field)) {
            if !names.iter().any(|known| **known == name) {
                names.push(name.into());
            }
        }
        names
    }
}

impl Logsource {
    fn parts(&self) -> usize {
        [&self.product, &self.category, &self.service].into_iter().flatten().count()
    }
}

fn membership(node: &Node) -> Result<Membership, Problem> {
    let logsource = read_logsource(node, &["when"])?;
    let Some(when) = node.get("when") else {
        return Err(Problem::new(node.place, "`when` is missing"));
    };
    let place = when.place;
    let written = read_selection(when)?;
    let when = lower_selection(&written, &Placeholders::new())?;
    let mut told = true;
    when.each(&mut |check| told &= !matches!(check.field.as_deref(), None | Some(ecs::TIMESTAMP | ecs::ORIGINAL)));
    if !told {
        return Err(Problem::new(place, "log sources are told apart by fields, not by keywords, time or original"));
    }
    Ok(Membership { logsource, when: Arc::new(when), written: Arc::new(written) })
}

fn fields(node: &Node) -> Result<Fields, Problem> {
    let logsource = read_logsource(node, &["names", "otherwise"])?;
    let mut names = HashMap::new();
    for (name, values) in node.get("names").and_then(Node::map).unwrap_or_default() {
        names.insert(name.text.clone(), texts(values)?);
    }
    let otherwise = node.get("otherwise").map(texts).transpose()?;
    Ok(Fields { logsource, names, otherwise })
}

fn texts(node: &Node) -> Result<Vec<String>, Problem> {
    let text = |node: &Node| {
        node.text().ok_or_else(|| Problem::new(node.place, format!("{} where text is expected", node.kind())))
    };
    node.one_or_many().iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping() -> Mapping {
        let text = "
logsources:
  - {product: p, category: c, when: {k: 1}}
  - {product: p, service: s, when: {k: 2}}
  - {product: q, category: c, when: {k: 3}}
fields:
  - {product: p, names: {F: [p.F, x]}, otherwise: ['p.*', '*']}
  - {product: p, category: c, names: {F: pc.F}}
";
        Mapping::parse("m.yml", text).unwrap()
    }

    fn source(product: &str, category: &str, service: &str) -> Logsource {
        let part = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Logsource { product: part(product), category: part(category), service: part(service) }
    }

    #[test]
    fn the_most_specific_names_win() {
        let mapping = mapping();
        for (logsource, field, want) in [
            (source("p", "c", ""), "F", "pc.F"),
            (source("p", "", "s"), "F", "p.F x"),
            (source("p", "", "s"), "G", "p.G G"),
            (source("q", "c", ""), "F", "F"),
            (source("", "c", ""), "F", "pc.F F"),
            (source("p", "", ""), "F", "p.F x pc.F"),
        ] {
            assert_eq!(mapping.view(&logsource).names(field).join(" "), want, "{logsource} {field}");
        }
    }

    #[test]
    fn a_rule_is_fed_by_every_log_source_it_covers() {
        let mapping = mapping();
        let alternatives = |logsource: Logsource| match mapping.view(&logsource) {
            View { mapped: false, .. } => 0,
            View { when: Tree::Any(children), .. } => children.len(),
            _ => 1,
        };
        assert_eq!(alternatives(source("p", "c", "")), 1);
        assert_eq!(alternatives(source("", "c", "")), 2);
        assert_eq!(alternatives(source("p", "", "")), 2);
        assert_eq!(alternatives(source("p", "c", "s")), 1);
        assert_eq!(alternatives(source("q", "c", "s")), 0);
        assert_eq!(alternatives(source("r", "", "")), 0);
    }

    #[test]
    fn mistakes_are_refused_with_their_place() {
        for (text, want) in [
            ("logsource: []", "m.yml:1:1: unknown key `logsource`; there are: logsources, fields, placeholders"),
            ("logsources:\n  - {product: p}", "m.yml:2:5: `when` is missing"),
            ("fields:\n  - {produkt: p}", "m.yml:2:6: unknown key `produkt` in `logsource`"),
            ("- 1", "m.yml:1:1: a log source mapping is a map"),
        ] {
            assert_eq!(Mapping::parse("m.yml", text).unwrap_err()[0].to_string(), want);
        }
    }

    #[test]
    fn the_built_in_mapping_is_whole() {
        let (_, wrong) = Mapping::from_texts(builtin::FILES.iter().map(|(name, text)| (*name, *text)));
        assert_eq!(wrong, []);
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../content/logsources");
        let mut files: Vec<String> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(".yml"))
            .collect();
        files.sort();
        let mut embedded: Vec<&str> = builtin::FILES.iter().map(|(name, _)| *name).collect();
        embedded.sort_unstable();
        assert_eq!(files, embedded, "every file of content/logsources is built in");
        assert!(Mapping::load(&folder).is_ok());
    }
}
