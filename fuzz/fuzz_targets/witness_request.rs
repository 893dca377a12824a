//! What a log asks of a witness.
//!
//! By the first byte: the data is a request as it is, or it is a series of requests of one log (or of somebody with its key) with
//! right signatures: sizes, a history, perhaps a flipped bit in the proof. What is read is written again as the same
//! bytes. The witness never fails, and cosigns only what continues what it cosigned before: of two histories, one.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vedette_fuzz::take;
use vedette_ledger::{
    Algorithm, Hash,
    checkpoint::Checkpoint,
    note::{KeyKind, Note, SigningKey, VerifierKey},
    tree,
    witness::{Answer, Request, Witness},
};

const ORIGIN: &str = "example.org/log";

fn key() -> SigningKey {
    SigningKey::from_seed(ORIGIN, KeyKind::Ed25519, [7; 32]).expect("a key")
}

/// Entries of one of two histories, which part at entry 5.
fn leaves(history: u8, size: u64) -> Vec<Hash> {
    let leaf = |index: u64| [if index < 5 { 0 } else { history & 1 }, index as u8];
    (0..size).map(|index| tree::leaf_hash(Algorithm::Sha256, &leaf(index))).collect()
}

fn requests(witness: &Witness, witnessed: &VerifierKey, mut data: &[u8]) {
    // What was cosigned last: size and history.
    let mut last = (0, 0);
    for _ in 0..16 {
        if data.is_empty() {
            return;
        }
        let [old, new, history, flip] = take(&mut data);
        let (old, new) = (u64::from(old % 24), u64::from(new % 24));
        let entries = leaves(history, new);
        let mut proof = match old <= new {
            true => tree::consistency_proof(Algorithm::Sha256, &(Algorithm::Sha256, &entries[..]), old, new),
            false => Ok(Vec::new()),
        }
        .unwrap_or_default();
        let is_proof = flip & 0x80 == 0 || proof.is_empty();
        if !is_proof {
            let at = usize::from(flip) % proof.len();
            proof[at][usize::from(flip) % 32] ^= 1;
        }
        let checkpoint = Checkpoint { origin: ORIGIN.into(), size: new, root: tree::root(Algorithm::Sha256, &entries) };
        let text = checkpoint.to_string();
        let note = Note { signatures: vec![key().sign(&text, 0)], text };
        let request = Request { old, proof, note: note.clone(), checkpoint };
        let answer = witness.add_checkpoint(request.to_string().as_bytes(), 1_795_000_000).expect("a folder in memory");
        let continues = last.0 <= 5 || last.1 == history & 1;
        let expected = match () {
            () if old > new => matches!(answer, Answer::Malformed(_)),
            () if old != last.0 => answer == Answer::OtherSize(last.0),
            () if old == new && !continues => answer == Answer::OtherRoot,
            () if !is_proof || !continues => answer == Answer::Inconsistent,
            () => matches!(answer, Answer::Cosigned(_)),
        };
        assert!(expected, "{answer:?} to {old} → {new} of history {} after {last:?}", history & 1);
        if let Answer::Cosigned(lines) = answer {
            last = (new, history & 1);
            let signatures = lines.lines().map(|line| line.parse().expect("a signature")).collect();
            assert_eq!(witnessed.verify(&Note { signatures, ..note }), Ok(Some(1_795_000_000)));
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((mode, data)) = data.split_first() else { return };
    let folder = vedette_fuzz::folder();
    let witness = Witness::open(folder.path(), "fuzz", vec![key().verifier().clone()]).expect("an empty folder");
    let witnessed = witness.key().clone();
    if mode & 1 == 1 {
        return requests(&witness, &witnessed, data);
    }
    if let Ok(request) = Request::parse(data) {
        assert_eq!(request.to_string().as_bytes(), data);
    }
    // The corpus has no request that the log's key signed for this witness: nothing is cosigned without.
    let answer = witness.add_checkpoint(data, 0).expect("a folder in memory");
    assert!(!matches!(answer, Answer::Cosigned(_)), "{answer:?}");
    assert!((400..500).contains(&answer.status()));
});
