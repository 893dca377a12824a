//! The search box.
//!
//! ```text
//! or     = and ("or" and)*
//! and    = not (["and"] not)*
//! not    = ("not" | "-") not | "(" or ")" | test
//! test   = name ":" value | name (">" | ">=" | "<" | "<=") word | word
//! value  = word | (">" …) word | "[" word "TO" word "]" | "(" value-or ")"
//! word   = one or more of: text without space, quote, bracket or bar; "quoted text"; * and ?
//! ```

use super::{
    Binary, Bound, Name, Pattern, Piece, Search, Span, Test,
    cursor::{Cursor, Parsed},
};

/// What a parenthesis holds: whole terms, or values of one field.
#[derive(Clone, Copy)]
enum Inside<'n> {
    Box,
    Field(&'n Name),
}

/// Reads a search up to `|`, an unmatched `)` or the end.
pub(super) fn search(cursor: &mut Cursor<'_>) -> Parsed<Search> {
    cursor.unpeek();
    cursor.skip_space();
    if at_end(cursor) {
        return Ok(Search::All);
    }
    or(cursor, Inside::Box)
}

fn at_end(cursor: &Cursor<'_>) -> bool {
    matches!(cursor.char(), None | Some('|' | ')'))
}

fn or(cursor: &mut Cursor<'_>, inside: Inside<'_>) -> Parsed<Search> {
    let mut terms = vec![and(cursor, inside)?];
    while keyword(cursor, "or") {
        terms.push(and(cursor, inside)?);
    }
    Ok(join(terms, false))
}

fn and(cursor: &mut Cursor<'_>, inside: Inside<'_>) -> Parsed<Search> {
    let mut terms = vec![not(cursor, inside)?];
    loop {
        let said = keyword(cursor, "and");
        cursor.skip_space();
        if !said && (at_end(cursor) || peek_keyword(cursor, "or")) {
            break;
        }
        terms.push(not(cursor, inside)?);
    }
    Ok(join(terms, true))
}

/// One term stays itself; a list within a list of the same kind is one list.
fn join(terms: Vec<Search>, all: bool) -> Search {
    let mut flat = Vec::with_capacity(terms.len());
    for term in terms {
        match (term, all) {
            (Search::And(inner), true) | (Search::Or(inner), false) => flat.extend(inner),
            (term, _) => flat.push(term),
        }
    }
    match flat.len() {
        0 | 1 => flat.pop().unwrap_or(Search::All),
        _ if all => Search::And(flat),
        _ => Search::Or(flat),
    }
}

fn not(cursor: &mut Cursor<'_>, inside: Inside<'_>) -> Parsed<Search> {
    cursor.node()?;
    cursor.skip_space();
    let minus = cursor.rest().strip_prefix('-').and_then(|rest| rest.chars().next());
    if keyword(cursor, "not") || (minus.is_some_and(|next| !next.is_whitespace() && next != '-') && cursor.take("-")) {
        let term = cursor.deeper(|cursor| not(cursor, inside))?;
        return Ok(Search::Not(Box::new(term)));
    }
    let start = cursor.at;
    if cursor.take("(") {
        let term = cursor.deeper(|cursor| or(cursor, inside))?;
        cursor.skip_space();
        if !cursor.take(")") {
            let span = Span::new(start, start + 1);
            return Err(cursor.error(span, "the parenthesis is not closed").hint("add `)`"));
        }
        return Ok(term);
    }
    match inside {
        Inside::Box => term(cursor),
        Inside::Field(name) => value(cursor, name),
    }
}

fn term(cursor: &mut Cursor<'_>) -> Parsed<Search> {
    if let Some((name, operator)) = field_ahead(cursor) {
        cursor.at = name.span.end;
        cursor.skip_space();
        if operator == ":" {
            cursor.take(":");
            cursor.skip_space();
        }
        return value(cursor, &name);
    }
    let word = word(cursor, "")?;
    if let Some(operator @ ("==" | "=~" | "!=" | "!~" | "=" | "&&")) = word.literal() {
        let hint = match operator {
            "&&" => "write `and`".to_owned(),
            _ => format!(
                "write `field:value`, or `| where field {} \"value\"`",
                if operator == "=" { "==" } else { operator }
            ),
        };
        return Err(cursor.error(word.span, format!("`{operator}` is no operator of the search box")).hint(hint));
    }
    match word.pieces.as_slice() {
        [Piece::Any] => Ok(Search::All),
        [] => Err(cursor.error(word.span, "an empty phrase matches nothing").hint("`*` finds every event")),
        _ => Ok(Search::Text(word)),
    }
}

/// A field name with its operator directly ahead. What merely looks like one is text: `C:\…`, `http://…`,
/// `a::b`; and a comparison with space before it needs a dotted name.
fn field_ahead(cursor: &Cursor<'_>) -> Option<(Name, &'static str)> {
    let rest = cursor.rest();
    if !rest.starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | '@')) {
        return None;
    }
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '@' | '-' | '$');
    let length = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
    let name = &rest[..length];
    if !name.ends_with(|c: char| c.is_alphanumeric() || c == '_') {
        return None;
    }
    let span = Span::new(cursor.at, cursor.at + length);
    let found = |operator| Some((Name { text: name.to_owned(), span }, operator));
    let after = &rest[length..];
    if let Some(value) = after.strip_prefix(':') {
        let is_text =
            value.starts_with(':') || value.starts_with("//") || (length == 1 && value.starts_with(['\\', '/']));
        return if is_text { None } else { found(":") };
    }
    let spaced = after.trim_start();
    if spaced.len() < after.len() && !name.contains('.') && !name.starts_with('@') {
        return None;
    }
    if spaced.starts_with(['<', '>']) && !spaced.starts_with("<>") { found("<") } else { None }
}

