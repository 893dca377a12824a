//! The token sidecar: which granules of a segment can hold a text.
//!
//! [`split`] says what the tokens of a text are, [`TokenBuilder`] collects those of the rows of one
//! segment, [`DictionaryWriter`] writes them sorted, [`TokenIndex`] looks them up, [`TermQuery`] turns
//! what a reader wants into look-ups. The format is described in `docs/formats.md`, "Token sidecar".

mod build;
mod directory;
mod index;
mod lookup;
pub(crate) mod merge;
mod postings;
mod recent;
mod scan;
mod section;
#[cfg(test)]
mod soundness;
mod split;
mod write;

pub(crate) use build::TokenBuilder;
pub(crate) use directory::BatchEntry;
pub(crate) use index::TokenIndex;
pub use lookup::{Term, TermQuery};
pub use split::fold;
pub(crate) use write::DictionaryWriter;
