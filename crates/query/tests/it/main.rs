//! The crate at its public face: the language, and its answers over small stores.
#![allow(clippy::unwrap_used)]

mod fixture;
mod hunts;
mod language;
mod limits;
mod oracle;
mod sql;
