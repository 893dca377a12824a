//! The sealer: the one place that has keys.
//!
//! It signs entries with the key of the epoch and checkpoints with the log's key. It computes the log's tree itself from the
//! entries that it signed, and has size and root on disk before it signs them: whoever talks to it cannot make it
//! sign two histories. It runs in a process of its own, without network ([`crate::remote`]).
//!
//! Its folder:
//!
//! | file | what |
//! |---|---|
//! | `log.key` | the log's key, `PRIVATE+KEY+origin+id+base64` |
//! | `epoch.key` | the epoch: number, key, and the entry that certifies it, as JSON |
//! | `head` | size and roots of the last signed tree, as JSON |
//! | `lock` | held with `flock` by the one sealer that works on the folder |

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{
    Algorithm, FormatError, Hash, LedgerError,
    checkpoint::Checkpoint,
    entry::{Body, KeyRecord, Unsigned},
    error::IoContext,
    files::{Lock, lock_exclusively, replace},
    hash::hex,
    note::{KeyKind, Note, SigningKey, VerifierKey},
    tree::{self, Frontier},
};

const LOG_KEY: &str = "log.key";
const EPOCH_KEY: &str = "epoch.key";
const HEAD: &str = "head";
const LOCK: &str = "lock";
/// How long a sealer may take to end when its monitor has ended.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a sealer says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The log's key, as a vkey.
    pub log_key: String,
    /// The last tree that was signed.
    pub tree: HeadFile,
    /// Number of the current epoch.
    pub epoch: u32,
    /// Its public key, in hexadecimal.
    pub public: String,
    /// The entry that certifies the epoch's key, in hexadecimal. It has to be in the log before any that the key signed.
    pub certificate: String,
}

/// Who signs: a [`Sealer`] in this process, or one in its own.
pub trait Seal: Send {
    /// What the sealer says of itself.
    fn head(&mut self) -> Result<Head, LedgerError>;
    /// Signs entries and takes them as the next of the log. Their bytes with signatures, in order.
    fn sign(&mut self, entries: Vec<Unsigned>) -> Result<Vec<Vec<u8>>, LedgerError>;
    /// Begins the next epoch at a time (microseconds since 1970); the entry that certifies its key, which is to be signed as the
    /// next.
    fn rotate(&mut self, time: i64) -> Result<Vec<u8>, LedgerError>;
    /// Signs a checkpoint over everything that was taken. `size` and `root` are what the caller has on disk.
    fn checkpoint(&mut self, size: u64, root: Hash) -> Result<Note, LedgerError>;
}

/// The keys and the tree's head.
pub struct Sealer {
    dir: PathBuf,
    log_key: SigningKey,
    epoch: Epoch,
    /// On disk.
    signed: Frontier,
    /// With the entries that were taken since.
    taken: Frontier,
    _lock: Lock,
}

struct Epoch {
    number: u32,
    key: SigningKey,
    certificate: Vec<u8>,
}

impl Epoch {
    /// A new key, certified by the epoch before. Epoch 0 certifies itself; who verifies pins its key, or trusts the folder.
    fn begin(before: Option<&Epoch>, time: i64) -> Result<Epoch, FormatError> {
        let number = before.map_or(0, |before| before.number + 1);
        let key = SigningKey::generate(&format!("epoch-{number}"), KeyKind::Ed25519)?;
        let record = Body::Key(KeyRecord { epoch: number, public: *key.verifier().public(), time });
        let (signs, signer) = before.map_or((0, &key), |before| (before.number, &before.key));
        let unsigned = Unsigned::new(&record, signs, signer.verifier().public());
        let certificate = unsigned.signed(&signer.sign_bytes(&unsigned.message()));
        Ok(Epoch { number, key, certificate })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EpochFile {
    epoch: u32,
    key: String,
    certificate: String,
}

/// What stands in the file `head`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadFile {
    /// Size of the last signed tree.
    pub size: u64,
    /// The roots of its full subtrees, in hexadecimal.
    pub roots: Vec<String>,
}

impl HeadFile {
    fn new(frontier: &Frontier) -> HeadFile {
        HeadFile { size: frontier.size(), roots: frontier.roots().iter().map(|root| hex(root)).collect() }
    }

