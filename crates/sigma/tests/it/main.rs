//! The crate at its public face.
#![allow(clippy::unwrap_used, missing_docs)]

mod data;
mod sigmahq;
mod windows;
