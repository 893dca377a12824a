//! Replies of a time-stamping authority.
//!
//! Reading one is an error or gives a token. Of tokens that are changed ones of the corpus, none verifies that says
//! something else than a token of the corpus: another time, another accuracy, another authority. None is about another
//! hash, and no chain leads to a certificate that nobody gave.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vedette_ledger::{
    Algorithm,
    timestamp::{Roots, Stamp, Token},
};

const CORPUS: [&[u8]; 2] = [
    include_bytes!("../../crates/ledger/tests/it/timestamps/rsa.tsr"),
    include_bytes!("../../crates/ledger/tests/it/timestamps/ec.tsr"),
];
const AUTHORITY: &[u8] = include_bytes!("../../crates/ledger/tests/it/timestamps/rsa.pem");

fuzz_target!(|data: &[u8]| {
    // Certificates come in PEM as well.
    if let Ok(roots) = Roots::from_pem(data) {
        assert!(!roots.is_empty());
    }
    let Ok(token) = Token::read(data) else { return };
    let note = Algorithm::Sha256.hash(&[b"a note\n"]);
    assert!(token.verify(&[0; 32]).is_err());
    if let Ok(stamp) = token.verify(&note) {
        let known = CORPUS.map(|reply| Token::read(reply).and_then(|token| token.verify(&note)).expect("it verifies"));
        assert!(known.contains(&stamp), "{stamp:?}");
        let Stamp { time, accuracy, .. } = stamp;
        assert!(stamp.before() >= time && accuracy >= 0);
    }
    assert!(token.certify(&Roots::default()).is_err());
    let roots = Roots::from_pem(AUTHORITY).expect("a certificate");
    if token.certify(&roots).is_ok() {
        let first = Token::read(CORPUS[0]).expect("a token");
        assert!(first.certify(&roots).is_ok());
    }
});
