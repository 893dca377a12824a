//! Who a source is, without saying so in the log.
//!
//! A batch record names its source by `H(0x03 ‖ salt ‖ name ‖ 0x00 ‖ receiver)`. The names and salts are in `sources.jsonl`
//! beside the log, which is not served. So nobody can give a batch to another source afterwards, and the log
//! shows no addresses.

use std::{fs, io, path::Path};

use serde::{Deserialize, Serialize};

use crate::{Algorithm, Hash, LedgerError, error::IoContext, hash::hex};

/// A source's line in `sources.jsonl`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Named {
    /// Its number in the data folder.
    pub source: u32,
    /// Its name, such as `syslog-udp:192.0.2.7`.
    pub name: String,
    /// The receiver it came through.
    pub receiver: String,
    /// 32 random bytes in hexadecimal.
    pub salt: String,
}

/// The sources of a ledger, in the order in which they were named; none if there is no file.
pub(crate) fn read(path: &Path) -> Result<Vec<Named>, LedgerError> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        text => text.at(path)?,
    };
    let damaged = |error: serde_json::Error| LedgerError::Damaged { path: path.to_owned(), what: error.to_string() };
    text.lines().map(|line| serde_json::from_str(line).map_err(damaged)).collect()
}

impl Named {
    /// A source with a new salt.
    pub fn new(source: u32, name: &str, receiver: &str, salt: &[u8; 32]) -> Named {
        Named { source, name: name.to_owned(), receiver: receiver.to_owned(), salt: hex(salt) }
    }

    /// What batch records name it by.
    pub fn commitment(&self) -> Hash {
        let parts: [&[u8]; 5] = [&[3], self.salt.as_bytes(), self.name.as_bytes(), &[0], self.receiver.as_bytes()];
        Algorithm::Sha256.hash(&parts)
    }
}
