//! The loss ledger's words: received = stored + refused + shed, by reason.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

/// Why a record was not stored.
///
/// *Refused* records were told so to their sender, who still has them; *shed* records are gone
/// (only a sender that cannot be told, such as UDP, is shed).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The record is longer than the limit.
    TooLarge,
    /// The queue towards the disk is full.
    Busy,
    /// The disk is (nearly) full.
    DiskFull,
    /// Writing to the disk failed.
    WriteFailed,
    /// Not of the protocol's form (bad frame, not JSON where JSON is required).
    Malformed,
    /// No more sources can be told apart.
    TooManySources,
    /// A connection ended inside a record.
    Truncated,
    /// The kernel dropped it before we could read it (UDP receive buffer).
    KernelDrop,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Reason; 8] = [
        Reason::TooLarge,
        Reason::Busy,
        Reason::DiskFull,
        Reason::WriteFailed,
        Reason::Malformed,
        Reason::TooManySources,
        Reason::Truncated,
        Reason::KernelDrop,
    ];

    /// Its name in the API, metrics and events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Reason::TooLarge => "too_large",
            Reason::Busy => "busy",
            Reason::DiskFull => "disk_full",
            Reason::WriteFailed => "write_failed",
            Reason::Malformed => "malformed",
            Reason::TooManySources => "too_many_sources",
            Reason::Truncated => "truncated",
            Reason::KernelDrop => "kernel_drop",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One source's account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Losses {
    /// Records that are durable.
    pub stored: u64,
    /// Records that were handed back to the sender, by reason.
    #[serde(default)]
    pub refused: BTreeMap<Reason, u64>,
    /// Records that are lost, by reason.
    #[serde(default)]
    pub shed: BTreeMap<Reason, u64>,
}

impl Losses {
    /// Everything that came in: `stored + refused + shed`; saturates, as the counters do.
    pub fn received(&self) -> u64 {
        self.refused.values().chain(self.shed.values()).fold(self.stored, |sum, count| sum.saturating_add(*count))
    }
}