    /// The tree's frontier; none if the roots do not belong to the size.
    pub fn frontier(&self) -> Option<Frontier> {
        let roots = self.roots.iter().map(|root| parse_hex(root)).collect::<Option<Vec<_>>>()?;
        Frontier::from_parts(Algorithm::Sha256, self.size, roots)
    }
}

impl Sealer {
    /// Opens the sealer's folder. If it is empty, new keys are made for a log with the name `origin`.
    ///
    /// # Errors
    /// The folder cannot be used, another sealer works on it, or a file in it is missing or damaged.
    pub fn open(dir: &Path, origin: &str, now: i64) -> Result<Sealer, LedgerError> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).at(dir)?;
        let lock = take_lock(dir)?;
        let (log_path, epoch_path, head_path) = (dir.join(LOG_KEY), dir.join(EPOCH_KEY), dir.join(HEAD));
        let is_new = !head_path.try_exists().at(&head_path)?;
        if is_new {
            // The head comes last, so that a folder without one was never used.
            let log_key = SigningKey::generate(origin, KeyKind::Ed25519)?;
            replace(&log_path, log_key.secret().as_bytes())?;
            write_epoch(&epoch_path, &Epoch::begin(None, now)?)?;
            write_head(&head_path, &Frontier::new(Algorithm::Sha256))?;
        }
        let log_key = SigningKey::parse(&read_secret(&log_path)?).map_err(|error| damaged(&log_path, error))?;
        let epoch = read_epoch(&epoch_path)?;
        let signed = read_head(&head_path)?;
        Ok(Sealer { dir: dir.to_owned(), log_key, epoch, taken: signed.clone(), signed, _lock: lock })
    }

    /// The log's public key.
    pub fn log_key(&self) -> &VerifierKey {
        self.log_key.verifier()
    }

    fn take(&mut self, entry: &[u8]) {
        self.taken.push(tree::leaf_hash(Algorithm::Sha256, entry));
    }
}

impl Seal for Sealer {
    fn head(&mut self) -> Result<Head, LedgerError> {
        // Whoever asks begins anew behind what was signed.
        self.taken = self.signed.clone();
        Ok(Head {
            log_key: self.log_key.verifier().to_string(),
            tree: HeadFile::new(&self.signed),
            epoch: self.epoch.number,
            public: hex(self.epoch.key.verifier().public()),
            certificate: hex(&self.epoch.certificate),
        })
    }

    fn sign(&mut self, entries: Vec<Unsigned>) -> Result<Vec<Vec<u8>>, LedgerError> {
        let mut signed = Vec::with_capacity(entries.len());
        for unsigned in entries {
            let (unsigned, entry) = Unsigned::parse(unsigned.bytes().to_vec())?;
            if matches!(entry.body, Body::Key(_)) {
                // The certificate of the epoch's key, which is signed already.
                if self.epoch.certificate.get(..unsigned.bytes().len()) != Some(unsigned.bytes()) {
                    return Err(LedgerError::Sealer("a key is certified by the sealer itself only".into()));
                }
                signed.push(self.epoch.certificate.clone());
            } else {
                if entry.epoch != self.epoch.number || entry.public != *self.epoch.key.verifier().public() {
                    return Err(LedgerError::Sealer(format!("entry of epoch {}, which is over", entry.epoch)));
                }
                signed.push(unsigned.signed(&self.epoch.key.sign_bytes(&unsigned.message())));
            }
        }
        signed.iter().for_each(|entry| self.take(entry));
        Ok(signed)
    }

    fn rotate(&mut self, time: i64) -> Result<Vec<u8>, LedgerError> {
        let epoch = Epoch::begin(Some(&self.epoch), time)?;
        write_epoch(&self.dir.join(EPOCH_KEY), &epoch)?;
        self.epoch = epoch;
        Ok(self.epoch.certificate.clone())
    }

