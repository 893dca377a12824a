//! What a witness cosigns and what it does not, by the letter of C2SP's tlog-witness.

use proptest::prelude::*;
use vedette_ledger::{
    Algorithm, Hash,
    checkpoint::Checkpoint,
    note::{KeyKind, Note, Signature, SigningKey},
    tree,
    witness::{Answer, Request, Witness},
};

use crate::support::folder;

const ORIGIN: &str = "example.org/log";

fn leaves(count: u64) -> Vec<Hash> {
    (0..count).map(|number| tree::leaf_hash(Algorithm::Sha256, &number.to_le_bytes())).collect()
}

struct Log {
    key: SigningKey,
    leaves: Vec<Hash>,
}

impl Log {
    fn new() -> Log {
        Log { key: SigningKey::generate(ORIGIN, KeyKind::Ed25519).expect("a key"), leaves: leaves(600) }
    }

    fn checkpoint(&self, size: u64) -> Checkpoint {
        let root = tree::root(Algorithm::Sha256, &self.leaves[..size as usize]);
        Checkpoint { origin: ORIGIN.into(), size, root }
    }

    fn request(&self, old: u64, new: u64) -> Request {
        let nodes = (Algorithm::Sha256, &self.leaves[..]);
        let proof = tree::consistency_proof(Algorithm::Sha256, &nodes, old.min(new), new).expect("never");
        self.with_proof(old, self.checkpoint(new), proof)
    }

    fn with_proof(&self, old: u64, checkpoint: Checkpoint, proof: Vec<Hash>) -> Request {
        let text = checkpoint.to_string();
        Request { old, proof, note: Note { signatures: vec![self.key.sign(&text, 0)], text }, checkpoint }
    }
}

fn ask(witness: &Witness, request: &Request) -> Answer {
    witness.add_checkpoint(request.to_string().as_bytes(), 1_700_000_000).expect("its folder can be used")
}

#[test]
fn a_log_that_grows_is_cosigned() {
    let (dir, log) = (folder(), Log::new());
    let open = || Witness::open(dir.path(), "witness.example/w1", vec![log.key.verifier().clone()]).expect("it opens");
    let mut witness = open();
    let key = witness.key().clone();
    let mut old = 0;
    for new in [1, 1, 7, 8, 256, 257, 600] {
        let request = log.request(old, new);
        let Answer::Cosigned(lines) = ask(&witness, &request) else { panic!("from {old} to {new}") };
        let mut note = request.note.clone();
        note.signatures.extend(lines.lines().map(|line| line.parse::<Signature>().expect("a signature")));
        assert_eq!(key.verify(&note), Ok(Some(1_700_000_000)));
        // It remembers when it is started again.
        drop(witness);
        witness = open();
        assert_eq!(witness.key(), &key);
        old = new;
    }
}

#[test]
fn everything_else_is_refused_as_the_specification_says() {
    let (dir, log, other) = (folder(), Log::new(), Log::new());
    let witness = Witness::open(dir.path(), "w", vec![log.key.verifier().clone()]).expect("it opens");
    let ask = |request: &Request| ask(&witness, request);
    // A size that it does not have is told the one that it has.
    assert_eq!(ask(&log.request(5, 10)), Answer::OtherSize(0));
    assert!(matches!(ask(&log.request(0, 10)), Answer::Cosigned(_)));
    let conflict = ask(&log.request(0, 20));
    assert_eq!((conflict.status(), conflict.content_type()), (409, "text/x.tlog.size"));
    assert_eq!(conflict.body(), "10\n");
    // The same size with another root.
    let mut forked = log.checkpoint(10);
    forked.root[0] ^= 1;
    assert_eq!(ask(&log.with_proof(10, forked.clone(), vec![])).status(), 409);
    // A larger tree that does not begin with the old one.
    forked.size = 20;
    let proof = log.request(10, 20).proof;
    assert_eq!(ask(&log.with_proof(10, forked, proof.clone())).status(), 422);
    assert_eq!(ask(&log.with_proof(10, log.checkpoint(20), vec![])).status(), 422);
    // Smaller than what the request itself says is old; smaller than what was cosigned.
    assert_eq!(ask(&log.request(10, 9)).status(), 400);
    assert_eq!(ask(&log.request(9, 9)), Answer::OtherSize(10));
    // A key that is not the log's; a log that is not known.
    assert_eq!(ask(&other.request(10, 20)).status(), 403);
    let mut unknown = log.checkpoint(20);
    unknown.origin = "example.org/other".into();
    assert_eq!(ask(&log.with_proof(10, unknown, proof)).status(), 404);
    // None of this changed anything.
    assert!(matches!(ask(&log.request(10, 20)), Answer::Cosigned(_)));
}

#[test]
fn what_is_no_request_is_refused() {
    let (dir, log) = (folder(), Log::new());
    let witness = Witness::open(dir.path(), "w", vec![log.key.verifier().clone()]).expect("it opens");
    let good = log.request(0, 3).to_string();
    for body in [
        "",
        "old 0",
        &good.replacen("old 0", "old 00", 1),
        &good.replacen("old 0", "old x", 1),
        &good.replacen("old 0\n", "old 0\nAAAA\n", 1),
        &good.replacen("old 0\n", &format!("old 0\n{}", format!("{}\n", "A".repeat(43) + "=").repeat(64)), 1),
        good.trim_end(),
    ] {
        let answer = witness.add_checkpoint(body.as_bytes(), 0).expect("its folder can be used");
        assert_eq!(answer.status(), 400, "{body:?}: {answer:?}");
    }
    assert_eq!(witness.add_checkpoint(good.as_bytes(), 0).expect("its folder can be used").status(), 200);
}

proptest! {
    /// Whatever a log shows it, what a witness cosigns is one history.
    #[test]
    fn one_history_is_cosigned(steps in prop::collection::vec((0_u64..40, 0_u64..40, any::<bool>()), 1..30)) {
        let dir = folder();
        let honest = Log::new();
        let mut forked = honest.leaves.clone();
        forked[3] = [7; 32];
        let key = SigningKey::parse(&honest.key.secret()).expect("a key");
        let other = Log { key, leaves: forked };
        let witness = Witness::open(dir.path(), "w", vec![honest.key.verifier().clone()]).expect("it opens");
        let mut cosigned: Vec<Checkpoint> = Vec::new();
        for (old, new, is_forked) in steps {
            let log = if is_forked { &other } else { &honest };
            let request = log.request(old, new);
            if let Answer::Cosigned(_) = ask(&witness, &request) {
                cosigned.push(request.checkpoint);
            }
        }
        for pair in cosigned.windows(2) {
            prop_assert!(pair[0].size <= pair[1].size);
        }
        let is_in = |log: &Log| cosigned.iter().all(|checkpoint| log.checkpoint(checkpoint.size).root == checkpoint.root);
        prop_assert!(is_in(&honest) || is_in(&other));
    }
}
