//! Tokens that OpenSSL made: of an RSA key (ESSCertIDv2), and of a P-384 key (ESSCertID with SHA-1, fractions of seconds).

use vedette_ledger::{
    Algorithm, Hash,
    anchors::AnchorFile,
    timestamp::{self, Roots, Stamp, Token},
};

use crate::support;

const RSA: &[u8] = include_bytes!("timestamps/rsa.tsr");
const RSA_CA: &[u8] = include_bytes!("timestamps/rsa.pem");
const EC: &[u8] = include_bytes!("timestamps/ec.tsr");
const EC_CA: &[u8] = include_bytes!("timestamps/ec.pem");
const REFUSED: &[u8] = include_bytes!("timestamps/refused.tsr");
/// 2026-11-21T13:57:37Z and a second later.
const RSA_TIME: i64 = 1_795_269_457_000_000;
const EC_TIME: i64 = 1_795_269_458_306_000;
const RSA_NONCE: u64 = 0x98bc_3a10_ce3e_d988;

fn imprint() -> Hash {
    Algorithm::Sha256.hash(&[b"a note\n"])
}

fn check(reply: &[u8], imprint: &Hash, roots: &[u8]) -> Result<Stamp, String> {
    let roots = Roots::from_pem(roots).map_err(|error| error.to_string())?;
    let read = || {
        let token = Token::read(reply)?;
        let stamp = token.verify(imprint)?;
        token.certify(&roots)?;
        Ok(stamp)
    };
    read().map_err(|error: vedette_ledger::FormatError| error.to_string())
}

#[test]
fn tokens_of_openssl_verify() {
    let tsa = "CN=Example TSA,O=Example".to_owned();
    let rsa = check(RSA, &imprint(), RSA_CA).expect("it verifies");
    assert_eq!(rsa, Stamp { time: RSA_TIME, accuracy: 1_500_100, tsa: tsa.clone() });
    assert_eq!(rsa.before(), RSA_TIME + 1_500_100);
    let ec = check(EC, &imprint(), EC_CA).expect("it verifies");
    assert_eq!(ec, Stamp { time: EC_TIME, accuracy: 1_500_100, tsa });
    let token = Token::read(RSA).expect("a token");
    assert!(token.answers(RSA_NONCE) && !token.answers(RSA_NONCE + 1));
}

#[test]
fn what_is_wrong_is_said() {
    let said = |reply: &[u8], roots| check(reply, &imprint(), roots).expect_err("it is wrong");
    assert_eq!(check(RSA, &[0; 32], RSA_CA).expect_err("another note"), "the token is about something else");
    assert_eq!(
        said(RSA, EC_CA),
        "none of the authorities that are believed certifies it: InvalidSignatureForPublicKey"
    );
    assert_eq!(
        said(REFUSED, RSA_CA),
        "the authority does not grant a token (status 2): Message digest algorithm is not supported."
    );
    assert_eq!(said(&[0; 40_000], RSA_CA), "a time-stamp reply is at most 32 KiB long");
    assert!(said(b"<html>", RSA_CA).starts_with("the reply cannot be read: "));
    assert_eq!(said(RSA, b""), "no certificate (PEM) is in it");
}

/// Every bit of a token: a changed one is refused, or says what the whole one says (of a few bytes nobody signs what they are).
#[test]
fn a_changed_token_never_says_something_else() {
    for (reply, roots) in [(RSA, RSA_CA), (EC, EC_CA)] {
        let whole = check(reply, &imprint(), roots);
        let mut unnoticed = 0;
        for at in 0..reply.len() {
            for bit in 0..8 {
                let mut changed = reply.to_vec();
                changed[at] ^= 1 << bit;
                if let Ok(stamp) = check(&changed, &imprint(), roots) {
                    assert_eq!(Ok(stamp), whole, "bit {bit} of byte {at}");
                    unnoticed += 1;
                }
            }
        }
        assert!(unnoticed < 64, "{unnoticed} changes of bits were not noticed");
    }
    (0..RSA.len()).for_each(|len| assert!(check(&RSA[..len], &imprint(), RSA_CA).is_err(), "cut at {len}"));
}

#[test]
fn requests_are_what_openssl_makes() {
    let request = timestamp::request(&imprint(), RSA_NONCE).expect("a request");
    assert_eq!(request, include_bytes!("timestamps/rsa.tsq"));
}

#[test]
fn anchors_are_kept_beside_their_checkpoints() {
    let folder = support::folder();
    let ledger = support::open(folder.path(), Default::default(), 0).expect("a ledger");
    assert_eq!(ledger.newest_anchor("one").expect("no folder"), None);
    let note = ledger.newest().note;
    ledger.anchor(&note, "one", RSA).expect("it is kept");
    ledger.anchor(&note, "two", b"no token").expect("it is kept");
    assert_eq!(ledger.newest_anchor("one").expect("it is read"), Some((1, RSA_TIME)));
    assert_eq!(ledger.newest_anchor("two").expect("it is read"), None, "no token");
    let dir = folder.path().join("ledger");
    let kept = |file: AnchorFile| std::fs::read(dir.join(file.path())).expect("a file");
    assert_eq!(kept(AnchorFile::Checkpoint(1)), note.to_string().into_bytes());
    assert_eq!(kept(AnchorFile::Token(1, "one".into())), RSA);
}

#[test]
fn names_of_anchors() {
    for file in [AnchorFile::Checkpoint(17), AnchorFile::Token(17, "0a1b2c3d".into())] {
        assert_eq!(AnchorFile::parse(file.path().strip_prefix("anchors/").expect("the folder")), Some(file));
    }
    for name in ["", "17", "017.checkpoint", "x.checkpoint", "17.tsr", "17.new", "17-0a1b2c3d.new"] {
        assert_eq!(AnchorFile::parse(name), None, "{name}");
    }
}