fn value(cursor: &mut Cursor<'_>, name: &Name) -> Parsed<Search> {
    cursor.node()?;
    cursor.skip_space();
    let test = |test| Ok(Search::Field(name.clone(), test));
    for (symbol, operator) in [(">=", Binary::Ge), ("<=", Binary::Le), (">", Binary::Gt), ("<", Binary::Lt)] {
        if cursor.take(symbol) {
            cursor.skip_space();
            missing(cursor, name)?;
            let bound = bound(cursor, "")?;
            return test(Test::Compare(operator, bound));
        }
    }
    match cursor.char() {
        Some('(') => {
            let start = cursor.at;
            cursor.take("(");
            let term = cursor.deeper(|cursor| or(cursor, Inside::Field(name)))?;
            cursor.skip_space();
            if !cursor.take(")") {
                let span = Span::new(start, start + 1);
                return Err(cursor.error(span, "the parenthesis is not closed").hint("add `)`"));
            }
            Ok(term)
        }
        Some('[' | '{') => test(range(cursor)?),
        _ => {
            missing(cursor, name)?;
            let word = word(cursor, "")?;
            test(if word.pieces == [Piece::Any] { Test::Exists } else { Test::Is(word) })
        }
    }
}

fn missing(cursor: &Cursor<'_>, name: &Name) -> Parsed<()> {
    if !at_end(cursor) {
        return Ok(());
    }
    let message = format!("`{}` needs a value", name.text);
    Err(cursor.error(name.span, message).hint(format!("`{}:*` finds the events that have the field", name.text)))
}

fn range(cursor: &mut Cursor<'_>) -> Parsed<Test> {
    let start = cursor.at;
    let wrong = |cursor: &Cursor<'_>| {
        let span = Span::new(start, cursor.at.max(start + 1));
        cursor
            .error(span, "not a range")
            .hint("ranges are written `[a TO b]`, `{a TO b}`, `[a TO *]`; quote text that begins with a bracket")
    };
    let open = cursor.take("[");
    if !open {
        cursor.take("{");
    }
    let end = |cursor: &mut Cursor<'_>| {
        cursor.skip_space();
        if cursor.char().is_none_or(|c| matches!(c, ']' | '}' | '|' | '(' | ')')) {
            return Err(wrong(cursor));
        }
        if cursor.take("*") {
            return Ok(None);
        }
        bound(cursor, "]}").map(Some)
    };
    let low = end(cursor)?;
    if !keyword(cursor, "to") {
        return Err(wrong(cursor));
    }
    let high = end(cursor)?;
    cursor.skip_space();
    let close = cursor.take("]");
    if !close && !cursor.take("}") {
        return Err(wrong(cursor));
    }
    let make = |value, included| match (value, included) {
        (None, _) => Bound::Open,
        (Some(value), true) => Bound::Included(value),
        (Some(value), false) => Bound::Excluded(value),
    };
    Ok(Test::Range(make(low, open), make(high, close)))
}

/// A word that must be literal.
fn bound(cursor: &mut Cursor<'_>, stop: &str) -> Parsed<Pattern> {
    let word = word(cursor, stop)?;
    match word.literal() {
        Some(text) if !text.is_empty() => Ok(word),
        _ => Err(cursor.error(word.span, "a comparison needs a plain value, without wildcards")),
    }
}

/// Takes the keyword if it is the whole next word.
fn keyword(cursor: &mut Cursor<'_>, word: &str) -> bool {
    if !peek_keyword(cursor, word) {
        return false;
    }
    cursor.skip_space();
    cursor.at += word.len();
    cursor.last = cursor.at;
    true
}

fn peek_keyword(cursor: &Cursor<'_>, word: &str) -> bool {
    let rest = cursor.rest().trim_start();
    rest.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
        && rest[word.len()..].chars().next().is_none_or(|c| c.is_whitespace() || matches!(c, '(' | ')' | '|' | '"'))
}

/// A word: neighbouring bare and quoted pieces. Wildcards count outside quotes only.
fn word(cursor: &mut Cursor<'_>, stop: &str) -> Parsed<Pattern> {
    let start = cursor.at;
    let mut pieces: Vec<Piece> = Vec::new();
    let mut text = String::new();
    let mut quoted = false;
    while let Some(c) = cursor.char() {
        let wildcard = match c {
            '"' => {
                quoted = true;
                text.push_str(&cursor.quoted(false)?);
                continue;
            }
            '*' => Piece::Any,
            '?' => Piece::One,
            c if c.is_whitespace() || matches!(c, '(' | ')' | '|') || stop.contains(c) => break,
            c => {
                text.push(c);
                cursor.at += c.len_utf8();
                continue;
            }
        };
        cursor.at += 1;
        if !text.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut text)));
        }
        // `**` is `*`.
        if wildcard != Piece::Any || pieces.last() != Some(&Piece::Any) {
            pieces.push(wildcard);
        }
    }
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
    cursor.last = cursor.at;
    let span = Span::new(start, cursor.at);
    if cursor.at == start && !quoted {
        let found = cursor.char().map_or("the end of the query".to_owned(), |c| format!("`{c}`"));
        let next = Span::new(start, start + cursor.char().map_or(0, char::len_utf8));
        return Err(cursor.error(next, format!("expected a search term, found {found}")));
    }
    Ok(Pattern { pieces, span })
}
