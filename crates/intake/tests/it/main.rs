//! The receivers and parsers at their public face.

mod receive_bulk;
mod receive_files;
mod receive_journald;
mod receive_ndjson;
mod receive_syslog;
mod support;
