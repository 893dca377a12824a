//! The vocabulary that every room of Vedette shares.
//!
//! A [`Source`] sends records; a record is original bytes with a sequence number of its source and a
//! receive time. Parsing derives flat, dotted ECS [`Field`]s from them. A [`Batch`] holds up to 1,024
//! such events of one source, their bytes, and their fields; it is the unit of sealing, detection and
//! transport. A [`Finding`] says which rule saw what in which events.
//!
//! This crate does no I/O, reads no clock and keeps no globals.
//!
//! ```
//! use vedette_event::{BatchBuilder, Source, SourceId, Time, Value};
//!
//! let source = Source::new(SourceId(1), "file:/var/log/auth.log", "file");
//! let mut batch = BatchBuilder::new(source);
//! batch.begin(0, Time::from_micros(0), b"Failed password for root from 192.0.2.7");
//! batch.push("source.ip", Value::Str("192.0.2.7"));
//! batch.push("source.port", Value::Int(4711));
//! let batch = batch.finish();
//!
//! let event = batch.event(0);
//! assert_eq!(event.raw(), b"Failed password for root from 192.0.2.7");
//! assert_eq!(event.get("source.ip"), Some(Value::Str("192.0.2.7")));
//! assert_eq!(event.id().to_string(), "1-0");
//! ```
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod batch;
mod derive;
mod diagnostic;
pub mod ecs;
mod fault;
mod finding;
mod loss;
mod names;
mod source;
mod time;
mod value;

pub use batch::{Batch, BatchBuilder, Event, Field, MAX_BATCH_BYTES, MAX_BATCH_EVENTS};
pub use derive::Derive;
pub use diagnostic::Diagnostic;
pub use fault::{Fault, Step};
pub use finding::{Entity, Finding, FindingId, Level, Matched, RuleRef};
pub use loss::{Losses, Reason};
pub use names::{NameId, ShapeId};
pub use source::{EventId, ParseEventIdError, Source, SourceId};
pub use time::{ParseTimeError, Time};
pub use value::Value;
