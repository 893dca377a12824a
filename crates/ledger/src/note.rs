//! Signed notes ([C2SP signed-note](https://c2sp.org/signed-note)) and their keys.

use std::{fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::STANDARD};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use zeroize::Zeroizing;

use crate::{Algorithm, FormatError};

/// More signatures than this make a note refused; the specification asks for at least 16.
pub const MAX_SIGNATURES: usize = 64;
/// A longer note is refused, in bytes.
pub const MAX_NOTE_BYTES: usize = 64 << 10;

/// What a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum KeyKind {
    /// Ed25519 over the note's text: a log's key.
    Ed25519 = 1,
    /// Ed25519 over the time and the text ([C2SP tlog-cosignature](https://c2sp.org/tlog-cosignature)): a witness's key.
    Cosignature = 4,
}

/// A key that verifies signatures, as `name+id+base64` ("vkey") in configurations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    kind: KeyKind,
    public: [u8; 32],
}

impl VerifierKey {
    /// A key with a name.
    ///
    /// # Errors
    /// The name is empty, or has spaces, control characters or `+`.
    pub fn new(name: &str, kind: KeyKind, public: [u8; 32]) -> Result<Self, FormatError> {
        let is_allowed = |char: char| !(char.is_whitespace() || char.is_control() || char == '+');
        if name.is_empty() || !name.chars().all(is_allowed) {
            return Err(FormatError::new("a key's name is not empty and has no spaces and no `+`"));
        }
        Ok(VerifierKey { name: name.to_owned(), kind, public })
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it signs.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The Ed25519 public key.
    pub fn public(&self) -> &[u8; 32] {
        &self.public
    }

    /// The short number that stands before its signatures.
    pub fn id(&self) -> [u8; 4] {
        let hash = Algorithm::Sha256.hash(&[self.name.as_bytes(), b"\n", &[self.kind as u8], &self.public]);
        [hash[0], hash[1], hash[2], hash[3]]
    }

    fn is_named(&self, signature: &Signature) -> bool {
        signature.name == self.name && signature.id == self.id()
    }

    /// Whether a note has a good signature of this key; the time of it, if it is a cosignature.
    ///
    /// # Errors
    /// The note has no signature of this key, or one that does not verify.
    pub fn verify(&self, note: &Note) -> Result<Option<u64>, FormatError> {
        let named: Vec<&Signature> = note.signatures.iter().filter(|signature| self.is_named(signature)).collect();
        let Some(first) = named.first() else {
            return Err(FormatError::new(format!("no signature of {}", self.name)));
        };
        let mut time = None;
        for signature in &named {
            let signed_at = self.verify_one(&note.text, signature)?;
            if std::ptr::eq(*signature, *first) {
                time = signed_at;
            }
        }
        Ok(time)
    }

    fn verify_one(&self, text: &str, signature: &Signature) -> Result<Option<u64>, FormatError> {
        let bad = || FormatError::new(format!("the signature of {} does not verify", self.name));
        let key = UnparsedPublicKey::new(&ED25519, self.public);
        match self.kind {
            KeyKind::Ed25519 => {
                key.verify(text.as_bytes(), &signature.bytes).map_err(|_| bad())?;
                Ok(None)
            }
            KeyKind::Cosignature => {
                let (time, bytes) = signature.bytes.split_first_chunk::<8>().ok_or_else(bad)?;
                let time = u64::from_be_bytes(*time);
                key.verify(cosigned_text(time, text).as_bytes(), bytes).map_err(|_| bad())?;
                Ok(Some(time))
            }
        }
    }
}

fn cosigned_text(time: u64, text: &str) -> String {
    format!("cosignature/v1\ntime {time}\n{text}")
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut material = vec![self.kind as u8];
        material.extend(self.public);
        write!(f, "{}+{}+{}", self.name, crate::hash::hex(&self.id()), STANDARD.encode(material))
    }
}

impl FromStr for VerifierKey {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        let bad = |why: &str| FormatError::new(format!("not a verifier key (`name+id+base64`): {why}"));
        // base64 may have a `+`, names and ids have none.
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(material)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(bad("it has three parts"));
        };
        let material = STANDARD.decode(material).map_err(|_| bad("the third part is not base64"))?;
        let (kind, public) = match material.split_first() {
            Some((1, public)) => (KeyKind::Ed25519, public),
            Some((4, public)) => (KeyKind::Cosignature, public),
            _ => return Err(bad("only Ed25519 keys (types 1 and 4) are known")),
        };
        let public = public.try_into().map_err(|_| bad("an Ed25519 key has 32 bytes"))?;
        let key = VerifierKey::new(name, kind, public)?;
        if crate::hash::hex(&key.id()) != id {
            return Err(bad("the id is not of this name and key"));
        }
        Ok(key)
    }
}

/// A key that signs.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    seed: Zeroizing<[u8; 32]>,
    verifier: VerifierKey,
}

impl SigningKey {
    /// From its 32 secret bytes ([RFC 8032 §5.1.5](https://www.rfc-editor.org/rfc/rfc8032#section-5.1.5)).
    ///
    /// # Errors
    /// As [`VerifierKey::new`].
    pub fn from_seed(name: &str, kind: KeyKind, seed: [u8; 32]) -> Result<Self, FormatError> {
        let seed = Zeroizing::new(seed);
        let pair = Ed25519KeyPair::from_seed_unchecked(&*seed).map_err(|_| FormatError::new("not an Ed25519 seed"))?;
        let mut public = [0; 32];
        public.copy_from_slice(pair.public_key().as_ref());
        Ok(SigningKey { verifier: VerifierKey::new(name, kind, public)?, pair, seed })
    }

