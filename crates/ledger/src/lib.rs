//! History that can be proved.
//!
//! Every batch of events is committed to by a *batch record*: the root of a Merkle tree over the events' original bytes,
//! signed by a key that is soon erased. Batch records are the entries of a transparency log, an RFC 6962 tree in the
//! layout of C2SP's `tlog-tiles`, whose checkpoints witnesses cosign. So nobody can change, remove, reorder or back-date an event
//! afterwards, and one event can be proved without showing any other.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! use vedette_ledger::{Ledger, Options, Sealer, SourceName};
//!
//! let sealer = Sealer::open(&dir.path().join("sealer"), "example.org/node-1", 0)?;
//! let ledger = Ledger::open(&dir.path().join("ledger"), Options::default(), Box::new(sealer), 0)?;
//! let source = SourceName { number: 1, name: "syslog-udp:192.0.2.7", receiver: "syslog-udp" };
//! ledger.append(source, 0, [(1_700_000_000_000_000, &b"first"[..]), (1_700_000_000_000_001, b"second")].into_iter())?;
//! let checkpoint = ledger.checkpoint(1_700_000_001_000_000)?.expect("there was something to seal");
//! assert_eq!(checkpoint.size, 2); // the certificate of the first epoch's key, and the batch
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

pub mod anchors;
pub mod batch;
pub mod checkpoint;
mod copy;
mod edge;
pub mod entry;
mod error;
pub mod evidence;
mod files;
mod hash;
mod history;
mod index;
mod log;
pub mod note;
pub mod proof;
pub mod remote;
pub mod salts;
pub mod sealer;
pub mod sources;
pub mod tiles;
pub mod timestamp;
pub mod tree;
pub mod witness;

pub use error::{FormatError, LedgerError};
pub use hash::{Algorithm, Hash, Hasher, hex};
pub use history::History;
pub use index::{Place, SourceHead};
pub use log::{CHECKPOINT, EraseFrom, LOG_KEY, Ledger, Newest, Options, SOURCES, SourceName, WITNESSED};
pub use sealer::{Seal, Sealer};

/// Random bytes from the system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], FormatError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| FormatError::new(format!("no random numbers: {error}")))?;
    Ok(bytes)
}
