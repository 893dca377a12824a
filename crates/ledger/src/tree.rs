//! Merkle trees of the shape of [RFC 6962 §2.1](https://www.rfc-editor.org/rfc/rfc6962#section-2.1), and their proofs.
//!
//! The same shape serves twice: over the log's entries (with SHA-256, as C2SP `tlog-tiles` demands) and over the events of
//! one batch (with the batch's own algorithm).

use crate::{Algorithm, Hash};

/// Hash of an entry of a tree.
pub fn leaf_hash(algorithm: Algorithm, entry: &[u8]) -> Hash {
    algorithm.hash(&[&[0], entry])
}

/// Hash of an inner node.
pub fn node_hash(algorithm: Algorithm, left: &Hash, right: &Hash) -> Hash {
    let mut node = [1; 65];
    node[1..33].copy_from_slice(left);
    node[33..].copy_from_slice(right);
    algorithm.hash(&[&node])
}

/// What a growing tree has to remember: the roots of its full subtrees, from the left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frontier {
    algorithm: Algorithm,
    size: u64,
    roots: Vec<Hash>,
}

impl Frontier {
    /// Of an empty tree.
    pub fn new(algorithm: Algorithm) -> Self {
        Frontier { algorithm, size: 0, roots: Vec::new() }
    }

    /// Of a tree of `size` leaves; none unless there is one root for each full subtree.
    pub fn from_parts(algorithm: Algorithm, size: u64, roots: Vec<Hash>) -> Option<Self> {
        (roots.len() == size.count_ones() as usize).then_some(Frontier { algorithm, size, roots })
    }

    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The roots of the full subtrees, the largest first.
    pub fn roots(&self) -> &[Hash] {
        &self.roots
    }

    /// Adds a leaf, given its hash.
    pub fn push(&mut self, leaf: Hash) {
        let mut root = leaf;
        for _ in 0..self.size.trailing_ones() {
            let left = self.roots.pop().expect("one root for each bit of the size");
            root = node_hash(self.algorithm, &left, &root);
        }
        self.roots.push(root);
        self.size += 1;
    }

    /// The tree's root hash. That of an empty tree is the hash of nothing.
    pub fn root(&self) -> Hash {
        let mut roots = self.roots.iter().rev();
        let Some(last) = roots.next() else { return self.algorithm.hash(&[]) };
        roots.fold(*last, |right, left| node_hash(self.algorithm, left, &right))
    }
}

/// Root hash of a list of leaf hashes.
pub fn root(algorithm: Algorithm, leaves: &[Hash]) -> Hash {
    let mut frontier = Frontier::new(algorithm);
    leaves.iter().for_each(|leaf| frontier.push(*leaf));
    frontier.root()
}

/// Where the hashes of full subtrees come from.
pub trait Nodes {
    /// Why a hash cannot be had.
    type Error;

    /// The root hash of leaves `index << level .. (index + 1) << level`.
    fn node(&self, level: u32, index: u64) -> Result<Hash, Self::Error>;
}

/// The leaves themselves are the simplest source.
impl Nodes for (Algorithm, &[Hash]) {
    type Error = std::convert::Infallible;

    fn node(&self, level: u32, index: u64) -> Result<Hash, Self::Error> {
        let (start, len) = ((index << level) as usize, 1 << level);
        Ok(root(self.0, &self.1[start..start + len]))
    }
}

/// Root hash of leaves `start..end`, where `start` is a multiple of the least power of two that is not less than the length.
fn subtree<N: Nodes>(algorithm: Algorithm, nodes: &N, start: u64, end: u64) -> Result<Hash, N::Error> {
    let len = end - start;
    if len.is_power_of_two() {
        return nodes.node(len.trailing_zeros(), start / len);
    }
    let middle = start + left_len(len);
    let left = subtree(algorithm, nodes, start, middle)?;
    Ok(node_hash(algorithm, &left, &subtree(algorithm, nodes, middle, end)?))
}

/// Size of the left subtree of a tree of `len` ≥ 2 leaves: the largest power of two below `len`.
fn left_len(len: u64) -> u64 {
    1 << (63 - (len - 1).leading_zeros())
}

/// Root hash of the first `size` ≥ 1 leaves.
pub fn root_of<N: Nodes>(algorithm: Algorithm, nodes: &N, size: u64) -> Result<Hash, N::Error> {
    if size == 0 { Ok(algorithm.hash(&[])) } else { subtree(algorithm, nodes, 0, size) }
}

