//! Receivers and parsers: how records come in and become events.
//!
//! [`receive`] listens (syslog, HTTP, files, journald), cuts what comes into records and carries them into the
//! spool. [`import`] gives the records of files that exist already. [`parse`] derives an event's fields from a
//! record's original bytes, whenever a reader wants them.
//!
//! Nothing here decides what is an attack.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod import;
pub mod parse;
pub mod receive;
