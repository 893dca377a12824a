//! What comes around a message: the syslog header, journald's JSON, the headers of CEF and LEEF.

pub(crate) mod cef;
pub(crate) mod journald;
pub(crate) mod leef;
pub(crate) mod syslog;

use super::draft::Span;

/// What an envelope says about its content.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Content {
    /// The message without the envelope.
    pub message: Span,
    /// The program that wrote it (syslog tag, app name, journald identifier).
    pub program: Option<Span>,
}
