//! The offline verifier: is a data folder what was signed?
//!
//! It reads files and nothing else, and knows formats (`docs/formats.md`), not the programs that wrote them.
#![forbid(unsafe_code)]

mod anchors;
mod folder;
mod log;
mod policy;
mod report;
mod segments;
mod spool;

pub use folder::verify;
pub use policy::{Policy, PolicyError};
pub use report::{Anchored, Facts, Kind, Problem, Report};
