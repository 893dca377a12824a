//! Notes and keys, beside `signed_note`.

use proptest::prelude::*;
use signed_note::{StandardVerifier, VerifierList};
use vedette_ledger::{
    checkpoint::Checkpoint,
    note::{KeyKind, Note, SigningKey, VerifierKey},
};

#[test]
fn the_other_implementation_verifies_our_notes() {
    let key = SigningKey::generate("example.org/log", KeyKind::Ed25519).expect("a key");
    let text = Checkpoint { origin: "example.org/log".into(), size: 7, root: [9; 32] }.to_string();
    let note = Note { signatures: vec![key.sign(&text, 0)], text };
    let verifier = StandardVerifier::new(&key.verifier().to_string()).expect("our vkey is one of theirs");
    let theirs = signed_note::Note::from_bytes(note.to_string().as_bytes()).expect("our note is one of theirs");
    let known = VerifierList::new(vec![Box::new(verifier)]);
    assert_eq!(theirs.verify(&known).expect("it verifies").0.len(), 1);
    assert_eq!(Note::parse(note.to_string().as_bytes()).as_ref(), Ok(&note));
    assert_eq!(key.verifier().to_string().parse::<VerifierKey>().as_ref(), Ok(key.verifier()));
    assert_eq!(SigningKey::parse(&key.secret()).expect("our own form").verifier(), key.verifier());
    let theirs = signed_note::StandardSigner::new(&key.secret()).expect("our secret form is theirs");
    assert_eq!(signed_note::Signer::sign(&theirs, note.text.as_bytes()).ok(), Some(note.signatures[0].bytes.clone()));
    key.verifier().verify(&note).expect("it verifies");
}

/// Key and note of the documentation of Go's `golang.org/x/mod/sumdb/note`.
#[test]
fn a_note_of_another_program_verifies() {
    let key: VerifierKey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW".parse().expect("a key");
    let note = "If you think cryptography is the answer to your problem,\n\
                then you don't know what your problem is.\n\
                \n\
                — PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
    let note = Note::parse(note.as_bytes()).expect("a note");
    key.verify(&note).expect("it verifies");
    let mut changed = note.clone();
    changed.text = changed.text.replace("answer", "cause");
    assert!(key.verify(&changed).is_err());
}

/// The example of C2SP's tlog-checkpoint and tlog-cosignature.
#[test]
fn the_specifications_examples_are_read() {
    let note = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
        — example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n\
        — witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n";
    let parsed = Note::parse(note.as_bytes()).expect("a note");
    assert_eq!(parsed.to_string(), note);
    assert_eq!(parsed.signatures.len(), 2);
    let checkpoint: Checkpoint = parsed.text.parse().expect("a checkpoint");
    assert_eq!((checkpoint.origin.as_str(), checkpoint.size), ("example.com/behind-the-sofa", 20_852_163));
    assert_eq!(checkpoint.to_string(), parsed.text);
}

#[test]
fn cosignatures_say_when() {
    let witness = SigningKey::generate("witness.example/w1", KeyKind::Cosignature).expect("a key");
    let text = Checkpoint { origin: "example.org/log".into(), size: 7, root: [9; 32] }.to_string();
    let mut note = Note { signatures: vec![witness.sign(&text, 1_679_315_147)], text };
    assert_eq!(witness.verifier().verify(&note), Ok(Some(1_679_315_147)));
    note.signatures[0].bytes[7] ^= 1;
    assert!(witness.verifier().verify(&note).is_err(), "the time is signed too");
}

#[test]
fn what_is_no_note_is_refused() {
    let signature = "— a AAAAAAAA\n";
    let cases: [&[u8]; 9] = [
        b"",
        b"text\n",
        b"text\n\n",
        b"text\n\n- a AAAAAAAA\n",
        b"text\n\n\xe2\x80\x94 a AAAA\n",
        b"text\n\n\xe2\x80\x94 a+b AAAAAAAA\n",
        b"te\txt\n\n\xe2\x80\x94 a AAAAAAAA\n",
        b"te\xffxt\n\n\xe2\x80\x94 a AAAAAAAA\n",
        b"text\n\n\xe2\x80\x94 a AAAAAAAA",
    ];
    for case in cases {
        assert!(Note::parse(case).is_err(), "{}", String::from_utf8_lossy(case));
    }
    let with = |count| Note::parse(format!("text\n\n{}", signature.repeat(count)).as_bytes());
    assert!(with(16).is_ok() && with(64).is_ok() && with(65).is_err());
    for text in ["a\n1\n", "a\n01\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n", "a\n1\nAAAA\n", "\n1\nAAAA\n"] {
        assert!(text.parse::<Checkpoint>().is_err(), "{text}");
    }
    for key in ["a+b", "a+00000000+AAAA", "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"] {
        assert!(key.parse::<VerifierKey>().is_err(), "{key}");
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_read_as_they_are_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(note) = Note::parse(&bytes) {
            prop_assert_eq!(note.to_string().into_bytes(), bytes);
        }
    }
}
