//! The expressions of stages: Kusto's scalar expressions.

use super::{
    Binary, Expr, ExprKind, Literal, Name, Span, TextTest,
    cursor::{Cursor, Parsed, Token},
    suggest,
};

/// Words that are operators or stages' own words, never fields.
const RESERVED: &[&str] = &["and", "or", "not", "in", "by", "asc", "desc", "on", "between", "matches"];
const WORD_OPERATORS: &[&str] = &[
    "contains",
    "contains_cs",
    "has",
    "has_cs",
    "hasprefix",
    "startswith",
    "startswith_cs",
    "endswith",
    "endswith_cs",
    "has_any",
    "has_all",
    "matches",
    "in",
    "between",
    "and",
    "or",
];

pub(super) fn expression(cursor: &mut Cursor<'_>) -> Parsed<Expr> {
    cursor.deeper(or)
}

fn or(cursor: &mut Cursor<'_>) -> Parsed<Expr> {
    list(cursor, "or", and, ExprKind::Or)
}

fn and(cursor: &mut Cursor<'_>) -> Parsed<Expr> {
    list(cursor, "and", not, ExprKind::And)
}

fn list(
    cursor: &mut Cursor<'_>,
    word: &str,
    item: fn(&mut Cursor<'_>) -> Parsed<Expr>,
    kind: fn(Vec<Expr>) -> ExprKind,
) -> Parsed<Expr> {
    let first = item(cursor)?;
    if !cursor.is_word(word)? {
        return Ok(first);
    }
    let start = first.span;
    let mut all = Vec::new();
    let mut push = |expr: Expr| match expr.kind {
        // `(a and b) and c` is one list, so that a tree and its text agree.
        ExprKind::And(inner) if word == "and" => all.extend(inner),
        ExprKind::Or(inner) if word == "or" => all.extend(inner),
        kind => all.push(Expr { kind, span: expr.span }),
    };
    push(first);
    let mut span = start;
    while cursor.eat_word(word)? {
        let next = item(cursor)?;
        span = start.to(next.span);
        push(next);
    }
    Ok(Expr { kind: kind(all), span })
}

fn not(cursor: &mut Cursor<'_>) -> Parsed<Expr> {
    let start = cursor.next_span()?;
    if cursor.eat_word("not")? {
        let inner = cursor.deeper(not)?;
        let span = start.to(inner.span);
        return Ok(Expr { kind: ExprKind::Not(Box::new(inner)), span });
    }
    comparison(cursor)
}

fn comparison(cursor: &mut Cursor<'_>) -> Parsed<Expr> {
    let left = sum(cursor)?;
    let symbol = match cursor.peek()? {
        Token::Symbol("==") => Some(Binary::Eq),
        Token::Symbol("!=") => Some(Binary::Ne),
        Token::Symbol("=~") => Some(Binary::EqFold),
        Token::Symbol("!~") => Some(Binary::NeFold),
        Token::Symbol("<") => Some(Binary::Lt),
        Token::Symbol("<=") => Some(Binary::Le),
        Token::Symbol(">") => Some(Binary::Gt),
        Token::Symbol(">=") => Some(Binary::Ge),
        _ => None,
    };
    if let Some(operator) = symbol {
        cursor.bump()?;
        let right = sum(cursor)?;
        return Ok(binary(operator, left, right));
    }
    if cursor.is("=")? {
        let span = cursor.next_span()?;
        return Err(cursor
            .error(span, "`=` gives a name; it does not compare")
            .hint("compare with `==`, or `=~` without regard to case"));
    }
    let mark = cursor.at;
    let negated = cursor.eat("!")?;
    let Token::Word { text: word, quoted: false } = cursor.peek()?.clone() else {
        if negated {
            let span = Span::new(mark, cursor.at);
            return Err(cursor
                .error(span, "`!` stands before `in`, `has`, `contains` and the like")
                .hint("write `not`"));
        }
        return Ok(left);
    };
    let operator_span = cursor.next_span()?;
    let word = word.to_ascii_lowercase();
    let span = left.span;
    if let Some((test, sensitive)) = TextTest::from_word(&word) {
        cursor.bump()?;
        let right = sum(cursor)?;
        return Ok(binary(Binary::Text(test, negated, sensitive), left, right));
    }
    match word.as_str() {
        "in" => {
            cursor.bump()?;
            let fold = cursor.text[cursor.at..].starts_with('~') && cursor.take("~");
            if cursor.is_word("cidr")? {
                cursor.bump()?;
                let networks = members(cursor)?;
                let span = span.to(Span::new(0, cursor.last));
                let networks = texts(cursor, networks, "cidr")?;
                return Ok(Expr { kind: ExprKind::InNetwork { value: Box::new(left), networks, negated }, span });
            }
            let list = members(cursor)?;
            let span = span.to(Span::new(0, cursor.last));
            Ok(Expr { kind: ExprKind::In { value: Box::new(left), list, negated, fold }, span })
        }
        "has_any" | "has_all" => {
            cursor.bump()?;
            let list = members(cursor)?;
            let span = span.to(Span::new(0, cursor.last));
            let test = Expr { kind: ExprKind::HasList { value: Box::new(left), list, all: word == "has_all" }, span };
            Ok(if negated { Expr { kind: ExprKind::Not(Box::new(test)), span } } else { test })
        }
        "matches" => {
            cursor.bump()?;
            if !cursor.eat_word("regex")? {
                let (found, span) = cursor.describe_next()?;
                return Err(cursor.error(span, format!("expected `regex` after `matches`, found {found}")));
            }
            let right = sum(cursor)?;
            Ok(binary(Binary::Text(TextTest::Regex, negated, true), left, right))
        }
        "between" => {
            cursor.bump()?;
            cursor.expect("(", "after `between`")?;
            let low = cursor.deeper(sum)?;
            cursor.expect("..", "between the two ends")?;
            let high = cursor.deeper(sum)?;
            cursor.expect(")", "after the range")?;
            let span = span.to(Span::new(0, cursor.last));
            let kind = ExprKind::Between { value: Box::new(left), low: Box::new(low), high: Box::new(high), negated };
            Ok(Expr { kind, span })
        }
        "and" | "or" | "by" | "asc" | "desc" | "on" | "nulls" if !negated => Ok(left),
        _ => {
            let error = cursor.error(operator_span, format!("unknown operator `{word}`"));
            Err(match suggest(&word, WORD_OPERATORS.iter().copied()) {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error.hint("operators: == != =~ !~ < <= > >= and or not in has contains startswith endswith `matches regex` between"),
            })
        }
    }
}

fn binary(operator: Binary, left: Expr, right: Expr) -> Expr {
    let span = left.span.to(right.span);
    Expr { kind: ExprKind::Binary(operator, Box::new(left), Box::new(right)), span }
}

/// `(a, b, …)`, at least one.
fn members(cursor: &mut Cursor<'_>) -> Parsed<Vec<Expr>> {
    cursor.expect("(", "before the list")?;
    let mut members = vec![cursor.deeper(sum)?];
    while cursor.eat(",")? {
        members.push(cursor.deeper(sum)?);
    }
    cursor.expect(")", "after the list")?;
    Ok(members)
}

fn texts(cursor: &Cursor<'_>, members: Vec<Expr>, of: &str) -> Parsed<Vec<(String, Span)>> {
    let text = |member: Expr| match member.kind {
        ExprKind::Literal(Literal::Text(text)) => Ok((text, member.span)),
        _ => Err(cursor.error(member.span, format!("`{of}` takes quoted text"))),
    };
    members.into_iter().map(text).collect()
}

fn sum(cursor: &mut Cursor<'_>) -> Parsed<Expr> {
    chain(cursor, product, &[("+", Binary::Add), ("-", Binary::Sub)])
}

fn product(cursor: &mut Cursor<'_>) -> Parsed<Expr> {
    chain(cursor, unary, &[("*", Binary::Mul), ("/", Binary::Div), ("%", Binary::Mod)])
}

/// `a - b - c`, grouped from the left; the tree's depth is bounded like parentheses.
fn chain(
    cursor: &mut Cursor<'_>,
    item: fn(&mut Cursor<'_>) -> Parsed<Expr>,
    operators: &[(&str, Binary)],
) -> Parsed<Expr> {
    let mut left = item(cursor)?;
    let mut length = 0;
    loop {
        let mut found = None;
        for (symbol, operator) in operators {
            if cursor.is(symbol)? {
                found = Some(*operator);
            }
        }
        let Some(operator) = found else { return Ok(left) };
        length += 1;
        if length > super::MAX_DEPTH {
            let span = cursor.next_span()?;
            return Err(cursor.error(span, format!("more than {} operators in a row", super::MAX_DEPTH)));
        }
        cursor.bump()?;
        let right = item(cursor)?;
        left = binary(operator, left, right);
    }
}

fn unary(cursor: &mut Cursor<'_>) -> Parsed<Expr> {
    let start = cursor.next_span()?;
    if cursor.eat("-")? {
        let inner = cursor.deeper(unary)?;
        let span = start.to(inner.span);
        let kind = match inner.kind {
            ExprKind::Literal(Literal::Int(int)) => ExprKind::Literal(Literal::Int(-int)),
            ExprKind::Literal(Literal::Float(float)) => ExprKind::Literal(Literal::Float(-float)),
            ExprKind::Literal(Literal::Timespan(micros)) => ExprKind::Literal(Literal::Timespan(-micros)),
            kind => ExprKind::Negate(Box::new(Expr { kind, span: inner.span })),
        };
        return Ok(Expr { kind, span });
    }
    let mut expr = primary(cursor)?;
    let mut indexes = 0;
    while cursor.is("[")? && indexes < 4 {
        indexes += 1;
        cursor.bump()?;
        let negative = cursor.eat("-")?;
        let (token, at) = cursor.bump()?;
        let Token::Int(index) = token else {
            return Err(cursor.error(at, "an index is a whole number from 0"));
        };
        cursor.expect("]", "after the index")?;
        let span = expr.span.to(Span::new(0, cursor.last));
        expr = Expr { kind: ExprKind::Index(Box::new(expr), if negative { -index } else { index }), span };
    }
    Ok(expr)
}

fn primary(cursor: &mut Cursor<'_>) -> Parsed<Expr> {
    cursor.node()?;
    let (token, span) = cursor.bump()?;
    let literal = |literal| Ok(Expr { kind: ExprKind::Literal(literal), span });
    match token {
        Token::Text(text) => literal(Literal::Text(text)),
        Token::Int(int) => literal(Literal::Int(int)),
        Token::Float(float) => literal(Literal::Float(float)),
        Token::Timespan(micros) => literal(Literal::Timespan(micros)),
        Token::Symbol("(") => {
            let inner = expression(cursor)?;
            if !cursor.eat(")")? {
                let (found, at) = cursor.describe_next()?;
                return Err(cursor.error(at, format!("expected `)`, found {found}")));
            }
            Ok(Expr { kind: inner.kind, span: span.to(Span::new(0, cursor.last)) })
        }
        Token::Word { text, quoted: true } => Ok(Expr { kind: ExprKind::Field(text), span }),
        Token::Word { text, .. } => {
            let lower = text.to_ascii_lowercase();
            match lower.as_str() {
                "true" => return literal(Literal::Bool(true)),
                "false" => return literal(Literal::Bool(false)),
                "null" => return literal(Literal::Null),
                word if RESERVED.contains(&word) && !cursor.is("(")? => {
                    return Err(cursor
                        .error(span, format!("expected a value, found `{text}`"))
                        .hint(format!("a field of that name is written ['{text}']")));
                }
                _ => {}
            }
            if !cursor.is("(")? {
                return Ok(Expr { kind: ExprKind::Field(text), span });
            }
            let name = Name { text: lower, span };
            if name.text == "datetime"
                && let Some(argument) = bare_time(cursor)?
            {
                let span = span.to(Span::new(0, cursor.last));
                return Ok(Expr { kind: ExprKind::Call(name, vec![argument]), span });
            }
            let arguments = arguments(cursor)?;
            let span = span.to(Span::new(0, cursor.last));
            Ok(Expr { kind: ExprKind::Call(name, arguments), span })
        }
        Token::End => Err(cursor.error(span, "expected a value, found the end of the query")),
        Token::Symbol(symbol) => Err(cursor.error(span, format!("expected a value, found `{symbol}`"))),
    }
}

/// `(a, b, …)`, also none; `*` is an argument.
pub(super) fn arguments(cursor: &mut Cursor<'_>) -> Parsed<Vec<Expr>> {
    cursor.expect("(", "before the arguments")?;
    let mut arguments = Vec::new();
    if cursor.eat(")")? {
        return Ok(arguments);
    }
    loop {
        let span = cursor.next_span()?;
        if cursor.eat("*")? {
            arguments.push(Expr { kind: ExprKind::Star, span });
        } else {
            arguments.push(expression(cursor)?);
        }
        if !cursor.eat(",")? {
            break;
        }
    }
    cursor.expect(")", "after the arguments")?;
    Ok(arguments)
}

/// `datetime(2026-11-21T04:00:00Z)`: the time without quotes, as in Kusto.
fn bare_time(cursor: &mut Cursor<'_>) -> Parsed<Option<Expr>> {
    let open = cursor.next_span()?;
    let inner = &cursor.text[open.end..];
    let Some(length) = inner.find(')') else { return Ok(None) };
    let text = inner[..length].trim();
    if !text.starts_with(|c: char| c.is_ascii_digit()) {
        return Ok(None);
    }
    cursor.bump()?;
    cursor.at += length + 1;
    cursor.last = cursor.at;
    let span = Span::new(open.end, open.end + length);
    Ok(Some(Expr { kind: ExprKind::Literal(Literal::Text(text.to_owned())), span }))
}
