//! The crate at its public face.
#![allow(clippy::unwrap_used, missing_docs)]

mod cases;
mod data;
mod hostile;
mod mapping;
mod naive;
mod oracle;
mod sigmahq;
mod windows;
