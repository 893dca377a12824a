//! The receivers and parsers at their public face.
#![allow(clippy::unwrap_used)]

mod import;
mod parse;
mod parse_data;
mod parse_hostile;
mod receive_acknowledged;
mod receive_bulk;
mod receive_files;
mod receive_http;
mod receive_journald;
mod receive_ndjson;
mod receive_syslog;
mod receive_webhooks;
mod support;
