//! The store at its public face.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

mod compaction;
mod crash;
mod erasure;
mod retention;
mod roundtrip;
mod snapshots;
mod tokens;
mod versions;
