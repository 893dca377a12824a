//! The condition: `selection and not 1 of filter_*`.
//!
//! Precedence from the loosest: `or`, `and`, `not`, `x of`. The patterns of `x of` are resolved here, so that
//! a name which nothing bears is refused at once.

use crate::{
    check::Tree,
    yaml::{Place, Problem},
};

/// Leaves are indices into the detection's selections.
pub(crate) type Condition = Tree<usize>;

/// Deepest nesting of parentheses and `not`.
const MAX_DEPTH: usize = 64;
/// Longest condition in characters.
const MAX_LENGTH: usize = 64 << 10;

/// Reads a condition over selections of these names.
pub(crate) fn read(text: &str, names: &[&str], place: Place) -> Result<Condition, Problem> {
    if text.len() > MAX_LENGTH {
        return Err(Problem::new(place, format!("a condition longer than {MAX_LENGTH} bytes")));
    }
    let mut reader = Reader { words: words(text), next: 0, names, place, depth: 0 };
    if reader.words.contains(&"|") {
        return Err(reader.wrong("aggregations (`| count() …`) are not supported; write a correlation rule"));
    }
    let condition = reader.or()?;
    match reader.peek() {
        None => Ok(condition),
        Some(word) => Err(reader.wrong(format!("`{word}` is not expected there"))),
    }
}

fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    for chunk in text.split_whitespace() {
        let mut rest = chunk;
        while let Some(at) = rest.find(['(', ')', '|']) {
            if at > 0 {
                words.push(&rest[..at]);
            }
            words.push(&rest[at..=at]);
            rest = &rest[at + 1..];
        }
        if !rest.is_empty() {
            words.push(rest);
        }
    }
    words
}

struct Reader<'a> {
    words: Vec<&'a str>,
    next: usize,
    names: &'a [&'a str],
    place: Place,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn wrong(&self, reason: impl std::fmt::Display) -> Problem {
        Problem::new(self.place, format!("condition: {reason}"))
    }

    fn peek(&self) -> Option<&'a str> {
        self.words.get(self.next).copied()
    }

    fn take(&mut self, word: &str) -> bool {
        let taken = self.peek().is_some_and(|next| next.eq_ignore_ascii_case(word));
        self.next += usize::from(taken);
        taken
    }

    fn or(&mut self) -> Result<Condition, Problem> {
        let mut terms = vec![self.and()?];
        while self.take("or") {
            terms.push(self.and()?);
        }
        Ok(Tree::any(terms))
    }

    fn and(&mut self) -> Result<Condition, Problem> {
        let mut terms = vec![self.not()?];
        while self.take("and") {
            terms.push(self.not()?);
        }
        Ok(Tree::all(terms))
    }

    fn not(&mut self) -> Result<Condition, Problem> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.wrong(format!("nested deeper than {MAX_DEPTH} levels")));
        }
        let term = if self.take("not") { self.not()?.not() } else { self.term()? };
        self.depth -= 1;
        Ok(term)
    }

    fn term(&mut self) -> Result<Condition, Problem> {
        let Some(word) = self.peek() else {
            return Err(self.wrong("ends where a selection is expected"));
        };
        self.next += 1;
        if word == "(" {
            let inner = self.or()?;
            return if self.take(")") { Ok(inner) } else { Err(self.wrong("`)` is missing")) };
        }
        if let Some(least) = self.quantifier(word)? {
            return self.of(word, least);
        }
        match self.names.iter().position(|name| *name == word) {
            Some(selection) => Ok(Tree::Leaf(selection)),
            None => Err(self.unknown(word)),
        }
    }

    /// How many `<word> of` asks for; none if it is no quantifier. `all` is the number that nothing reaches.
    fn quantifier(&self, word: &str) -> Result<Option<usize>, Problem> {
        if !self.peek().is_some_and(|next| next.eq_ignore_ascii_case("of")) {
            return Ok(None);
        }
        match word.to_ascii_lowercase().as_str() {
            "all" => Ok(Some(usize::MAX)),
            "any" => Ok(Some(1)),
            digits => match digits.parse() {
                Ok(0) => Err(self.wrong("`0 of` asks for nothing")),
                Ok(least) => Ok(Some(least)),
                Err(_) => Err(self.wrong(format!("`{word} of` is not `1 of`, `<number> of`, `any of` or `all of`"))),
            },
        }
    }

    fn of(&mut self, quantifier: &str, least: usize) -> Result<Condition, Problem> {
        self.next += 1;
        let Some(pattern) = self.peek() else {
            return Err(self.wrong(format!("`{quantifier} of` what?")));
        };
        self.next += 1;
        let them = pattern.eq_ignore_ascii_case("them");
        let meant = |name: &str| if them { !name.starts_with('_') } else { glob(pattern, name) };
        let selections: Vec<Condition> =
            (0..self.names.len()).filter(|&at| meant(self.names[at])).map(Tree::Leaf).collect();
        match selections.len() {
            0 if them => Err(self.wrong("there is nothing that `them` could mean")),
            0 => Err(self.unknown(pattern)),
            _ if least == usize::MAX => Ok(Tree::all(selections)),
            _ if least == 1 => Ok(Tree::any(selections)),
            count if least > count => {
                Err(self.wrong(format!("`{quantifier} of {pattern}` can never hold: it means {count} selections")))
            }
            _ => Ok(Tree::AtLeast(least, selections)),
        }
    }

    fn unknown(&self, word: &str) -> Problem {
        self.wrong(format!("no selection is named `{word}`; there are: {}", self.names.join(", ")))
    }
}

