//! The stages after each `|`.

use super::{
    Aggregate, Assign, Ast, Expr, ExprKind, Join, JoinKind, JoinRight, Name, On, Order, Search, SortKey, Span, Stage,
    StageKind,
    cursor::{Cursor, Parsed, Token},
    expression::{arguments, expression},
    search, suggest,
};

const STAGES: &[&str] = &[
    "where",
    "filter",
    "search",
    "extend",
    "eval",
    "project",
    "keep",
    "project-away",
    "drop",
    "project-rename",
    "rename",
    "summarize",
    "stats",
    "sort",
    "order",
    "take",
    "limit",
    "head",
    "top",
    "distinct",
    "count",
    "join",
    "lookup",
];

/// Reads a search and its stages up to the end, or in a subquery to the unmatched `)`.
pub(super) fn query(cursor: &mut Cursor<'_>, nested: bool) -> Parsed<Ast> {
    let mut search = match search::search(cursor) {
        Ok(search) => search,
        Err(error) => {
            cursor.errors.push(error);
            recover(cursor);
            Search::All
        }
    };
    cursor.skip_space();
    // `events | …`, as in Kusto, names the table.
    if let Search::Text(word) = &search
        && word.literal() == Some("events")
        && cursor.text.get(word.span.range()) == Some("events")
        && cursor.char() == Some('|')
    {
        search = Search::All;
    }
    let mut stages = Vec::new();
    while cursor.eat("|")? {
        let parsed = stage(cursor).and_then(|stage| {
            if cursor.is("|")? || (nested && cursor.is(")")?) || *cursor.peek()? == Token::End {
                return Ok(stage);
            }
            let (found, span) = cursor.describe_next()?;
            Err(cursor.error(span, format!("expected `|` or the end of the query, found {found}")))
        });
        match parsed {
            Ok(stage) => stages.push(stage),
            Err(error) => {
                cursor.errors.push(error);
                if cursor.errors.len() >= 8 {
                    break;
                }
                recover(cursor);
            }
        }
    }
    if !nested && cursor.errors.is_empty() && *cursor.peek()? != Token::End {
        let (found, span) = cursor.describe_next()?;
        return Err(cursor.error(span, format!("unexpected {found}")));
    }
    Ok(Ast { search, stages })
}

/// Moves to the next `|` outside quotes, so that one mistake does not hide the next.
fn recover(cursor: &mut Cursor<'_>) {
    cursor.unpeek();
    let mut quote = None;
    let found = cursor.rest().char_indices().find(|(_, c)| match (quote, c) {
        (None, '"') => {
            quote = Some('"');
            false
        }
        (Some(open), c) if open == *c => {
            quote = None;
            false
        }
        (None, '|') => true,
        _ => false,
    });
    cursor.at = found.map_or(cursor.text.len(), |(offset, _)| cursor.at + offset);
}

fn stage(cursor: &mut Cursor<'_>) -> Parsed<Stage> {
    cursor.node()?;
    let (token, start) = cursor.bump()?;
    let Token::Word { text, quoted: false } = token else {
        let found = if token == Token::End { "the end of the query" } else { &cursor.text[start.range()] };
        return Err(cursor
            .error(start, format!("expected a stage after `|`, found {found}"))
            .hint(format!("stages: {}", STAGES.join(" "))));
    };
    let kind = match text.to_ascii_lowercase().as_str() {
        "where" | "filter" => StageKind::Where(expression(cursor)?),
        "search" => StageKind::Search(search::search(cursor)?),
        "extend" | "eval" => StageKind::Extend(assigns(cursor)?),
        "project" | "keep" => StageKind::Project(assigns(cursor)?),
        "project-away" | "drop" => StageKind::ProjectAway(names(cursor)?),
        "project-rename" | "rename" => StageKind::ProjectRename(renames(cursor)?),
        "summarize" | "stats" => summarize(cursor)?,
        "sort" | "order" => {
            // `sort n desc` is accepted as well as `sort by n desc`.
            cursor.eat_word("by")?;
            StageKind::Sort(keys(cursor)?)
        }
        "take" | "limit" | "head" => StageKind::Take(number(cursor)?),
        "top" => {
            let rows = number(cursor)?;
            // `sort n desc` is accepted as well as `sort by n desc`.
            cursor.eat_word("by")?;
            StageKind::Top(rows, keys(cursor)?)
        }
        "distinct" => StageKind::Distinct(assigns(cursor)?),
        "count" => StageKind::Count,
        "join" => StageKind::Join(join(cursor, false)?),
        "lookup" => StageKind::Join(join(cursor, true)?),
        other => {
            let error = cursor.error(start, format!("unknown stage `{text}`"));
            return Err(match suggest(other, STAGES.iter().copied()) {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error.hint(format!("stages: {}", STAGES.join(" "))),
            });
        }
    };
    Ok(Stage { kind, span: start.to(Span::new(0, cursor.last)) })
}

fn number(cursor: &mut Cursor<'_>) -> Parsed<u64> {
    let (token, span) = cursor.bump()?;
    match token {
        Token::Int(rows) if rows >= 0 => Ok(rows as u64),
        _ => Err(cursor.error(span, "expected a number of rows")),
    }
}

fn name(cursor: &mut Cursor<'_>) -> Parsed<Name> {
    let (token, span) = cursor.bump()?;
    match token {
        Token::Word { text, .. } => Ok(Name { text, span }),
        _ => Err(cursor.error(span, "expected a name")),
    }
}

fn comma_list<T>(cursor: &mut Cursor<'_>, item: fn(&mut Cursor<'_>) -> Parsed<T>) -> Parsed<Vec<T>> {
    let mut items = vec![item(cursor)?];
    while cursor.eat(",")? {
        cursor.node()?;
        items.push(item(cursor)?);
    }
    Ok(items)
}

