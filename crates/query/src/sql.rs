//! SQL: parsed by sqlparser, restricted to one query over known tables, and planned by DataFusion.
//!
//! Field names have dots, and SQL reads `source.ip` as column `ip` of table `source`. Before planning, every unquoted
//! compound name whose first part is not a table or alias of the query becomes one quoted name.

use std::{collections::BTreeSet, convert::Infallible, ops::ControlFlow};

use datafusion::{
    execution::context::SQLOptions,
    logical_expr::{LogicalPlan, LogicalPlanBuilder},
    prelude::SessionContext,
    sql::{
        parser::Statement as AnyStatement,
        sqlparser::{
            ast::{
                Expr, Ident, ObjectName, Query, Select, SelectFlavor, SelectItem, Statement, TableAlias, TableFactor,
                Visit, VisitMut, Visitor, VisitorMut, WildcardAdditionalOptions,
            },
            dialect::GenericDialect,
            keywords::Keyword,
            parser::{Parser, ParserError},
            tokenizer::{Token, TokenWithSpan, Tokenizer},
        },
    },
};
use vedette_event::ecs;

use crate::{
    QueryError,
    error::first_line,
    syntax::{Diagnostic, suggest},
    table::is_derived,
};

/// A longer text is refused.
const MAX_TEXT: usize = 64 << 10;
/// Operators, parentheses and `case`s of one query; each can nest the next.
const MAX_NESTING: usize = 512;

/// Reads exactly one query.
pub(crate) fn parse(text: &str) -> Result<Statement, Diagnostic> {
    if text.len() > MAX_TEXT {
        return Err(Diagnostic::new(
            text,
            0..0,
            format!("the query is {} bytes long; at most {MAX_TEXT} are read", text.len()),
        ));
    }
    let dialect = GenericDialect {};
    let tokens = Tokenizer::new(&dialect, text)
        .tokenize()
        .map_err(|error| located(text, &error.message, Some((error.location.line, error.location.column))))?;
    let nests = |token: &&Token| match token {
        Token::Word(word) => {
            word.quote_style.is_none()
                && ["and", "or", "not", "case", "union", "except", "intersect", "join"]
                    .iter()
                    .any(|keyword| word.value.eq_ignore_ascii_case(keyword))
        }
        Token::LParen | Token::Plus | Token::Minus | Token::Mul | Token::Div | Token::Mod | Token::StringConcat => true,
        Token::LBracket | Token::VerticalBarRightAngleBracket | Token::Colon | Token::DoubleColon | Token::Tilde => {
            true
        }
        _ => false,
    };
    if tokens.iter().filter(nests).count() > MAX_NESTING {
        return Err(Diagnostic::new(
            text,
            0..0,
            format!("the query has more than {MAX_NESTING} operators and parentheses"),
        )
        .hint("write long lists as `in (…)`"));
    }
    let mut statements = Parser::new(&dialect)
        .with_tokens_with_locations(tokens_with_places(text)?)
        .parse_statements()
        .map_err(|error| match error {
            ParserError::ParserError(message) | ParserError::TokenizerError(message) => located(text, &message, None),
            ParserError::RecursionLimitExceeded => Diagnostic::new(text, 0..0, "the query is nested too deeply"),
        })?;
    let statement = match (statements.pop(), statements.is_empty()) {
        (Some(statement), true) => statement,
        (None, _) => return Err(Diagnostic::new(text, 0..0, "there is no query").hint("SELECT count(*) FROM events")),
        (Some(_), false) => return Err(Diagnostic::new(text, 0..text.len(), "one query at a time")),
    };
    match statement {
        Statement::Query(_) => Ok(statement),
        _ => {
            let word = text.split_whitespace().next().unwrap_or_default().to_uppercase();
            let start = text.len() - text.trim_start().len();
            Err(Diagnostic::new(text, start..start + word.len(), format!("`{word}` is not allowed"))
                .hint("only SELECT (or FROM … |> …) over `events` is; data cannot be changed from here"))
        }
    }
}

/// The tokens; a word before or after a dot is a name, even if SQL knows it as a keyword (`user.name`).
fn tokens_with_places(text: &str) -> Result<Vec<TokenWithSpan>, Diagnostic> {
    let mut tokens = Tokenizer::new(&GenericDialect {}, text)
        .tokenize_with_location()
        .map_err(|error| located(text, &error.message, Some((error.location.line, error.location.column))))?;
    for at in 0..tokens.len() {
        let is_dot = |at: usize| tokens.get(at).is_some_and(|token| token.token == Token::Period);
        let in_name = is_dot(at + 1) || (at > 0 && is_dot(at - 1));
        if in_name
            && let Token::Word(word) = &mut tokens[at].token
            && word.keyword != Keyword::NoKeyword
            && word.quote_style.is_none()
        {
            word.quote_style = Some('"');
            word.keyword = Keyword::NoKeyword;
        }
    }
    Ok(tokens)
}

