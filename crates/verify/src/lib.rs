//! The offline verifier: is a data folder, or an evidence bundle, what was signed?
//!
//! It reads files and nothing else, and knows formats (`docs/formats.md`), not the programs that wrote them.
#![forbid(unsafe_code)]

mod anchors;
mod bundle;
mod folder;
mod log;
mod policy;
mod report;
mod segments;
mod spool;

pub use bundle::verify as verify_bundle;
pub use folder::verify;
pub use policy::{Policy, PolicyError};
pub use report::{Anchored, Facts, Kind, Problem, Range, Report};