/// The roots of the full subtrees of the first `size` leaves.
pub fn frontier_of<N: Nodes>(algorithm: Algorithm, nodes: &N, size: u64) -> Result<Frontier, N::Error> {
    let mut roots = Vec::new();
    let mut start = 0;
    for level in (0..u64::BITS).rev().filter(|level| size >> level & 1 == 1) {
        roots.push(nodes.node(level, start >> level)?);
        start += 1 << level;
    }
    Ok(Frontier { algorithm, size, roots })
}

/// The audit path of leaf `index` in the tree of the first `size` leaves
/// ([RFC 6962 §2.1.1](https://www.rfc-editor.org/rfc/rfc6962#section-2.1.1)), the leaf's sibling first.
///
/// # Panics
/// If `index >= size`.
pub fn inclusion_proof<N: Nodes>(
    algorithm: Algorithm,
    nodes: &N,
    index: u64,
    size: u64,
) -> Result<Vec<Hash>, N::Error> {
    assert!(index < size, "leaf {index} of a tree of {size}");
    let mut path = Vec::new();
    let (mut start, mut end) = (0, size);
    while end - start > 1 {
        let middle = start + left_len(end - start);
        let sibling;
        (sibling, start, end) =
            if index < middle { ((middle, end), start, middle) } else { ((start, middle), middle, end) };
        path.push(subtree(algorithm, nodes, sibling.0, sibling.1)?);
    }
    path.reverse();
    Ok(path)
}

/// The consistency proof between the trees of the first `old` and the first `new` leaves
/// ([RFC 6962 §2.1.2](https://www.rfc-editor.org/rfc/rfc6962#section-2.1.2)). Empty if `old` is 0 or `new`.
///
/// # Panics
/// If `old > new`.
pub fn consistency_proof<N: Nodes>(algorithm: Algorithm, nodes: &N, old: u64, new: u64) -> Result<Vec<Hash>, N::Error> {
    assert!(old <= new, "from {old} to {new}");
    let mut proof = Vec::new();
    if old == 0 || old == new {
        return Ok(proof);
    }
    let (mut start, mut end) = (0, new);
    // Goes down to the subtree that ends with the old tree; what is beside the way is the proof.
    while end != old {
        let middle = start + left_len(end - start);
        let sibling;
        (sibling, start, end) =
            if old <= middle { ((middle, end), start, middle) } else { ((start, middle), middle, end) };
        proof.push(subtree(algorithm, nodes, sibling.0, sibling.1)?);
    }
    // A verifier who has the old root knows the old tree itself.
    if start != 0 {
        proof.push(subtree(algorithm, nodes, start, end)?);
    }
    proof.reverse();
    Ok(proof)
}

/// The root that follows from a leaf's hash and its audit path; none if the path cannot be of this place
/// ([RFC 9162 §2.1.3.2](https://www.rfc-editor.org/rfc/rfc9162#section-2.1.3.2)).
pub fn root_from_inclusion(algorithm: Algorithm, leaf: Hash, index: u64, size: u64, path: &[Hash]) -> Option<Hash> {
    if index >= size {
        return None;
    }
    let (mut node, mut last, mut hash) = (index, size - 1, leaf);
    for sibling in path {
        if last == 0 {
            return None;
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(algorithm, sibling, &hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(algorithm, &hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(hash)
}

/// Whether a proof shows that a tree of `new` leaves with `new_root` begins with the tree of `old` leaves with `old_root`
/// ([RFC 9162 §2.1.4.2](https://www.rfc-editor.org/rfc/rfc9162#section-2.1.4.2)).
pub fn is_consistent(
    algorithm: Algorithm,
    (old, old_root): (u64, &Hash),
    (new, new_root): (u64, &Hash),
    proof: &[Hash],
) -> bool {
    if old > new {
        return false;
    }
    if old == 0 {
        return proof.is_empty() && *old_root == algorithm.hash(&[]);
    }
    if old == new {
        return proof.is_empty() && old_root == new_root;
    }
    let mut proof = proof.iter();
    let (mut node, mut last) = (old - 1, new - 1);
    let shift = node.trailing_ones();
    node >>= shift;
    last >>= shift;
    // Of an old tree that is one full subtree, the verifier has the root already.
    let first = if node == 0 && old.is_power_of_two() { Some(old_root) } else { proof.next() };
    let Some(first) = first else { return false };
    let (mut from_old, mut from_new) = (*first, *first);
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            from_old = node_hash(algorithm, sibling, &from_old);
            from_new = node_hash(algorithm, sibling, &from_new);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            from_new = node_hash(algorithm, &from_new, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && from_old == *old_root && from_new == *new_root
}
