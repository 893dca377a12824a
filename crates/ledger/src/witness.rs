//! A witness: it sees a log's checkpoints one after the other and cosigns what only ever grew
//! ([C2SP tlog-witness](https://c2sp.org/tlog-witness)).
//!
//! For each log it keeps the newest checkpoint that it cosigned, on disk before it answers. A log whose key was stolen
//! can show it one history only.

use std::{
    collections::HashMap,
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::{
    Algorithm, FormatError, Hash, LedgerError,
    checkpoint::{self, Checkpoint},
    error::IoContext,
    files::{Lock, lock_exclusively, replace},
    hash::hex,
    note::{KeyKind, Note, SigningKey, VerifierKey},
    tree,
};

const KEY: &str = "witness.key";
const LOCK: &str = "lock";
/// A request says no more than this, in bytes.
pub const MAX_REQUEST_BYTES: usize = 128 << 10;
/// Hashes of a consistency proof.
const MAX_PROOF: usize = 63;

/// Who cosigns.
pub struct Witness {
    dir: PathBuf,
    key: SigningKey,
    /// By origin: keys that may sign for the log.
    logs: HashMap<String, Vec<VerifierKey>>,
    /// One request at a time: looking at the state and changing it are one step.
    busy: Mutex<()>,
    _lock: Lock,
}

/// What a witness answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The lines of its signatures.
    Cosigned(String),
    /// The request is no request: why.
    Malformed(String),
    /// The log is not known here.
    UnknownLog,
    /// No known key signed the checkpoint.
    Unsigned,
    /// The last checkpoint that was cosigned has another size: this one.
    OtherSize(u64),
    /// A checkpoint of the same size has another root: the log shows two histories.
    OtherRoot,
    /// The proof does not show that the log only grew.
    Inconsistent,
}

impl Answer {
    /// The HTTP status.
    pub fn status(&self) -> u16 {
        match self {
            Answer::Cosigned(_) => 200,
            Answer::Malformed(_) => 400,
            Answer::Unsigned => 403,
            Answer::UnknownLog => 404,
            Answer::OtherSize(_) | Answer::OtherRoot => 409,
            Answer::Inconsistent => 422,
        }
    }

    /// The body's type.
    pub fn content_type(&self) -> &'static str {
        match self {
            Answer::OtherSize(_) => "text/x.tlog.size",
            _ => "text/plain; charset=utf-8",
        }
    }

    /// The body.
    pub fn body(&self) -> String {
        match self {
            Answer::Cosigned(lines) => lines.clone(),
            Answer::Malformed(why) => format!("{why}\n"),
            Answer::UnknownLog => "this witness does not know the log\n".into(),
            Answer::Unsigned => "no known key of the log signed the checkpoint\n".into(),
            Answer::OtherSize(size) => format!("{size}\n"),
            Answer::OtherRoot => "the log showed another tree of this size before\n".into(),
            Answer::Inconsistent => "the proof does not show that the log only grew\n".into(),
        }
    }
}

