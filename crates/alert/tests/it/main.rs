//! The alert file at its public face.
#![allow(clippy::unwrap_used)]

mod exceptions;
mod file;
mod grouping;
mod inbox;
mod review;
mod support;
