//! Indicators of compromise: what feeds know to be bad, found in events.
//!
//! [`read()`] takes feeds as they come (plain lists, CSV, STIX 2.1, MISP) and hands out [`Item`]s; [`Builder`] settles which of them hold and makes
//! [`Indicators`], a set that never changes; [`Indicators::matches`] finds it in a batch of events. [`taxii`] fetches without sockets;
//! [`searches`] says what to look for in history. Nothing here does I/O of its own, reads a clock or keeps a global.
//!
//! ```
//! use vedette_event::{BatchBuilder, Source, SourceId, Time, Value};
//! use vedette_indicator::{Builder, Feed, Format, Options, read};
//!
//! let csv = "\
//! ## first_seen_utc,ioc_value,ioc_type,malware_printable,confidence_level
//! 2026-11-01 10:00:00,198.51.100.7:443,ip:port,Emotet,100
//! 2026-11-01 10:00:00,evil[.]example,domain,Emotet,75
//! 2026-11-01 10:00:00,C:\\x.exe,file_path,Emotet,75
//! ";
//! let mut builder = Builder::new(Options::default());
//! let account = read(Format::Csv, &Feed::new("threatfox"), "recent.csv", csv.as_bytes(), &mut |item| builder.add(&item)).unwrap();
//! assert_eq!((account.taken, account.refusals()), (2, 1));
//! assert_eq!(account.shown[0].to_string(), "recent.csv:4: `file_path`: no look-up for the type `file_path`");
//! let (set, _) = builder.finish();
//!
//! let mut batch = BatchBuilder::new(Source::new(SourceId(1), "test:1", "test"));
//! batch.begin(0, Time::from_secs(1_795_000_000), b"{...}");
//! batch.push("host.name", Value::Str("ws1"));
//! batch.push("dns.question.name", Value::Str("www.EVIL.example"));
//!
//! let mut findings = Vec::new();
//! set.matches(&batch.finish(), &mut findings);
//! assert_eq!(findings[0].rule.id, "indicator:threatfox");
//! assert_eq!(findings[0].rule.title, "Domain known to threatfox: Emotet");
//! assert_eq!(findings[0].rule.level.as_str(), "medium");
//! assert_eq!(findings[0].entities[0].value, "ws1");
//! ```
//!
//! Formats, fields and limits are described in `docs/indicators.md`.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod history;
mod indicator;
mod kind;
mod matching;
mod normal;
mod observable;
mod pattern;
mod read;
mod set;
pub mod taxii;

pub use history::searches;
pub use indicator::{DEFAULT_CONFIDENCE, Feed, Indicator, Item, Withdrawal};
pub use kind::Kind;
pub use matching::{FIELDS, LAST_PARTS, RULE_PREFIX, Sighting, level_of, look_of};
pub use normal::Unfit;
pub use observable::Observable;
pub use read::{Account, Broken, Format, MAX_SHOWN, read};
pub use set::{Builder, Indicators, Known, Look, Options, Settled};
