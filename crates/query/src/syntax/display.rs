//! The canonical text of a tree: reading it again gives an equal tree.

use std::fmt::{self, Display, Formatter, Write};

use super::{
    Aggregate, Assign, Ast, Bound, Expr, ExprKind, Join, JoinKind, JoinRight, Literal, Name, Order, Pattern, Piece,
    Search, SortKey, Stage, StageKind, Test,
};

impl Display for Ast {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.search)?;
        for stage in &self.stages {
            write!(f, " | {stage}")?;
        }
        Ok(())
    }
}

impl Display for Search {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let list = |f: &mut Formatter<'_>, terms: &[Search], word: &str| {
            for (index, term) in terms.iter().enumerate() {
                f.write_str(if index > 0 { word } else { "" })?;
                match term {
                    Search::And(_) | Search::Or(_) => write!(f, "({term})")?,
                    _ => write!(f, "{term}")?,
                }
            }
            Ok(())
        };
        match self {
            Search::All => f.write_str("*"),
            Search::Text(pattern) => write!(f, "{pattern}"),
            Search::Field(name, Test::Compare(operator, value)) => {
                write!(f, "{}{}{value}", name.text, operator.symbol())
            }
            Search::Field(name, test) => {
                write!(f, "{}:", name.text)?;
                match test {
                    Test::Exists => f.write_char('*'),
                    Test::Is(pattern) => write!(f, "{pattern}"),
                    Test::Compare(..) => Ok(()),
                    Test::Range(low, high) => {
                        let end = |bound: &Bound| match bound {
                            Bound::Open => "*".to_owned(),
                            Bound::Included(value) | Bound::Excluded(value) => value.to_string(),
                        };
                        let open = if matches!(low, Bound::Excluded(_)) { '{' } else { '[' };
                        let close = if matches!(high, Bound::Excluded(_)) { '}' } else { ']' };
                        write!(f, "{open}{} TO {}{close}", end(low), end(high))
                    }
                }
            }
            Search::Not(term) => match &**term {
                Search::And(_) | Search::Or(_) => write!(f, "not ({term})"),
                _ => write!(f, "not {term}"),
            },
            Search::And(terms) => list(f, terms, " "),
            Search::Or(terms) => list(f, terms, " or "),
        }
    }
}

impl Display for Pattern {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.pieces.is_empty() {
            return f.write_str("\"\"");
        }
        let keyword =
            |text: &str| ["and", "or", "not", "to", "events"].iter().any(|word| word.eq_ignore_ascii_case(text));
        let alone = self.pieces.len() == 1;
        for (index, piece) in self.pieces.iter().enumerate() {
            match piece {
                Piece::Any => f.write_char('*')?,
                Piece::One => f.write_char('?')?,
                Piece::Text(text) => {
                    let plain = text
                        .chars()
                        .all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '/' | '\\' | '@' | '%' | ',' | '-'))
                        // Behind a field's colon the others would make it a text: `http://…`, `C:\…`.
                        && !(index == 0 && text.starts_with(['-', '/', '\\']))
                        && !(alone && keyword(text));
                    if plain {
                        f.write_str(text)?;
                    } else {
                        write!(f, "\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))?;
                    }
                }
            }
        }
        Ok(())
    }
}

fn comma<T: Display>(items: &[T]) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}

impl Display for Name {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        name(f, &self.text)
    }
}

fn name(f: &mut Formatter<'_>, text: &str) -> fmt::Result {
    const WORDS: &[&str] = &[
        "and", "or", "not", "in", "by", "asc", "desc", "on", "between", "matches", "true", "false", "null", "kind",
        "nulls",
    ];
    let mut parts = text.split('.');
    let plain = text.starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | '@'))
        && parts.all(|part| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '@')))
        && !WORDS.iter().any(|word| word.eq_ignore_ascii_case(text));
    if plain {
        return f.write_str(text);
    }
    write!(f, "['{}']", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

impl Display for Stage {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            StageKind::Where(expr) => write!(f, "where {expr}"),
            StageKind::Search(search) => write!(f, "search {search}"),
            StageKind::Extend(assigns) => write!(f, "extend {}", comma(assigns)),
            StageKind::Project(assigns) => write!(f, "project {}", comma(assigns)),
            StageKind::ProjectAway(names) => write!(f, "project-away {}", comma(names)),
            StageKind::ProjectRename(renames) => {
                let renames: Vec<String> = renames.iter().map(|(new, old)| format!("{new} = {old}")).collect();
                write!(f, "project-rename {}", renames.join(", "))
            }
            StageKind::Summarize { aggregates, by } => {
                write!(f, "summarize")?;
                if !aggregates.is_empty() {
                    write!(f, " {}", comma(aggregates))?;
                }
                if !by.is_empty() {
                    write!(f, " by {}", comma(by))?;
                }
                Ok(())
            }
            StageKind::Sort(keys) => write!(f, "sort by {}", comma(keys)),
            StageKind::Take(rows) => write!(f, "take {rows}"),
            StageKind::Top(rows, keys) => write!(f, "top {rows} by {}", comma(keys)),
            StageKind::Distinct(values) => write!(f, "distinct {}", comma(values)),
            StageKind::Count => f.write_str("count"),
            StageKind::Join(join) => write!(f, "{join}"),
        }
    }
}