    /// A new one, from the system's random numbers.
    ///
    /// # Errors
    /// As [`VerifierKey::new`]; or the system has no random numbers.
    pub fn generate(name: &str, kind: KeyKind) -> Result<Self, FormatError> {
        Self::from_seed(name, kind, crate::random()?)
    }

    /// Reads `PRIVATE+KEY+name+id+base64`, as `golang.org/x/mod/sumdb/note` writes it.
    ///
    /// # Errors
    /// It is not one.
    pub fn parse(text: &str) -> Result<Self, FormatError> {
        let bad = || FormatError::new("not a signing key (`PRIVATE+KEY+name+id+base64`)");
        let mut parts = text.strip_prefix("PRIVATE+KEY+").ok_or_else(bad)?.splitn(3, '+');
        let (Some(name), Some(id), Some(material)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(bad());
        };
        let material = Zeroizing::new(STANDARD.decode(material).map_err(|_| bad())?);
        let (kind, seed) = match material.split_first() {
            Some((1, seed)) => (KeyKind::Ed25519, seed),
            Some((4, seed)) => (KeyKind::Cosignature, seed),
            _ => return Err(bad()),
        };
        let key = Self::from_seed(name, kind, seed.try_into().map_err(|_| bad())?)?;
        if crate::hash::hex(&key.verifier.id()) != id { Err(bad()) } else { Ok(key) }
    }

    /// The key with its secret, as [`parse`](Self::parse) reads it.
    pub fn secret(&self) -> Zeroizing<String> {
        let mut material = Zeroizing::new(vec![self.verifier.kind as u8]);
        material.extend(&*self.seed);
        let id = crate::hash::hex(&self.verifier.id());
        let encoded = Zeroizing::new(STANDARD.encode(&*material));
        Zeroizing::new(format!("PRIVATE+KEY+{}+{id}+{}", self.verifier.name, *encoded))
    }

    /// The key that verifies what this one signs.
    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// A bare signature of bytes.
    pub fn sign_bytes(&self, bytes: &[u8]) -> [u8; 64] {
        let mut signature = [0; 64];
        signature.copy_from_slice(self.pair.sign(bytes).as_ref());
        signature
    }

    /// Signature of a note's text; a cosigner's has the time (seconds since 1970) in it.
    pub fn sign(&self, text: &str, now: u64) -> Signature {
        let bytes = match self.verifier.kind {
            KeyKind::Ed25519 => self.sign_bytes(text.as_bytes()).to_vec(),
            KeyKind::Cosignature => {
                let mut bytes = now.to_be_bytes().to_vec();
                bytes.extend(self.sign_bytes(cosigned_text(now, text).as_bytes()));
                bytes
            }
        };
        Signature { name: self.verifier.name.clone(), id: self.verifier.id(), bytes }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.verifier)
    }
}

/// Whether bytes have a good bare Ed25519 signature.
pub fn is_signed(public: &[u8; 32], bytes: &[u8], signature: &[u8; 64]) -> bool {
    UnparsedPublicKey::new(&ED25519, public).verify(bytes, signature).is_ok()
}

/// One line below a note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Name of the key.
    pub name: String,
    /// Short number of the key.
    pub id: [u8; 4],
    /// What the key made.
    pub bytes: Vec<u8>,
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.id.to_vec();
        bytes.extend(&self.bytes);
        write!(f, "— {} {}", self.name, STANDARD.encode(bytes))
    }
}

impl FromStr for Signature {
    type Err = FormatError;

    fn from_str(line: &str) -> Result<Self, FormatError> {
        let bad = || FormatError::new("a signature line is `— NAME BASE64`");
        let (name, encoded) = line.strip_prefix("— ").and_then(|rest| rest.split_once(' ')).ok_or_else(bad)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| bad())?;
        let (id, bytes) = bytes.split_first_chunk::<4>().ok_or_else(bad)?;
        if name.is_empty() || name.contains(|char: char| char.is_whitespace() || char == '+') || bytes.is_empty() {
            return Err(bad());
        }
        Ok(Signature { name: name.to_owned(), id: *id, bytes: bytes.to_vec() })
    }
}

/// A text and signatures below it. Nothing about it is believed before [`VerifierKey::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The text, with the newline at its end.
    pub text: String,
    /// The signatures, in order.
    pub signatures: Vec<Signature>,
}

impl Note {
    /// Reads a note.
    ///
    /// # Errors
    /// It is not a note, or larger than allowed.
    pub fn parse(bytes: &[u8]) -> Result<Note, FormatError> {
        if bytes.len() > MAX_NOTE_BYTES {
            return Err(FormatError::new("a note is at most 64 KiB long"));
        }
        let note = str::from_utf8(bytes).map_err(|_| FormatError::new("a note is UTF-8"))?;
        if note.contains(|char: char| char < ' ' && char != '\n') {
            return Err(FormatError::new("a note has no control characters"));
        }
        let end =
            note.rfind("\n\n").ok_or_else(|| FormatError::new("a note has an empty line before its signatures"))?;
        let (text, signatures) = (&note[..end + 1], &note[end + 2..]);
        let lines = signatures.strip_suffix('\n').ok_or_else(|| FormatError::new("a note ends with a newline"))?;
        if lines.split('\n').count() > MAX_SIGNATURES {
            return Err(FormatError::new("the note has too many signatures"));
        }
        let signatures = lines.split('\n').map(str::parse).collect::<Result<_, _>>()?;
        Ok(Note { text: text.to_owned(), signatures })
    }

    /// Adds what `other` has and this has not, if both are over the same text.
    pub fn merge(&mut self, other: &Note) {
        if other.text == self.text {
            for signature in &other.signatures {
                if !self.signatures.contains(signature) {
                    self.signatures.push(signature.clone());
                }
            }
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|signature| writeln!(f, "{signature}"))
    }
}
