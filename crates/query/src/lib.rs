//! Questions to the store: one language in three depths.
//!
//! * The **search box**: `failed password source.ip:10.0.0.0/8 -user.name:root`.
//! * **Pipes** after it, shaped like Kusto: `… | summarize n=count() by source.ip | top 10 by n`.
//! * **SQL**, with `|>`: `SELECT source.ip, count(*) FROM events GROUP BY 1`.
//!
//! All of them become one DataFusion plan over one snapshot of the store; `docs/query.md` describes the language.
//! DataFusion stays behind this crate: nobody above it names its types.
//!
//! ```
//! use std::sync::Arc;
//! use vedette_event::{BatchBuilder, Derive, Source, SourceId, Time, Value};
//! use vedette_query::{Cancel, Engine, Options, Progress, Request};
//! use vedette_store::Store;
//!
//! /// A parser of `user@address` lines.
//! struct Lines;
//! impl Derive for Lines {
//!     fn derive(&self, _: &Source, seq: u64, received: Time, raw: &[u8], batch: &mut BatchBuilder) {
//!         batch.begin(seq, received, raw);
//!         if let Some((user, address)) = std::str::from_utf8(raw).unwrap_or_default().split_once('@') {
//!             batch.push("user.name", Value::Str(user));
//!             batch.push("source.ip", Value::Str(address));
//!         }
//!     }
//! }
//!
//! let dir = tempfile::tempdir()?;
//! let store = Store::open(dir.path(), vedette_store::Options::default())?;
//! let mut batch = BatchBuilder::new(Source::new(SourceId(1), "test:1", "test"));
//! for (seq, line) in [&b"root@192.0.2.7"[..], b"alice@198.51.100.4", b"root@192.0.2.8"].into_iter().enumerate() {
//!     Lines.derive(&Source::new(SourceId(1), "test:1", "test"), seq as u64, Time::from_secs(60), line, &mut batch);
//! }
//! store.append(&batch.finish(), 1)?;
//!
//! let engine = Engine::new(store, Arc::new(Lines), Options::default())?;
//! let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! let rows = runtime.block_on(async {
//!     let request = Request::hunt("source.ip:192.0.2.0/24 | summarize n = count() by user.name");
//!     engine.run(request, &Progress::default(), &Cancel::default()).await?.collect().await
//! })?;
//! assert_eq!(serde_json::to_string(&rows)?, r#"[{"user.name":"root","n":2}]"#);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod answer;
mod compile;
mod engine;
mod error;
mod export;
mod functions;
mod history;
mod insight;
mod lookup;
mod matcher;
mod sql;
pub mod syntax;
mod table;

pub use answer::{Answer, EVENT_COLUMNS};
pub use engine::{Cancel, Done, Engine, Language, Options, Progress, Request, parse, parse_time};
pub use error::QueryError;
pub use export::{Export, FileFormat};
pub use history::{Narrow, Passed};
pub use insight::{Histogram, TopValue};
pub use syntax::{Ast, Diagnostic};
pub use table::SourceLookup;

pub(crate) use table::time_literal as table_time;
