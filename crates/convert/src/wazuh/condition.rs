//! What a rule asks of an event, and how Sigma writes it: selections and a condition over them.

use std::collections::HashSet;

use crate::yaml::{Lines, scalar};

/// What our engine reads at most: the longest condition, most selections, most values of a rule.
const MAX_CONDITION: usize = 64 << 10;
const MAX_SELECTIONS: usize = 1_000;
pub(super) const MAX_VALUES: usize = 50_000;

/// A logical combination of items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expr {
    All(Vec<Expr>),
    Any(Vec<Expr>),
    Not(Box<Expr>),
    Item(Item),
}

/// A field, its modifiers and values: any of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) field: String,
    pub(super) modifiers: Vec<&'static str>,
    pub(super) values: Vec<Value>,
}

/// A value as it is written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Value {
    Text(String),
    /// A number, `true`.
    Plain(String),
}

impl Value {
    fn yaml(&self) -> String {
        match self {
            Value::Text(text) => scalar(text),
            Value::Plain(text) => text.clone(),
        }
    }
}

impl Item {
    pub(super) fn text(field: &str, modifiers: &[&'static str], values: Vec<String>) -> Expr {
        let values = values.into_iter().map(Value::Text).collect();
        Expr::Item(Item { field: field.to_owned(), modifiers: modifiers.to_vec(), values })
    }

    pub(super) fn number(field: &str, modifiers: &[&'static str], number: u32) -> Expr {
        let values = vec![Value::Plain(number.to_string())];
        Expr::Item(Item { field: field.to_owned(), modifiers: modifiers.to_vec(), values })
    }

    pub(super) fn exists(field: &str) -> Expr {
        let values = vec![Value::Plain("true".into())];
        Expr::Item(Item { field: field.to_owned(), modifiers: vec!["exists"], values })
    }

    fn key(&self) -> String {
        self.modifiers.iter().fold(self.field.clone(), |key, modifier| key + "|" + modifier)
    }
}

impl Expr {
    pub(super) fn not(self) -> Expr {
        match self {
            Expr::Not(inner) => *inner,
            other => Expr::Not(Box::new(other)),
        }
    }

    /// How many values it has.
    fn values(&self) -> usize {
        match self {
            Expr::All(children) | Expr::Any(children) => children.iter().map(Expr::values).sum(),
            Expr::Not(inner) => inner.values(),
            Expr::Item(item) => item.values.len(),
        }
    }

    /// The same without needless levels; `All` of nothing is true.
    pub(super) fn simplified(self) -> Expr {
        let flat = |children: Vec<Expr>, all: bool| {
            let mut flat: Vec<Expr> = Vec::new();
            for child in children {
                match (child.simplified(), all) {
                    (Expr::All(inner), true) | (Expr::Any(inner), false) => flat.extend(inner),
                    (child, _) if flat.contains(&child) => {}
                    (child, _) => flat.push(child),
                }
            }
            flat
        };
        let single = |mut children: Vec<Expr>, wrap: fn(Vec<Expr>) -> Expr| match children.len() {
            1 => children.remove(0),
            _ => wrap(children),
        };
        match self {
            Expr::All(children) => single(flat(children, true), Expr::All),
            Expr::Any(children) => {
                let children = flat(children, false);
                // Whatever else is offered, nothing at all is asked.
                if children.contains(&Expr::All(Vec::new())) {
                    return Expr::All(Vec::new());
                }
                single(children, Expr::Any)
            }
            Expr::Not(inner) => inner.simplified().not(),
            item => item,
        }
    }
}

/// Writes `expr` as the entries of a `detection` or `filter` map, or says why it cannot be.
pub(super) fn write(lines: &mut Lines, indent: usize, expr: &Expr, most: usize) -> Result<(), String> {
    if expr.values() > most {
        return Err(format!("it would ask for more than {most} values"));
    }
    let mut selections = Selections { written: Vec::new() };
    let template = selections.condition(expr, 0);
    if selections.written.len() > MAX_SELECTIONS {
        return Err(format!("it would have more than {MAX_SELECTIONS} selections"));
    }
    let names: Vec<String> = selections.names().collect();
    for (name, selection) in names.iter().zip(&selections.written) {
        lines.line(indent, &format!("{name}:"));
        match selection {
            Selection::All(items) => items.iter().for_each(|item| write_item(lines, indent + 1, "", item)),
            Selection::Any(items) => items.iter().for_each(|item| write_item(lines, indent + 1, "- ", item)),
        }
    }
    // The names were not known before all selections were.
    let mut condition = String::new();
    for (at, part) in template.split(['<', '>']).enumerate() {
        let name = (at % 2 == 1).then(|| part.parse().ok().and_then(|number: usize| names.get(number))).flatten();
        condition.push_str(name.map_or(part, String::as_str));
    }
    if condition.len() > MAX_CONDITION {
        return Err(format!("its condition would be longer than {MAX_CONDITION} bytes"));
    }
    lines.entry(indent, "condition", &condition);
    Ok(())
}

fn write_item(lines: &mut Lines, indent: usize, lead: &str, item: &Item) {
    let key = scalar(&item.key());
    match item.values.as_slice() {
        [one] => lines.line(indent, &format!("{lead}{key}: {}", one.yaml())),
        many => {
            lines.line(indent, &format!("{lead}{key}:"));
            let deeper = indent + 1 + usize::from(!lead.is_empty());
            many.iter().for_each(|value| lines.line(deeper, &format!("- {}", value.yaml())));
        }
    }
}

#[derive(PartialEq)]
enum Selection {
    /// A map.
    All(Vec<Item>),
    /// A list of maps.
    Any(Vec<Item>),
}

struct Selections {
    written: Vec<Selection>,
}

impl Selections {
    fn names(&self) -> impl Iterator<Item = String> {
        let single = self.written.len() == 1;
        (1..=self.written.len()).map(move |at| if single { "selection".into() } else { format!("selection_{at}") })
    }

    /// The place-holder of a selection.
    fn named(&mut self, selection: Selection) -> String {
        let at = self.written.iter().position(|known| *known == selection).unwrap_or_else(|| {
            self.written.push(selection);
            self.written.len() - 1
        });
        format!("<{at}>")
    }

    fn condition(&mut self, expr: &Expr, level: u8) -> String {
        let bracket = |text: String, own: u8| if own < level { format!("({text})") } else { text };
        match expr {
            Expr::Item(item) => self.named(Selection::All(vec![item.clone()])),
            Expr::Not(inner) => format!("not {}", self.condition(inner, 3)),
            Expr::Any(children) => {
                let items: Option<Vec<Item>> = children.iter().map(item).collect();
                if let Some(items) = items {
                    return self.named(Selection::Any(items));
                }
                let terms: Vec<String> = children.iter().map(|child| self.condition(child, 2)).collect();
                bracket(terms.join(" or "), 1)
            }
            Expr::All(children) => {
                // Items with keys of their own make one map.
                let mut keys = HashSet::new();
                let (map, rest): (Vec<&Expr>, Vec<&Expr>) =
                    children.iter().partition(|child| item(child).is_some_and(|item| keys.insert(item.key())));
                let mut terms = Vec::new();
                if !map.is_empty() {
                    terms.push(self.named(Selection::All(map.into_iter().filter_map(item).collect())));
                }
                terms.extend(rest.into_iter().map(|child| self.condition(child, 2)));
                if terms.len() == 1 { terms.remove(0) } else { bracket(terms.join(" and "), 2) }
            }
        }
    }
}

fn item(expr: &Expr) -> Option<Item> {
    match expr {
        Expr::Item(item) => Some(item.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(expr: Expr) -> String {
        let mut lines = Lines::default();
        write(&mut lines, 0, &expr.simplified(), MAX_VALUES).unwrap();
        lines.0
    }

    fn is(field: &str, value: &str) -> Expr {
        Item::text(field, &[], vec![value.into()])
    }

    #[test]
    fn selections_are_as_few_as_can_be() {
        let all = Expr::All(vec![is("a", "1"), Expr::All(vec![is("b", "2"), is("a", "3")])]);
        assert_eq!(
            shown(all.clone()),
            "selection_1:\n  a: '1'\n  b: '2'\nselection_2:\n  a: '3'\ncondition: selection_1 and selection_2\n"
        );
        let any = Expr::Any(vec![is("a", "1"), is("b", "2")]);
        assert_eq!(shown(any.clone()), "selection:\n  - a: '1'\n  - b: '2'\ncondition: selection\n");
        let mixed = Expr::Any(vec![all, any.clone().not(), Expr::All(vec![])]);
        assert_eq!(mixed.simplified(), Expr::All(vec![]));
        let nested = Expr::All(vec![is("x", "1"), Expr::Any(vec![is("a", "1").not(), is("b", "2")])]);
        assert!(shown(nested).ends_with("condition: selection_1 and (not selection_2 or selection_3)\n"));
    }
}
