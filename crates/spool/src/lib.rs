//! The durable batch log: group commit, acknowledgements, loss ledger.
//!
//! Receivers append records and get a [`Ticket`]; it resolves once the records are on the disk
//! (`fdatasync`), and only then may the sender be told so. One writer thread turns everything that is
//! queued into one *frame*. A [`Reader`] follows the frames; once they are sealed elsewhere,
//! [`Spool::release`] frees their segment files. For every source the spool keeps the account
//! `received = stored + refused + shed`, which survives a restart.
//!
//! The bytes on disk are specified in `docs/formats.md`, section Spool.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//! use vedette_spool::{Options, Position, Spool};
//!
//! # let folder = tempfile::tempdir()?;
//! # let dir = folder.path();
//! let spool = Spool::open(dir, Options { min_free_bytes: 0, ..Options::default() })?;
//! let source = spool.source("file:/var/log/auth.log", "file", None)?;
//! let ticket = spool.append(&source, vec!["one".into(), "two".into()])?;
//! let receipt = ticket.wait_blocking()?; // both are durable now
//! assert_eq!((receipt.first_seq, receipt.count), (0, 2));
//!
//! let mut reader = spool.reader(Position::START);
//! let frame = reader.next(Duration::from_secs(1))?.expect("a frame was committed");
//! assert_eq!(frame.records[1].raw, "two");
//! spool.release(frame.position_after)?;
//! # Ok(()) }
//! ```
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod accounts;
mod disk;
mod error;
mod format;
mod options;
mod reader;
mod recover;
mod shared;
mod spool;
mod ticket;
mod writer;

#[cfg(test)]
mod faults;

pub use error::{Refused, SpoolError};
pub use options::{Clock, Options};
pub use reader::{Frame, Reader, SpooledRecord};
pub use recover::Recovery;
pub use shared::{Position, Status};
pub use spool::Spool;
pub use ticket::{Receipt, Ticket};
pub use vedette_event::{Losses, Reason, Source};
