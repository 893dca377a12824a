//! The tree over the events of one batch.
//!
//! An event's leaf is a commitment to its original bytes, its sequence number and its receive time, with a salt of its own:
//! `H(0x00 ‖ salt ‖ seq ‖ received ‖ original)`. Whoever erases the bytes and the salt leaves a hash that tells nothing,
//! however few values the bytes could have had. Parsed fields are not committed to: they can be derived again.

use crate::{
    Algorithm, Hash,
    hash::Hasher,
    tree::{self, Frontier},
};

/// A batch's secret, from which its events' salts follow.
pub type Seed = [u8; 32];
/// What hides an event's bytes in its leaf.
pub type Salt = [u8; 16];

/// The salt of the event at `index` of its batch: `H(0x04 ‖ seed ‖ index)[..16]`.
pub fn salt(algorithm: Algorithm, seed: &Seed, index: u64) -> Salt {
    let mut bytes = [4; 41];
    bytes[1..33].copy_from_slice(seed);
    bytes[33..].copy_from_slice(&index.to_le_bytes());
    let hash = algorithm.hash(&[&bytes]);
    let mut salt = [0; 16];
    salt.copy_from_slice(&hash[..16]);
    salt
}

/// The leaf of an event. `received` is in microseconds since 1970.
pub fn leaf(algorithm: Algorithm, salt: &Salt, seq: u64, received: i64, original: &[u8]) -> Hash {
    algorithm.hash(&[&leaf_head(salt, seq, received), original])
}

/// What is hashed before an event's original bytes.
fn leaf_head(salt: &Salt, seq: u64, received: i64) -> [u8; 33] {
    let mut head = [0; 33];
    head[1..17].copy_from_slice(salt);
    head[17..25].copy_from_slice(&seq.to_le_bytes());
    head[25..].copy_from_slice(&received.to_le_bytes());
    head
}

/// One hash over a whole batch, which is much faster to check than the tree:
/// `H(0x02 ‖ seed ‖ first seq ‖ (received ‖ length ‖ original)*)`.
#[derive(Clone)]
pub struct Digest {
    hasher: Hasher,
    /// What is to be hashed next: in large pieces BLAKE3 hashes many parts of them at once.
    pending: Vec<u8>,
}

/// Pieces of this length, or of a multiple of it.
const PIECE: usize = 64 << 10;

impl Digest {
    /// Of a batch without events so far.
    pub fn new(algorithm: Algorithm, seed: &Seed, first_seq: u64) -> Digest {
        let mut pending = vec![2];
        pending.extend(seed);
        pending.extend(first_seq.to_le_bytes());
        Digest { hasher: Hasher::new(algorithm), pending }
    }

    /// The next event.
    pub fn add(&mut self, received: i64, original: &[u8]) {
        self.pending.extend(received.to_le_bytes());
        self.pending.extend((original.len() as u64).to_le_bytes());
        self.pending.extend(original);
        let whole = self.pending.len() / PIECE * PIECE;
        if whole > 0 {
            self.hasher.update(&self.pending[..whole]);
            self.pending.drain(..whole);
        }
    }

    /// The hash.
    pub fn finish(mut self) -> Hash {
        self.hasher.update(&self.pending);
        self.hasher.finish()
    }
}

/// Root and digest of a batch, event by event.
pub struct BatchTree {
    algorithm: Algorithm,
    seed: Seed,
    first_seq: u64,
    frontier: Frontier,
    digest: Digest,
    /// An event's leaf, before it is hashed.
    leaf: Vec<u8>,
}

impl BatchTree {
    /// A tree without events so far.
    pub fn new(algorithm: Algorithm, seed: Seed, first_seq: u64) -> BatchTree {
        BatchTree {
            algorithm,
            seed,
            first_seq,
            frontier: Frontier::new(algorithm),
            digest: Digest::new(algorithm, &seed, first_seq),
            leaf: Vec::new(),
        }
    }

    /// Adds the next event; its sequence number follows from its place.
    pub fn add(&mut self, received: i64, original: &[u8]) {
        let index = self.frontier.size();
        let salt = salt(self.algorithm, &self.seed, index);
        // In one piece: see `Algorithm::hash`.
        self.leaf.clear();
        self.leaf.extend(leaf_head(&salt, self.first_seq + index, received));
        self.leaf.extend(original);
        self.frontier.push(self.algorithm.hash(&[&self.leaf]));
        self.digest.add(received, original);
    }

    /// Number of events.
    pub fn len(&self) -> u64 {
        self.frontier.size()
    }

    /// True if it has no event.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The tree's root, and the digest.
    pub fn finish(self) -> (Hash, Hash) {
        (self.frontier.root(), self.digest.finish())
    }
}

/// Path from an event's leaf to its batch's root, the leaf's sibling first.
///
/// # Panics
/// If there is no such leaf.
pub fn path(algorithm: Algorithm, leaves: &[Hash], index: u64) -> Vec<Hash> {
    match tree::inclusion_proof(algorithm, &(algorithm, leaves), index, leaves.len() as u64) {
        Ok(path) => path,
        Err(never) => match never {},
    }
}