impl Witness {
    /// Opens a witness's folder. If it is empty, a new key with the name `name` is made. `logs` are the keys of the logs that it
    /// cosigns; a key's name is its log's origin.
    ///
    /// # Errors
    /// The folder cannot be used, another process works on it, or the key in it is damaged.
    pub fn open(dir: &Path, name: &str, logs: Vec<VerifierKey>) -> Result<Witness, LedgerError> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir).at(dir)?;
        let lock = lock_exclusively(dir, LOCK)?;
        let path = dir.join(KEY);
        if !path.try_exists().at(&path)? {
            replace(&path, SigningKey::generate(name, KeyKind::Cosignature)?.secret().as_bytes())?;
        }
        let key = SigningKey::parse(&fs::read_to_string(&path).at(&path)?)?;
        let mut by_origin: HashMap<String, Vec<VerifierKey>> = HashMap::new();
        for log in logs {
            by_origin.entry(log.name().to_owned()).or_default().push(log);
        }
        Ok(Witness { dir: dir.to_owned(), key, logs: by_origin, busy: Mutex::new(()), _lock: lock })
    }

    /// The key that verifies its cosignatures.
    pub fn key(&self) -> &VerifierKey {
        self.key.verifier()
    }

    /// Answers an `add-checkpoint` request. `now` is in seconds since 1970.
    ///
    /// # Errors
    /// The state cannot be read or written: nothing was cosigned.
    pub fn add_checkpoint(&self, request: &[u8], now: u64) -> Result<Answer, LedgerError> {
        let request = match Request::parse(request) {
            Ok(request) => request,
            Err(error) => return Ok(Answer::Malformed(error.to_string())),
        };
        let Request { old, proof, note, checkpoint } = request;
        let Some(keys) = self.logs.get(&checkpoint.origin) else { return Ok(Answer::UnknownLog) };
        if !keys.iter().any(|key| key.verify(&note).is_ok()) {
            return Ok(Answer::Unsigned);
        }
        if old > checkpoint.size {
            return Ok(Answer::Malformed("the old size is larger than the checkpoint's".into()));
        }
        let _busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.dir.join(hex(&Algorithm::Sha256.hash(&[checkpoint.origin.as_bytes()])));
        let (size, root) = match read_state(&path)? {
            Some(last) => (last.size, last.root),
            None => (0, Algorithm::Sha256.hash(&[])),
        };
        if old != size {
            return Ok(Answer::OtherSize(size));
        }
        if checkpoint.size == size && checkpoint.root != root {
            return Ok(Answer::OtherRoot);
        }
        let new = (checkpoint.size, &checkpoint.root);
        if !tree::is_consistent(Algorithm::Sha256, (size, &root), new, &proof) {
            return Ok(Answer::Inconsistent);
        }
        replace(&path, note.text.as_bytes())?;
        Ok(Answer::Cosigned(format!("{}\n", self.key.sign(&note.text, now))))
    }
}

fn read_state(path: &Path) -> Result<Option<Checkpoint>, LedgerError> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        text => {
            let parsed = text.at(path)?.parse();
            parsed
                .map(Some)
                .map_err(|error: FormatError| LedgerError::Damaged { path: path.to_owned(), what: error.to_string() })
        }
    }
}

/// What a log asks of a witness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Size of the checkpoint that the witness cosigned last, as the log believes.
    pub old: u64,
    /// That the tree of this size is the beginning of the checkpoint's.
    pub proof: Vec<Hash>,
    /// The checkpoint with its signatures.
    pub note: Note,
    /// The checkpoint.
    pub checkpoint: Checkpoint,
}

impl Request {
    /// Reads a request's body.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(body: &[u8]) -> Result<Request, FormatError> {
        let bad = |what: &str| FormatError::new(format!("not a request to add a checkpoint: {what}"));
        let text = str::from_utf8(body).map_err(|_| bad("it is not UTF-8"))?;
        let (head, note) = text.split_once("\n\n").ok_or_else(|| bad("there is no empty line"))?;
        let mut lines = head.split('\n');
        let old = lines.next().and_then(|line| line.strip_prefix("old ")).and_then(checkpoint::decimal);
        let old = old.ok_or_else(|| bad("the first line is `old SIZE`"))?;
        let proof: Option<Vec<Hash>> = lines.map(checkpoint::hash).collect();
        let proof = proof.ok_or_else(|| bad("a line of the proof is not 32 bytes in base64"))?;
        if proof.len() > MAX_PROOF {
            return Err(bad("the proof has more than 63 lines"));
        }
        let note = Note::parse(note.as_bytes())?;
        let checkpoint = note.text.parse()?;
        Ok(Request { old, proof, note, checkpoint })
    }
}

impl std::fmt::Display for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "old {}", self.old)?;
        self.proof.iter().try_for_each(|hash| writeln!(f, "{}", STANDARD.encode(hash)))?;
        write!(f, "\n{}", self.note)
    }
}
