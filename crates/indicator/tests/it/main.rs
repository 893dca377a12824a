//! The crate at its public face.
#![allow(clippy::unwrap_used, missing_docs)]

mod feeds;
mod history;
mod hostile;
mod matching;
mod oracle;
mod settling;
mod support;
mod taxii;
