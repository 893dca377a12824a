//! What is usual, learnt from history; what is not is a finding.
//!
//! Engines here are pure: what happened goes in with its time, findings and a new state come out. Nothing reads a clock or a file.
//!
//! [`Rhythms`] learns how often each source sends, and says which of them have gone quiet.
//!
//! ```
//! use vedette_behaviour::{Patience, Rhythms};
//! use vedette_event::{SourceId, Time};
//!
//! let mut rhythms = Rhythms::default();
//! let source = SourceId(7);
//! // A record every ten seconds for two days.
//! let mut now = Time::from_secs(1_795_000_000);
//! for seq in 0..17_280 {
//!     rhythms.observe(source, now, now, seq);
//!     now = now.plus_micros(10_000_000);
//! }
//! let patience = Patience::default();
//! assert!(rhythms.silences(now, &patience).is_empty());
//! let silences = rhythms.silences(now.plus_micros(600_000_000), &patience);
//! assert_eq!(silences[0].source, source);
//! ```
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod rhythm;

pub use rhythm::{Patience, Rhythms, Silence};
