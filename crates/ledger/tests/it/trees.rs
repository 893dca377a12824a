//! Trees and proofs, beside `ct-merkle` and `tlog_tiles`.

use ct_merkle::{ConsistencyProof, InclusionProof, mem_backed_tree::MemoryBackedTree};
use proptest::prelude::*;
use sha2::Sha256;
use vedette_ledger::{Algorithm, Hash, tree};

const SHA: Algorithm = Algorithm::Sha256;

fn items(count: u64) -> Vec<Vec<u8>> {
    (0..count).map(|number| number.to_le_bytes().repeat(1 + number as usize % 3)).collect()
}

fn leaves(items: &[Vec<u8>]) -> Vec<Hash> {
    items.iter().map(|item| tree::leaf_hash(SHA, item)).collect()
}

fn other(items: &[Vec<u8>]) -> MemoryBackedTree<Sha256, Vec<u8>> {
    let mut tree = MemoryBackedTree::new();
    items.iter().for_each(|item| tree.push(item.clone()));
    tree
}

fn bytes(proof: &[Hash]) -> Vec<u8> {
    proof.concat()
}

#[test]
fn every_proof_of_small_trees_is_the_other_implementations() {
    for size in 1..=70_u64 {
        let items = items(size);
        let leaves = leaves(&items);
        let nodes = (SHA, &leaves[..]);
        let theirs = other(&items);
        let root = tree::root(SHA, &leaves);
        assert_eq!(root[..], theirs.root().as_bytes()[..], "root of {size}");
        assert_eq!(tree::root_of(SHA, &nodes, size), Ok(root));
        for index in 0..size {
            let path = tree::inclusion_proof(SHA, &nodes, index, size).expect("never");
            assert_eq!(bytes(&path), theirs.prove_inclusion(index as usize).as_bytes(), "{index} in {size}");
            let leaf = leaves[index as usize];
            assert_eq!(tree::root_from_inclusion(SHA, leaf, index, size, &path), Some(root));
        }
        for old in 1..=size {
            let proof = tree::consistency_proof(SHA, &nodes, old, size).expect("never");
            if old < size {
                let expected = theirs.prove_consistency((size - old) as usize);
                assert_eq!(bytes(&proof), expected.as_bytes(), "{old} to {size}");
            }
            let old_root = tree::root(SHA, &leaves[..old as usize]);
            assert!(tree::is_consistent(SHA, (old, &old_root), (size, &root), &proof));
            let frontier = tree::frontier_of(SHA, &nodes, old).expect("never");
            assert_eq!((frontier.size(), frontier.root()), (old, old_root));
        }
    }
}

/// The first hashes of RFC 6962's test tree, as other implementations publish them.
#[test]
fn the_empty_tree() {
    let hex = vedette_ledger::hex(&tree::Frontier::new(SHA).root());
    assert_eq!(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    let leaf = vedette_ledger::hex(&tree::leaf_hash(SHA, b""));
    assert_eq!(leaf, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
}

proptest! {
    /// A proof that was changed in any way, or is of another place, is refused by both or by ours alone.
    #[test]
    fn changed_proofs_are_refused(
        size in 1_u64..300,
        at in any::<prop::sample::Index>(),
        change in 0..5_u8,
        bit in any::<prop::sample::Index>(),
    ) {
        let items = items(size);
        let leaves = leaves(&items);
        let nodes = (SHA, &leaves[..]);
        let index = at.index(size as usize) as u64;
        let root = tree::root(SHA, &leaves);
        let mut path = tree::inclusion_proof(SHA, &nodes, index, size).expect("never");
        let (mut claimed, mut leaf) = (index, leaves[index as usize]);
        match change {
            0 if !path.is_empty() => {
                let at = bit.index(path.len() * 256);
                path[at / 256][at % 256 / 8] ^= 1 << (at % 8);
            }
            1 if !path.is_empty() => drop(path.pop()),
            2 => path.push(leaf),
            3 if size > 1 => claimed = (index + 1 + bit.index(size as usize - 1) as u64) % size,
            _ => leaf[bit.index(32)] ^= 1,
        }
        prop_assert_ne!(tree::root_from_inclusion(SHA, leaf, claimed, size, &path), Some(root));
    }

    #[test]
    fn changed_histories_are_inconsistent(
        size in 2_u64..300,
        at in any::<prop::sample::Index>(),
        changed in any::<prop::sample::Index>(),
        change in 0..3_u8,
    ) {
        let mut items = items(size);
        let new_root = tree::root(SHA, &leaves(&items));
        let old = 1 + at.index(size as usize - 1) as u64;
        let mut proof = tree::consistency_proof(SHA, &(SHA, &leaves(&items)[..]), old, size).expect("never");
        match change {
            0 => items[changed.index(old as usize)].push(0),
            1 if !proof.is_empty() => {
                let at = changed.index(proof.len());
                proof[at][0] ^= 1;
            }
            _ => proof.push([0; 32]),
        }
        let old_root = tree::root(SHA, &leaves(&items)[..old as usize]);
        prop_assert!(!tree::is_consistent(SHA, (old, &old_root), (size, &new_root), &proof));
        let theirs = ConsistencyProof::<Sha256>::try_from_bytes(bytes(&proof));
        let accepted = theirs.is_ok_and(|proof| {
            let root = |hash: Hash, size| ct_merkle::RootHash::<Sha256>::new(hash.into(), size);
            root(new_root, size).verify_consistency(&root(old_root, old), &proof).is_ok()
        });
        prop_assert!(!accepted);
    }

    /// What the other implementation proves, ours believes.
    #[test]
    fn their_proofs_verify(size in 1_u64..2_000, at in any::<prop::sample::Index>()) {
        let items = items(size);
        let theirs = other(&items);
        let index = at.index(size as usize);
        let proof: InclusionProof<Sha256> = theirs.prove_inclusion(index);
        let path: Vec<Hash> = proof.as_bytes().chunks(32).map(|hash| hash.try_into().expect("32 bytes")).collect();
        let leaf = tree::leaf_hash(SHA, &items[index]);
        let root = tree::root_from_inclusion(SHA, leaf, index as u64, size, &path);
        prop_assert_eq!(root.map(|root| root.to_vec()), Some(theirs.root().as_bytes().to_vec()));
    }
}
