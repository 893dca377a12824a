//! Hashes, and which algorithm made them.

use serde::{Deserialize, Serialize};

/// A hash of 32 bytes.
pub type Hash = [u8; 32];

/// How a batch's events are hashed. The log itself is always SHA-256, as C2SP's `tlog-tiles` demands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Algorithm {
    /// BLAKE3: several times faster.
    #[default]
    Blake3 = 1,
    /// SHA-256 ([FIPS 180-4](https://csrc.nist.gov/pubs/fips/180-4/upd1/final)), where only approved algorithms may be used.
    Sha256 = 2,
}

impl Algorithm {
    /// The algorithm with this number, as it stands in a batch record.
    pub fn from_number(number: u8) -> Option<Algorithm> {
        [Algorithm::Blake3, Algorithm::Sha256].into_iter().find(|algorithm| *algorithm as u8 == number)
    }

    /// Hash of the parts, one after the other.
    pub fn hash(self, parts: &[&[u8]]) -> Hash {
        match (self, parts) {
            // Much of what is hashed is short, and a state for more of it costs more than the hash.
            (Algorithm::Blake3, [whole]) => *blake3::hash(whole).as_bytes(),
            (Algorithm::Blake3, _) => {
                let mut hasher = blake3::Hasher::new();
                for part in parts {
                    hasher.update(part);
                }
                *hasher.finalize().as_bytes()
            }
            (Algorithm::Sha256, _) => {
                let mut context = ring::digest::Context::new(&ring::digest::SHA256);
                parts.iter().for_each(|part| context.update(part));
                digest(context)
            }
        }
    }
}

/// A hash in the making.
#[derive(Clone)]
pub struct Hasher(Inner);

#[derive(Clone)]
enum Inner {
    Blake3(Box<blake3::Hasher>),
    Sha256(Box<ring::digest::Context>),
}

impl Hasher {
    /// Of nothing so far.
    pub fn new(algorithm: Algorithm) -> Hasher {
        Hasher(match algorithm {
            Algorithm::Blake3 => Inner::Blake3(Box::default()),
            Algorithm::Sha256 => Inner::Sha256(Box::new(ring::digest::Context::new(&ring::digest::SHA256))),
        })
    }

    /// Goes on with more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            Inner::Blake3(hasher) => drop(hasher.update(bytes)),
            Inner::Sha256(context) => context.update(bytes),
        }
    }

    /// The hash.
    pub fn finish(self) -> Hash {
        match self.0 {
            Inner::Blake3(hasher) => *hasher.finalize().as_bytes(),
            Inner::Sha256(context) => digest(*context),
        }
    }
}

fn digest(context: ring::digest::Context) -> Hash {
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

/// As lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