/// A message of the parser; it may end with ` at Line: 1, Column: 8`.
fn located(text: &str, message: &str, place: Option<(u64, u64)>) -> Diagnostic {
    let (message, said) = match message.rsplit_once(" at Line: ") {
        Some((message, place)) => {
            let mut numbers = place.split(", Column: ").map(|number| number.trim().parse::<u64>().ok());
            (message, numbers.next().flatten().zip(numbers.next().flatten()))
        }
        None => (message, None),
    };
    let start = place.or(said).map_or(0, |(line, column)| offset(text, line, column));
    let length =
        text[start..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').map(char::len_utf8).sum::<usize>();
    Diagnostic::new(text, start..start + length, lower_first(message))
}

fn lower_first(message: &str) -> String {
    let mut chars = message.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

fn offset(text: &str, line: u64, column: u64) -> usize {
    let mut at = 0;
    for _ in 1..line {
        match text[at..].find('\n') {
            Some(end) => at += end + 1,
            None => break,
        }
    }
    let skip = usize::try_from(column.saturating_sub(1)).unwrap_or(usize::MAX);
    text[at..].char_indices().nth(skip).map_or(text.len(), |(offset, _)| at + offset)
}

/// Checks the tables, rewrites names, and gives the event fields that the query may name.
pub(crate) fn prepare<'t>(
    statement: &mut Statement,
    text: &str,
    tables: impl Iterator<Item = &'t str>,
) -> Result<BTreeSet<String>, Diagnostic> {
    let mut known: BTreeSet<String> = tables.map(str::to_lowercase).collect();
    known.insert("events".to_owned());
    let mut found = Found::default();
    if let ControlFlow::Break(what) = Visit::visit(statement, &mut found) {
        let start = text.to_lowercase().find(&what.to_lowercase()).filter(|_| text.is_ascii()).unwrap_or(0);
        return Err(Diagnostic::new(text, start..start + what.len(), format!("`{what}` is not allowed here"))
            .hint("queries read `events` and the tables of the request, with SELECT alone"));
    }
    for table in &found.tables {
        if !known.contains(table) && !found.ctes.contains(table) {
            let start = text.to_lowercase().find(table.as_str()).filter(|_| text.is_ascii()).unwrap_or(0);
            let error = Diagnostic::new(text, start..start + table.len(), format!("there is no table `{table}`"));
            return Err(match suggest(table, known.iter().map(String::as_str)) {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error.hint("the table of events is `events`"),
            });
        }
    }
    let mut prefixes = known;
    prefixes.extend(found.ctes);
    prefixes.extend(found.aliases);
    let mut rewrite = Rewrite { prefixes, output: found.output, names: BTreeSet::new() };
    match VisitMut::visit(statement, &mut rewrite) {
        ControlFlow::Continue(()) => Ok(rewrite.names),
        ControlFlow::Break(never) => match never {},
    }
}

#[derive(Default)]
struct Found {
    tables: BTreeSet<String>,
    ctes: BTreeSet<String>,
    aliases: BTreeSet<String>,
    /// Names that the query gives to its own columns.
    output: BTreeSet<String>,
}

impl Found {
    fn alias(&mut self, alias: Option<&TableAlias>) {
        if let Some(alias) = alias {
            self.aliases.insert(alias.name.value.to_lowercase());
            self.output.extend(alias.columns.iter().map(|column| column.name.value.clone()));
        }
    }
}

impl Visitor for Found {
    type Break = String;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<String> {
        if let Some(with) = &query.with {
            if with.recursive {
                return ControlFlow::Break("RECURSIVE".to_owned());
            }
            for cte in &with.cte_tables {
                self.ctes.insert(cte.alias.name.value.to_lowercase());
                self.output.extend(cte.alias.columns.iter().map(|column| column.name.value.clone()));
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<String> {
        match relation.0.as_slice() {
            [part] => match part.as_ident() {
                Some(ident) => {
                    self.tables.insert(ident.value.to_lowercase());
                    ControlFlow::Continue(())
                }
                None => ControlFlow::Break(relation.to_string()),
            },
            _ => ControlFlow::Break(relation.to_string()),
        }
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<String> {
        match factor {
            TableFactor::Table { alias, args: None, .. } => {
                self.alias(alias.as_ref());
                ControlFlow::Continue(())
            }
            TableFactor::Table { name, .. } => ControlFlow::Break(name.to_string()),
            TableFactor::Derived { alias, .. } | TableFactor::NestedJoin { alias, .. } => {
                self.alias(alias.as_ref());
                ControlFlow::Continue(())
            }
            TableFactor::UNNEST { alias, .. } => {
                self.alias(alias.as_ref());
                ControlFlow::Continue(())
            }
            other => ControlFlow::Break(other.to_string().split(['(', ' ']).next().unwrap_or_default().to_owned()),
        }
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<String> {
        if select.into.is_some() {
            return ControlFlow::Break("INTO".to_owned());
        }
        for item in &select.projection {
            if let SelectItem::ExprWithAlias { alias, .. } = item {
                self.output.insert(alias.value.clone());
            }
        }
        ControlFlow::Continue(())
    }
}

struct Rewrite {
    prefixes: BTreeSet<String>,
    output: BTreeSet<String>,
    names: BTreeSet<String>,
}

impl Rewrite {
    fn field(&mut self, name: &str) -> String {
        // Core columns are found in any case; other fields are named exactly.
        let canonical = vedette_store::schema()
            .fields()
            .iter()
            .map(|field| field.name().clone())
            .find(|known| known.eq_ignore_ascii_case(name))
            .unwrap_or_else(|| name.to_owned());
        if is_derived(&canonical) && !self.output.contains(&canonical) {
            self.names.insert(canonical.strip_suffix("[]").unwrap_or(&canonical).to_owned());
        }
        canonical
    }
}

impl VisitorMut for Rewrite {
    type Break = Infallible;

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Infallible> {
        // `FROM events |> …` begins with every column.
        if select.flavor == SelectFlavor::FromFirstNoSelect && select.projection.is_empty() {
            select.projection.push(SelectItem::Wildcard(WildcardAdditionalOptions::default()));
            select.flavor = SelectFlavor::Standard;
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Infallible> {
        match expr {
            Expr::CompoundIdentifier(parts) => {
                let first = &parts[0];
                let prefixed = parts.len() > 1 && self.prefixes.contains(&first.value.to_lowercase());
                let (prefix, rest) = if prefixed { (Some(first.clone()), &parts[1..]) } else { (None, &parts[..]) };
                let name = rest.iter().map(|part| part.value.as_str()).collect::<Vec<_>>().join(".");
                let ident = Ident::with_quote('"', self.field(&name));
                *expr = match prefix {
                    Some(prefix) => Expr::CompoundIdentifier(vec![prefix, ident]),
                    None => Expr::Identifier(ident),
                };
            }
            Expr::Identifier(ident) => {
                let name = if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() };
                let canonical = self.field(&name);
                if canonical.contains(['.', '@']) {
                    *ident = Ident::with_quote('"', canonical);
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// Plans a prepared query and cuts it to `limit` rows.
pub(crate) async fn plan(
    context: &SessionContext,
    statement: Statement,
    text: &str,
    limit: Option<usize>,
) -> Result<LogicalPlan, QueryError> {
    let refused = |error: datafusion::error::DataFusionError| -> QueryError {
        let message = first_line(&error.strip_backtrace());
        // `No field named xyz. Valid fields are …`: the name is found in the text again.
        let name = message.split("No field named ").nth(1).and_then(|rest| rest.split([' ', ',']).next());
        let name = name.map(|name| name.trim_end_matches('.').trim_matches('"').to_owned());
        let start = name.as_ref().and_then(|name| text.find(name.as_str()));
        match (name, start) {
            (Some(name), Some(start)) => {
                let error = Diagnostic::new(text, start..start + name.len(), format!("no column `{name}` here"));
                match suggest(&name, ecs::CORE.iter().map(|column| column.name)) {
                    Some(near) => error.hint(format!("did you mean `{near}`?")).into(),
                    None => error.into(),
                }
            }
            _ => Diagnostic::new(text, 0..0, message).into(),
        }
    };
    let plan =
        context.state().statement_to_plan(AnyStatement::Statement(Box::new(statement))).await.map_err(refused)?;
    let allowed = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    allowed.verify_plan(&plan)?;
    Ok(LogicalPlanBuilder::from(plan).limit(0, limit)?.build()?)
}