fn names(cursor: &mut Cursor<'_>) -> Parsed<Vec<Name>> {
    comma_list(cursor, name)
}

fn renames(cursor: &mut Cursor<'_>) -> Parsed<Vec<(Name, Name)>> {
    comma_list(cursor, |cursor| {
        let new = name(cursor)?;
        cursor.expect("=", "after the new name")?;
        Ok((new, name(cursor)?))
    })
}

fn assigns(cursor: &mut Cursor<'_>) -> Parsed<Vec<Assign>> {
    comma_list(cursor, assign)
}

/// `name =` if it is ahead; an expression never goes on with `=`.
fn given_name(cursor: &mut Cursor<'_>) -> Parsed<Option<Name>> {
    if !matches!(cursor.peek()?, Token::Word { .. }) {
        return Ok(None);
    }
    let (at, last) = (cursor.at, cursor.last);
    let name = name(cursor)?;
    if cursor.eat("=")? {
        return Ok(Some(name));
    }
    cursor.unpeek();
    (cursor.at, cursor.last) = (at, last);
    Ok(None)
}

fn assign(cursor: &mut Cursor<'_>) -> Parsed<Assign> {
    Ok(Assign { name: given_name(cursor)?, value: expression(cursor)? })
}

fn summarize(cursor: &mut Cursor<'_>) -> Parsed<StageKind> {
    let mut aggregates = Vec::new();
    if !cursor.is_word("by")? {
        aggregates = comma_list(cursor, aggregate)?;
    }
    let by = if cursor.eat_word("by")? { assigns(cursor)? } else { Vec::new() };
    Ok(StageKind::Summarize { aggregates, by })
}

fn aggregate(cursor: &mut Cursor<'_>) -> Parsed<Aggregate> {
    let given = given_name(cursor)?;
    let start = cursor.next_span()?;
    let mut function = name(cursor)?;
    function.text.make_ascii_lowercase();
    if !cursor.is("(")? {
        return Err(cursor.error(function.span, format!("`{}` is not an aggregate", function.text)).hint(
            "aggregates are written `count()`, `dcount(user.name)`, `n = countif(x > 1)`; groups come after `by`",
        ));
    }
    let arguments = arguments(cursor)?;
    Ok(Aggregate { name: given, function, arguments, span: start.to(Span::new(0, cursor.last)) })
}

fn keys(cursor: &mut Cursor<'_>) -> Parsed<Vec<SortKey>> {
    comma_list(cursor, |cursor| {
        let value = expression(cursor)?;
        let order = if cursor.eat_word("asc")? {
            Order::Ascending
        } else {
            cursor.eat_word("desc")?;
            Order::Descending
        };
        Ok(SortKey { value, order })
    })
}

fn join(cursor: &mut Cursor<'_>, lookup: bool) -> Parsed<Join> {
    let mut kind = if lookup { JoinKind::LeftOuter } else { JoinKind::Inner };
    if cursor.eat_word("kind")? {
        cursor.expect("=", "after `kind`")?;
        let given = name(cursor)?;
        kind = match given.text.to_ascii_lowercase().as_str() {
            "inner" => JoinKind::Inner,
            "leftouter" => JoinKind::LeftOuter,
            other => {
                let message = format!("unknown kind of join `{other}`");
                return Err(cursor.error(given.span, message).hint("`inner` and `leftouter` are supported"));
            }
        };
    }
    let right = if cursor.eat("(")? {
        let query = cursor.deeper(|cursor| query(cursor, true))?;
        cursor.expect(")", "after the inner query")?;
        JoinRight::Query(Box::new(query))
    } else {
        JoinRight::Table(name(cursor)?)
    };
    if !cursor.eat_word("on")? {
        let (found, span) = cursor.describe_next()?;
        return Err(cursor.error(span, format!("expected `on` and the fields to join on, found {found}")));
    }
    Ok(Join { kind, right, on: comma_list(cursor, on)? })
}

/// `field`, or `$left.a == $right.b`.
fn on(cursor: &mut Cursor<'_>) -> Parsed<On> {
    let first = name(cursor)?;
    let side = |name: &Name, prefix: &str| {
        name.text.strip_prefix(prefix).map(|text| Name { text: text.to_owned(), span: name.span })
    };
    if !cursor.eat("==")? {
        if first.text.starts_with('$') {
            return Err(cursor.error(first.span, "expected `$left.a == $right.b`, or one field name"));
        }
        return Ok(On { left: first.clone(), right: first });
    }
    let second = name(cursor)?;
    let pair =
        match (side(&first, "$left."), side(&second, "$right."), side(&first, "$right."), side(&second, "$left.")) {
            (Some(left), Some(right), _, _) | (_, _, Some(right), Some(left)) => Some((left, right)),
            _ => None,
        };
    let Some((left, right)) = pair else {
        return Err(cursor.error(first.span.to(second.span), "expected `$left.a == $right.b`"));
    };
    Ok(On { left, right })
}

/// The name of an expression without one.
pub(crate) fn default_name(expr: &Expr) -> String {
    match &expr.kind {
        ExprKind::Field(name) => name.clone(),
        ExprKind::Call(name, arguments) if name.text == "bin" => {
            arguments.first().map_or_else(|| "bin".to_owned(), default_name)
        }
        ExprKind::Call(name, arguments) => match arguments.first().map(|argument| &argument.kind) {
            Some(ExprKind::Field(field)) => format!("{}_{field}", name.text),
            _ => name.text.clone(),
        },
        _ => expr.to_string(),
    }
}
