//! Receivers: how records come in.
//!
//! Every receiver cuts its transport into records (original bytes without framing), appends them to the
//! spool and acknowledges, where the protocol can, only after the spool's ticket says that they are
//! durable. A busy spool makes a receiver stop reading, or answer "later"; only UDP, which cannot be
//! told, sheds. What each protocol can promise is in `docs/receivers.md`.
//!
//! Files in the order that bytes meet them: [`Config`], [`Limits`] and [`Counters`] are shared; `listen` accepts
//! connections; `framing` and `lines` cut bytes into records; `deliver` carries records into the spool;
//! [`datagram`], [`stream`], [`http`], [`files`] and [`journald`] are the transports. All of them are `bind` or `open` first
//! (which reports errors and the bound address), then `run` until the
//! [`tokio_util::sync::CancellationToken`] is cancelled.

mod config;
mod counters;
pub mod datagram;
mod deflate;
pub(crate) mod deliver;
mod error;
pub mod files;
pub mod framing;
pub mod http;
pub mod journald;
pub(crate) mod json_elements;
mod json_text;
mod limits;
pub(crate) mod lines;
mod listen;
mod places;
mod state_file;
pub mod stream;
pub mod tls;

pub use config::Config;
pub use counters::{Counters, CountersSnapshot};
pub use error::ReceiveError;
pub use limits::Limits;
