//! Signed notes, checkpoints, keys, signatures, and proofs of entries.
//!
//! What is read is written again as the same text. A key's signature below a note that was read is found and verifies,
//! below another text it does not. Notes are merged without a loss.

#![no_main]

use std::fmt::{Debug, Display};

use libfuzzer_sys::fuzz_target;
use vedette_ledger::{
    checkpoint::Checkpoint,
    note::{KeyKind, MAX_SIGNATURES, Note, Signature, SigningKey, VerifierKey},
    proof::Proof,
};

/// Read and written, a text is what it was.
fn same<T: Display + Debug + PartialEq + std::str::FromStr>(text: &str) -> Option<T> {
    let read: T = text.parse().ok()?;
    assert_eq!(read.to_string(), text);
    Some(read)
}

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = str::from_utf8(data) {
        for line in text.lines().chain([text]) {
            same::<Signature>(line);
            same::<VerifierKey>(line);
            if let Ok(key) = SigningKey::parse(line) {
                assert_eq!(&**key.secret(), line);
            }
        }
        same::<Proof>(text);
        if let Ok(checkpoint) = text.parse::<Checkpoint>() {
            // Behind it there may be extension lines.
            assert!(text.starts_with(&checkpoint.to_string()));
            assert_eq!(same(&checkpoint.to_string()), Some(checkpoint));
        }
    }
    let Ok(note) = Note::parse(data) else { return };
    assert_eq!(note.to_string().as_bytes(), data);
    for kind in [KeyKind::Ed25519, KeyKind::Cosignature] {
        let key = SigningKey::from_seed("fuzz", kind, [7; 32]).expect("a key");
        let mut signed = note.clone();
        signed.signatures.retain(|signature| signature.name != "fuzz");
        assert!(key.verifier().verify(&signed).is_err(), "nobody signed it");
        let mut other = signed.clone();
        other.signatures = vec![key.sign(&note.text, 1_795_000_000)];
        signed.merge(&other);
        assert_eq!(key.verifier().verify(&signed), Ok((kind == KeyKind::Cosignature).then_some(1_795_000_000)));
        if signed.signatures.len() <= MAX_SIGNATURES && data.len() < 32 << 10 {
            assert_eq!(Note::parse(signed.to_string().as_bytes()).as_ref(), Ok(&signed));
        }
        signed.text.insert(0, 'x');
        assert!(key.verifier().verify(&signed).is_err(), "another text is believed");
    }
});