/// A condition as it could have been written.
pub(crate) fn in_words(condition: &Condition, names: &[&str]) -> String {
    let list = |children: &[Condition], glue: &str| {
        let words = children.iter().map(|child| match child {
            Tree::All(_) | Tree::Any(_) => format!("({})", in_words(child, names)),
            _ => in_words(child, names),
        });
        words.collect::<Vec<_>>().join(glue)
    };
    match condition {
        Tree::Leaf(at) => names[*at].to_owned(),
        Tree::All(children) => list(children, " and "),
        Tree::Any(children) => list(children, " or "),
        Tree::AtLeast(least, children) => format!("{least} of ({})", list(children, ", ")),
        Tree::Not(child) => format!("not {}", list(std::slice::from_ref(child), "")),
    }
}

/// Whether `name` is meant by a pattern with any number of `*`. Names are short; patterns too.
fn glob(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = name.strip_prefix(parts.next().unwrap_or("")) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(condition: &Condition, names: &[&str]) -> String {
        let list = |children: &[Condition], glue: &str| {
            let shown: Vec<_> = children.iter().map(|child| shown(child, names)).collect();
            format!("({})", shown.join(glue))
        };
        match condition {
            Tree::Leaf(at) => names[*at].to_owned(),
            Tree::All(children) => list(children, " & "),
            Tree::Any(children) => list(children, " | "),
            Tree::AtLeast(least, children) => format!("{least}{}", list(children, " ")),
            Tree::Not(child) => format!("!{}", shown(child, names)),
        }
    }

    fn check(text: &str) -> String {
        let names = ["a", "b", "sel_1", "sel_2", "sel_x_3", "_hidden", "not_this"];
        read(text, &names, Place::default()).map_or_else(|p| p.reason, |condition| shown(&condition, &names))
    }

    #[test]
    fn reads_what_tools_write() {
        for (text, want) in [
            ("a", "a"),
            ("a and b", "(a & b)"),
            ("a or b and sel_1", "(a | (b & sel_1))"),
            ("not a and b", "(!a & b)"),
            ("not (a or b)", "!(a | b)"),
            ("not not a", "!!a"),
            ("not 1 of sel_*", "!(sel_1 | sel_2 | sel_x_3)"),
            ("(a)and(b)", "(a & b)"),
            ("a AND NOT b", "(a & !b)"),
            ("all of sel_*", "(sel_1 & sel_2 & sel_x_3)"),
            ("1 of sel_*_*", "sel_x_3"),
            ("2 of sel_*", "2(sel_1 sel_2 sel_x_3)"),
            ("any of *_1", "sel_1"),
            ("1 of a", "a"),
            ("1 of _*", "_hidden"),
            ("all of them", "(a & b & sel_1 & sel_2 & sel_x_3 & not_this)"),
            ("not_this", "not_this"),
        ] {
            assert_eq!(check(text), want, "{text}");
        }
    }

    #[test]
    fn refuses_the_rest_by_name() {
        for (text, want) in [
            ("", "condition: ends where a selection is expected"),
            ("a and", "condition: ends where a selection is expected"),
            ("(a", "condition: `)` is missing"),
            ("a b", "condition: `b` is not expected there"),
            ("a)", "condition: `)` is not expected there"),
            ("0 of them", "condition: `0 of` asks for nothing"),
            ("9 of sel_*", "condition: `9 of sel_*` can never hold: it means 3 selections"),
            ("few of them", "condition: `few of` is not `1 of`, `<number> of`, `any of` or `all of`"),
            ("1 of", "condition: `1 of` what?"),
            ("a | count() > 5", "condition: aggregations (`| count() …`) are not supported; write a correlation rule"),
        ] {
            assert_eq!(check(text), want, "{text}");
        }
        assert!(check("c").starts_with("condition: no selection is named `c`; there are: a, b"));
        assert!(check("1 of c*").starts_with("condition: no selection is named `c*`"));
        assert!(check(&"(".repeat(100_000)).contains("longer than"));
        assert!(check(&"(".repeat(1_000)).contains("nested deeper than 64 levels"));
        assert!(check(&"not ".repeat(1_000)).contains("nested deeper than 64 levels"));
    }
}
