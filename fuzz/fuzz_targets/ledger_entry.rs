//! Entries of the log, alone and in bundles.
//!
//! What is read is written again as the same bytes: there is one form of each entry, so two that differ say different
//! things. An entry without its signature is the one that the sealer reads. What is signed is believed, and not after a
//! change of a bit.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vedette_ledger::{
    entry::{Entry, Unsigned},
    note::{KeyKind, SigningKey},
    tiles,
};

fn entry(bytes: &[u8]) {
    let Ok(entry) = Entry::parse(bytes) else { return };
    assert_eq!(entry.bytes(), bytes);
    let unsigned = entry.unsigned();
    assert_eq!(unsigned.signed(&entry.signature), bytes);
    assert_eq!(unsigned.chain_hash(), entry.chain_hash());
    let (again, read) = Unsigned::parse(unsigned.bytes().to_vec()).expect("it is an entry without its signature");
    assert_eq!((&again, &read.body, read.epoch), (&unsigned, &entry.body, entry.epoch));

    let key = SigningKey::from_seed("fuzz", KeyKind::Ed25519, [7; 32]).expect("a key");
    let mut signed = Entry { public: *key.verifier().public(), ..entry };
    signed.signature = key.sign_bytes(&signed.unsigned().message());
    assert!(signed.is_signed());
    let mut changed = signed.bytes();
    let at = bytes.iter().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)));
    let len = changed.len();
    changed[at % len] ^= 1 << (at % 8);
    if let Ok(changed) = Entry::parse(&changed) {
        assert!(!changed.is_signed(), "a changed entry is believed");
    }
}

fuzz_target!(|data: &[u8]| {
    entry(data);
    if let Some(entries) = tiles::entries(data) {
        entries.iter().for_each(|bytes| entry(bytes));
        assert_eq!(tiles::bundle(entries), data);
    }
});
