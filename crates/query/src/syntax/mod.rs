//! The language: text to [`Ast`] and back.
//!
//! A query is a search, then any number of stages after a plain `|`. Both parts are read by one cursor
//! with two ways of reading: the search box takes words as people type them, the stages take tokens.

mod ast;
mod cursor;
mod diagnostic;
mod display;
mod expression;
mod pipe;
mod search;
mod suggest;

pub use ast::{
    Aggregate, Assign, Ast, Binary, Bound, Expr, ExprKind, Join, JoinKind, JoinRight, Literal, Name, On, Order,
    Pattern, Piece, Search, SortKey, Span, Stage, StageKind, Test, TextTest,
};
pub(crate) use cursor::timespan;
pub use diagnostic::Diagnostic;
pub(crate) use pipe::default_name;
pub(crate) use suggest::suggest;

use cursor::Cursor;

/// A longer query text is refused.
pub const MAX_TEXT: usize = 64 << 10;
/// Parentheses, functions and subqueries nest no deeper.
pub const MAX_DEPTH: usize = 48;
/// Terms, list members, operators and stages of one query together.
pub const MAX_NODES: usize = 4096;

/// Reads a query.
///
/// # Errors
/// Every stage that cannot be read has its own diagnostic: reading goes on at the next `|`.
pub fn parse(text: &str) -> Result<Ast, Vec<Diagnostic>> {
    if text.len() > MAX_TEXT {
        let message = format!("the query is {} bytes long; at most {MAX_TEXT} are read", text.len());
        return Err(vec![Diagnostic::new(text, 0..0, message).hint("put long lists into a table and use `lookup`")]);
    }
    let mut cursor = Cursor::new(text);
    let ast = pipe::query(&mut cursor, false);
    let mut errors = cursor.errors;
    match ast {
        Ok(ast) if errors.is_empty() => return Ok(ast),
        Ok(_) => {}
        Err(error) => errors.push(error),
    }
    errors.sort_by_key(|error| error.start);
    errors.truncate(8);
    Err(errors)
}
