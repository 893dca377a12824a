//! The seam between original bytes and fields.

use crate::{BatchBuilder, Source, Time};

/// Derives an event's fields from its original bytes.
///
/// Implemented by the parsers in `intake`; used when records arrive and again whenever a reader wants a
/// field that the store does not keep as a column. It must be a pure function of its arguments: no clock,
/// no I/O, no memory of earlier records. Years missing from a date are taken from `received`.
pub trait Derive: Send + Sync {
    /// Adds exactly one event to `batch`: [`BatchBuilder::begin`], then its fields. Never fails:
    /// bytes that no parser understands become an event with only `message`, and
    /// [`BatchBuilder::parser`] is not called for it.
    fn derive(&self, source: &Source, seq: u64, received: Time, raw: &[u8], batch: &mut BatchBuilder);
}