    fn checkpoint(&mut self, size: u64, root: Hash) -> Result<Note, LedgerError> {
        if (size, root) != (self.taken.size(), self.taken.root()) {
            return Err(LedgerError::Sealer(format!(
                "a tree of {size} entries was to be signed; the one that was built here has {} or another root",
                self.taken.size()
            )));
        }
        if self.taken != self.signed {
            write_head(&self.dir.join(HEAD), &self.taken)?;
            self.signed = self.taken.clone();
        }
        let origin = self.log_key.verifier().name().to_owned();
        let text = Checkpoint { origin, size, root }.to_string();
        let signature = self.log_key.sign(&text, 0);
        Ok(Note { text, signatures: vec![signature] })
    }
}

/// Two at once could sign two histories.
fn take_lock(dir: &Path) -> Result<Lock, LedgerError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match lock_exclusively(dir, LOCK) {
            Err(LedgerError::Locked(_)) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(10)),
            lock => return lock,
        }
    }
}

fn read_epoch(path: &Path) -> Result<Epoch, LedgerError> {
    let text = read_secret(path)?;
    let file: EpochFile = serde_json::from_str(&text).map_err(|error| damaged(path, error))?;
    let key = SigningKey::parse(&Zeroizing::new(file.key)).map_err(|error| damaged(path, error))?;
    let certificate =
        parse_hex_bytes(&file.certificate).ok_or_else(|| damaged(path, "the certificate is not hexadecimal"))?;
    Ok(Epoch { number: file.epoch, key, certificate })
}

/// The file before is overwritten, as far as the file system does such a thing, and then replaced.
fn write_epoch(path: &Path, epoch: &Epoch) -> Result<(), LedgerError> {
    let (key, certificate) = (epoch.key.secret().to_string(), hex(&epoch.certificate));
    let file = EpochFile { epoch: epoch.number, key, certificate };
    let text = Zeroizing::new(serde_json::to_string(&file).map_err(|error| damaged(path, error))?);
    drop(Zeroizing::new(file.key));
    let before = path.with_extension("key.old");
    // A crash in between leaves both names; the next epoch erases it then.
    if path.try_exists().at(path)? {
        match fs::hard_link(path, &before) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => erase(&before)?,
            linked => linked.at(&before)?,
        }
    }
    replace(path, text.as_bytes())?;
    if before.try_exists().at(&before)? { erase(&before) } else { Ok(()) }
}

fn erase(path: &Path) -> Result<(), LedgerError> {
    let len = fs::metadata(path).at(path)?.len();
    let mut file = OpenOptions::new().write(true).open(path).at(path)?;
    file.write_all(&vec![0; len as usize]).and_then(|()| file.sync_all()).at(path)?;
    fs::remove_file(path).at(path)
}

fn read_head(path: &Path) -> Result<Frontier, LedgerError> {
    let text = fs::read_to_string(path).at(path)?;
    let file: HeadFile = serde_json::from_str(&text).map_err(|error| damaged(path, error))?;
    file.frontier().ok_or_else(|| damaged(path, "the roots do not belong to the size"))
}

fn write_head(path: &Path, head: &Frontier) -> Result<(), LedgerError> {
    let text = serde_json::to_string(&HeadFile::new(head)).map_err(|error| damaged(path, error))?;
    replace(path, text.as_bytes())
}

fn read_secret(path: &Path) -> Result<Zeroizing<String>, LedgerError> {
    let mut text = Zeroizing::new(String::new());
    File::open(path).and_then(|mut file| file.read_to_string(&mut text)).at(path)?;
    Ok(text)
}

fn damaged(path: &Path, what: impl ToString) -> LedgerError {
    LedgerError::Damaged { path: path.to_owned(), what: what.to_string() }
}

/// 32 bytes of lower-case hexadecimal digits.
pub fn parse_hex(text: &str) -> Option<Hash> {
    parse_hex_bytes(text)?.try_into().ok()
}

/// Bytes of lower-case hexadecimal digits.
pub fn parse_hex_bytes(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let pairs = text.as_bytes().chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return None;
    }
    pairs.map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}