impl Display for Assign {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.name {
            write!(f, "{name} = ")?;
        }
        write!(f, "{}", self.value)
    }
}

impl Display for Aggregate {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.name {
            write!(f, "{name} = ")?;
        }
        write!(f, "{}({})", self.function, comma(&self.arguments))
    }
}

impl Display for SortKey {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.value, if self.order == Order::Ascending { "asc" } else { "desc" })
    }
}

impl Display for Join {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "join kind={} ", if self.kind == JoinKind::Inner { "inner" } else { "leftouter" })?;
        match &self.right {
            JoinRight::Query(query) => write!(f, "({query})")?,
            JoinRight::Table(name) => write!(f, "{name}")?,
        }
        f.write_str(" on ")?;
        for (index, on) in self.on.iter().enumerate() {
            f.write_str(if index > 0 { ", " } else { "" })?;
            if on.left.text == on.right.text {
                write!(f, "{}", on.left)?;
            } else {
                name(f, &format!("$left.{}", on.left.text))?;
                f.write_str(" == ")?;
                name(f, &format!("$right.{}", on.right.text))?;
            }
        }
        Ok(())
    }
}

pub(super) fn text(f: &mut Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            c => f.write_char(c)?,
        }
    }
    f.write_char('"')
}

impl Display for Literal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Literal::Text(value) => text(f, value),
            Literal::Int(value) => write!(f, "{value}"),
            Literal::Float(value) => {
                let text = value.to_string();
                f.write_str(&text)?;
                f.write_str(if text.contains('.') { "" } else { ".0" })
            }
            Literal::Bool(value) => write!(f, "{value}"),
            Literal::Null => f.write_str("null"),
            Literal::Timespan(micros) => {
                let units =
                    [("d", 86_400_000_000), ("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000), ("ms", 1_000)];
                let (unit, size) =
                    units.into_iter().find(|(_, size)| micros % size == 0 && *micros != 0).unwrap_or(("us", 1));
                write!(f, "{}{unit}", micros / size)
            }
        }
    }
}

/// An operand: in parentheses unless it cannot be misread.
struct Operand<'a>(&'a Expr);

impl Display for Operand<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.0.kind {
            ExprKind::Field(_) | ExprKind::Literal(_) | ExprKind::Call(..) | ExprKind::Index(..) | ExprKind::Star => {
                write!(f, "{}", self.0)
            }
            _ => write!(f, "({})", self.0),
        }
    }
}

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let all = |exprs: &[Expr]| exprs.iter().map(|expr| Operand(expr).to_string()).collect::<Vec<_>>();
        match &self.kind {
            ExprKind::Field(field) => name(f, field),
            ExprKind::Literal(literal) => write!(f, "{literal}"),
            ExprKind::And(exprs) => f.write_str(&all(exprs).join(" and ")),
            ExprKind::Or(exprs) => f.write_str(&all(exprs).join(" or ")),
            ExprKind::Not(inner) => write!(f, "not ({inner})"),
            ExprKind::Negate(inner) => write!(f, "-{}", Operand(inner)),
            ExprKind::Binary(operator, left, right) => {
                write!(f, "{} {} {}", Operand(left), operator.symbol(), Operand(right))
            }
            ExprKind::In { value, list, negated, fold } => {
                let (not, tilde) = (if *negated { "!" } else { "" }, if *fold { "~" } else { "" });
                write!(f, "{} {not}in{tilde} ({})", Operand(value), all(list).join(", "))
            }
            ExprKind::InNetwork { value, networks, negated } => {
                write!(f, "{} {}in cidr(", Operand(value), if *negated { "!" } else { "" })?;
                for (index, (network, _)) in networks.iter().enumerate() {
                    f.write_str(if index > 0 { ", " } else { "" })?;
                    text(f, network)?;
                }
                f.write_char(')')
            }
            ExprKind::HasList { value, list, all: every } => {
                write!(
                    f,
                    "{} {} ({})",
                    Operand(value),
                    if *every { "has_all" } else { "has_any" },
                    all(list).join(", ")
                )
            }
            ExprKind::Between { value, low, high, negated } => {
                let not = if *negated { "!" } else { "" };
                write!(f, "{} {not}between ({} .. {})", Operand(value), Operand(low), Operand(high))
            }
            ExprKind::Call(function, arguments) => write!(f, "{}({})", function.text, comma(arguments)),
            ExprKind::Index(inner, index) => write!(f, "{}[{index}]", Operand(inner)),
            ExprKind::Star => f.write_char('*'),
        }
    }
}
