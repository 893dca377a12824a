//! The alert file at its public face.
#![allow(clippy::unwrap_used)]

mod cases;
mod exceptions;
mod file;
mod following;
mod grouping;
mod inbox;
mod review;
mod risk;
mod support;
