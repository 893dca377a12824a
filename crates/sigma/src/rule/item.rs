//! One line of a selection: `Field|modifier|modifier: value`.

use super::Selection;
use crate::{
    check::Compare,
    instant::Part,
    yaml::{Data, Key, Node, Place, Problem, Scalar},
};

/// Deepest nesting of lists and maps in a selection.
const MAX_DEPTH: usize = 8;

/// A field, its modifiers in the order written, and its values.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) place: Place,
    /// None searches the whole event.
    pub(crate) field: Option<Box<str>>,
    /// Further fields, any of which may pass in the place of the first: a pipeline's doing.
    pub(crate) also: Vec<Box<str>>,
    pub(crate) modifiers: Vec<Modifier>,
    pub(crate) values: Vec<(Place, Scalar)>,
}

/// What changes how a value is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Modifier {
    All,
    StartsWith,
    EndsWith,
    Contains,
    Exists,
    Cased,
    Neq,
    Windash,
    Re,
    ReIgnoreCase,
    ReMultiLine,
    ReDotAll,
    Base64,
    Base64Offset,
    Utf16Le,
    Utf16Be,
    Utf16,
    Compare(Compare),
    Part(Part),
    Cidr,
    Expand,
    FieldRef,
}

/// What rules call modifiers. Of several names the first is the one that is shown.
const NAMES: &[(&str, Modifier)] = &[
    ("all", Modifier::All),
    ("startswith", Modifier::StartsWith),
    ("endswith", Modifier::EndsWith),
    ("contains", Modifier::Contains),
    ("exists", Modifier::Exists),
    ("cased", Modifier::Cased),
    ("neq", Modifier::Neq),
    ("windash", Modifier::Windash),
    ("re", Modifier::Re),
    ("i", Modifier::ReIgnoreCase),
    ("ignorecase", Modifier::ReIgnoreCase),
    ("m", Modifier::ReMultiLine),
    ("multiline", Modifier::ReMultiLine),
    ("s", Modifier::ReDotAll),
    ("dotall", Modifier::ReDotAll),
    ("base64", Modifier::Base64),
    ("base64offset", Modifier::Base64Offset),
    ("wide", Modifier::Utf16Le),
    ("utf16le", Modifier::Utf16Le),
    ("utf16be", Modifier::Utf16Be),
    ("utf16", Modifier::Utf16),
    ("lt", Modifier::Compare(Compare::Less)),
    ("lte", Modifier::Compare(Compare::LessOrEqual)),
    ("gt", Modifier::Compare(Compare::Greater)),
    ("gte", Modifier::Compare(Compare::GreaterOrEqual)),
    ("minute", Modifier::Part(Part::Minute)),
    ("hour", Modifier::Part(Part::Hour)),
    ("day", Modifier::Part(Part::Day)),
    ("week", Modifier::Part(Part::Week)),
    ("month", Modifier::Part(Part::Month)),
    ("year", Modifier::Part(Part::Year)),
    ("cidr", Modifier::Cidr),
    ("expand", Modifier::Expand),
    ("fieldref", Modifier::FieldRef),
];

impl Modifier {
    fn named(name: &str) -> Option<Modifier> {
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, modifier)| *modifier)
    }

    fn name(self) -> &'static str {
        NAMES.iter().find(|(_, modifier)| *modifier == self).map_or("", |(name, _)| name)
    }
}

/// Reads a selection: a map, a list of maps and keywords, or a keyword.
pub(crate) fn read_selection(node: &Node) -> Result<Selection, Problem> {
    read_nested(node, 0)
}

fn read_nested(node: &Node, depth: usize) -> Result<Selection, Problem> {
    if depth > MAX_DEPTH {
        return Err(Problem::new(node.place, format!("a selection nested deeper than {MAX_DEPTH} levels")));
    }
    match &node.data {
        Data::Map(entries) if entries.is_empty() => Err(Problem::new(node.place, "an empty selection")),
        Data::Map(entries) => {
            Ok(Selection::All(entries.iter().map(|(key, value)| read_item(key, value)).collect::<Result<_, _>>()?))
        }
        Data::List(nodes) if nodes.is_empty() => Err(Problem::new(node.place, "an empty selection")),
        Data::List(nodes) => {
            let mut alternatives = Vec::new();
            let mut keywords = Vec::new();
            for node in nodes {
                match &node.data {
                    Data::Scalar(scalar) => keywords.push((node.place, scalar.clone())),
                    Data::Map(_) | Data::List(_) => alternatives.push(read_nested(node, depth + 1)?),
                }
            }
            if !keywords.is_empty() {
                alternatives.push(Selection::All(vec![keyword_item(node.place, keywords)]));
            }
            Ok(Selection::Any(alternatives))
        }
        Data::Scalar(scalar) => Ok(Selection::All(vec![keyword_item(node.place, vec![(node.place, scalar.clone())])])),
    }
}

fn keyword_item(place: Place, values: Vec<(Place, Scalar)>) -> Item {
    Item { place, field: None, also: Vec::new(), modifiers: Vec::new(), values }
}

fn read_item(key: &Key, node: &Node) -> Result<Item, Problem> {
    let mut parts = key.text.split('|');
    let field = parts.next().unwrap_or("");
    let mut modifiers = Vec::new();
    for name in parts {
        let Some(modifier) = Modifier::named(name) else {
            return Err(Problem::new(key.place, format!("unknown modifier `{name}` in `{}`", key.text)));
        };
        if modifiers.contains(&modifier) {
            return Err(Problem::new(key.place, format!("modifier `{name}` is given twice in `{}`", key.text)));
        }
        modifiers.push(modifier);
    }
    let mut values = Vec::new();
    for node in node.one_or_many() {
        let Some(scalar) = node.scalar() else {
            return Err(Problem::new(
                node.place,
                format!("`{}` has {} where a value is expected", key.text, node.kind()),
            ));
        };
        values.push((node.place, scalar.clone()));
    }
    if values.is_empty() {
        return Err(Problem::new(node.place, format!("`{}` has no values", key.text)));
    }
    let field = (!field.is_empty()).then(|| field.into());
    Ok(Item { place: key.place, field, also: Vec::new(), modifiers, values })
}

impl Item {
    pub(crate) fn has(&self, modifier: Modifier) -> bool {
        self.modifiers.contains(&modifier)
    }

    /// `Image|contains|all`: a field of it with its modifiers; only these for the whole event.
    pub(crate) fn key(&self, field: Option<&str>) -> String {
        self.modifiers.iter().fold(field.unwrap_or("").to_owned(), |key, modifier| key + "|" + modifier.name())
    }
}

impl Selection {
    pub(crate) fn items(&self) -> Box<dyn Iterator<Item = &Item> + '_> {
        match self {
            Selection::All(items) => Box::new(items.iter()),
            Selection::Any(alternatives) => Box::new(alternatives.iter().flat_map(Selection::items)),
        }
    }
}
