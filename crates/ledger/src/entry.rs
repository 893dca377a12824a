//! The log's entries: what they say, byte by byte (`docs/formats.md`).
//!
//! Every entry has a head (version, kind), a body of its kind, and the signature of the key of its epoch. Integers are
//! little-endian. An entry has no personal data: a source is named by a salted commitment.

use crate::{Algorithm, FormatError, Hash, note};

/// The version of all entries that are written.
pub const VERSION: u8 = 1;
/// What is signed begins with this, so that the signature cannot be one of anything else.
const DOMAIN: &[u8] = b"vedette ledger entry v1\n";
/// C2SP's entry bundles hold entries up to this length.
pub const MAX_ENTRY_BYTES: usize = u16::MAX as usize;
/// Behind every body: epoch, public key, signature.
const SIGNED_BY: usize = 4 + 32 + 64;

/// Events of one source that are sealed together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchRecord {
    /// How its events are hashed.
    pub algorithm: Algorithm,
    /// The source's number in the data folder.
    pub source: u32,
    /// Commitment to the source's name ([`crate::sources`]).
    pub commitment: Hash,
    /// Sequence number of the first event.
    pub first_seq: u64,
    /// Number of events.
    pub count: u32,
    /// Root of the tree over them.
    pub root: Hash,
    /// One hash over all of them.
    pub digest: Hash,
    /// [`Entry::chain_hash`] of the source's batch record before; zeroes for the first.
    pub prev: Hash,
    /// Earliest receive time, in microseconds since 1970.
    pub received_min: i64,
    /// Latest receive time.
    pub received_max: i64,
}

/// The key of the next epoch, certified by the one before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// Number of the epoch that begins.
    pub epoch: u32,
    /// Its public key.
    pub public: [u8; 32],
    /// When it was made, in microseconds since 1970.
    pub time: i64,
}

/// A file of derived data that was written: the segment's rows and their index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentRecord {
    /// The segment's id, 26 characters.
    pub id: String,
    /// When, in microseconds since 1970.
    pub time: i64,
    /// BLAKE3 of the Parquet file.
    pub rows_hash: Hash,
    /// BLAKE3 of the token sidecar.
    pub tokens_hash: Hash,
}

/// Events that were deleted because of their age or for want of room: whole batches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletionRecord {
    /// When, in microseconds since 1970.
    pub time: i64,
    /// For each source the first and the last sequence number that are gone.
    pub runs: Vec<(u32, u64, u64)>,
}

/// An event that was erased by order: nothing of it is left but its leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErasureRecord {
    /// When, in microseconds since 1970.
    pub time: i64,
    /// The source's number.
    pub source: u32,
    /// The event's sequence number.
    pub seq: u64,
    /// Its leaf in its batch's tree.
    pub leaf: Hash,
}

/// What an entry says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Events were sealed.
    Batch(BatchRecord),
    /// A new epoch begins.
    Key(KeyRecord),
    /// A segment was written.
    Segment(SegmentRecord),
    /// Events were deleted.
    Deletion(DeletionRecord),
    /// Nothing happened up to this time (microseconds since 1970).
    Heartbeat(i64),
    /// An event was erased.
    Erasure(ErasureRecord),
}

/// An entry: what it says and who signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it says.
    pub body: Body,
    /// Epoch of the key.
    pub epoch: u32,
    /// The key.
    pub public: [u8; 32],
    /// Its signature.
    pub signature: [u8; 64],
}

/// What is signed: everything but the signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsigned(Vec<u8>);

impl Unsigned {
    /// An entry that is to be signed by the key of an epoch.
    pub fn new(body: &Body, epoch: u32, public: &[u8; 32]) -> Unsigned {
        let mut bytes = vec![VERSION];
        body.write(&mut bytes);
        bytes.extend(epoch.to_le_bytes());
        bytes.extend(public);
        Unsigned(bytes)
    }

    /// From bytes, as a sealer gets them.
    ///
    /// # Errors
    /// They are no entry without its signature.
    pub fn parse(mut bytes: Vec<u8>) -> Result<(Unsigned, Entry), FormatError> {
        let len = bytes.len();
        bytes.extend([0; 64]);
        let entry = Entry::parse(&bytes)?;
        bytes.truncate(len);
        Ok((Unsigned(bytes), entry))
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// What the key signs.
    pub fn message(&self) -> Vec<u8> {
        [DOMAIN, &self.0].concat()
    }

    /// The entry's bytes with a signature.
    pub fn signed(&self, signature: &[u8; 64]) -> Vec<u8> {
        [&self.0[..], signature].concat()
    }

    /// As [`Entry::chain_hash`].
    pub fn chain_hash(&self) -> Hash {
        Algorithm::Sha256.hash(&[DOMAIN, &self.0])
    }
}

impl Entry {
    /// Reads an entry. The signature is not checked here.
    ///
    /// # Errors
    /// The bytes are no entry of a known version and kind.
    pub fn parse(bytes: &[u8]) -> Result<Entry, FormatError> {
        let mut reader = Reader(bytes);
        let version = reader.u8()?;
        if version != VERSION {
            return Err(FormatError::new(format!("entry of version {version}; this program knows {VERSION}")));
        }
        let body = Body::read(&mut reader)?;
        let (epoch, public, signature) = (reader.u32()?, reader.array()?, reader.array()?);
        if !reader.0.is_empty() {
            return Err(FormatError::new("an entry has bytes behind its end"));
        }
        Ok(Entry { body, epoch, public, signature })
    }

    /// The entry without its signature.
    pub fn unsigned(&self) -> Unsigned {
        Unsigned::new(&self.body, self.epoch, &self.public)
    }

    /// The entry's bytes.
    pub fn bytes(&self) -> Vec<u8> {
        self.unsigned().signed(&self.signature)
    }

    /// Whether the signature is of the key that the entry names.
    pub fn is_signed(&self) -> bool {
        note::is_signed(&self.public, &self.unsigned().message(), &self.signature)
    }

    /// What the source's next batch record has as [`BatchRecord::prev`]: SHA-256 of what was signed.
    pub fn chain_hash(&self) -> Hash {
        self.unsigned().chain_hash()
    }
}

impl Body {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Body::Batch(batch) => {
                out.extend([1, batch.algorithm as u8]);
                out.extend(batch.source.to_le_bytes());
                out.extend(batch.commitment);
                out.extend(batch.first_seq.to_le_bytes());
                out.extend(batch.count.to_le_bytes());
                out.extend(batch.root);
                out.extend(batch.digest);
                out.extend(batch.prev);
                out.extend(batch.received_min.to_le_bytes());
                out.extend(batch.received_max.to_le_bytes());
            }
            Body::Key(key) => {
                out.push(2);
                out.extend(key.epoch.to_le_bytes());
                out.extend(key.public);
                out.extend(key.time.to_le_bytes());
            }
            Body::Segment(segment) => {
                out.push(3);
                // Ids are made here; a longer one would be a mistake of ours and does not parse again.
                out.push(u8::try_from(segment.id.len()).unwrap_or(u8::MAX));
                out.extend(segment.id.as_bytes());
                out.extend(segment.time.to_le_bytes());
                out.extend(segment.rows_hash);
                out.extend(segment.tokens_hash);
            }
            Body::Deletion(deletion) => {
                out.push(4);
                out.extend(deletion.time.to_le_bytes());
                out.extend((deletion.runs.len() as u32).to_le_bytes());
                for (source, first, last) in &deletion.runs {
                    out.extend(source.to_le_bytes());
                    out.extend(first.to_le_bytes());
                    out.extend(last.to_le_bytes());
                }
            }
            Body::Heartbeat(time) => {
                out.push(5);
                out.extend(time.to_le_bytes());
            }
            Body::Erasure(erasure) => {
                out.push(6);
                out.extend(erasure.time.to_le_bytes());
                out.extend(erasure.source.to_le_bytes());
                out.extend(erasure.seq.to_le_bytes());
                out.extend(erasure.leaf);
            }
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Body, FormatError> {
        let bad = |what: &str| FormatError::new(format!("not an entry: {what}"));
        Ok(match reader.u8()? {
            1 => {
                let algorithm = Algorithm::from_number(reader.u8()?).ok_or_else(|| bad("an unknown hash algorithm"))?;
                let batch = BatchRecord {
                    algorithm,
                    source: reader.u32()?,
                    commitment: reader.array()?,
                    first_seq: reader.u64()?,
                    count: reader.u32()?,
                    root: reader.array()?,
                    digest: reader.array()?,
                    prev: reader.array()?,
                    received_min: reader.i64()?,
                    received_max: reader.i64()?,
                };
                if batch.count == 0 || batch.first_seq.checked_add(batch.count.into()).is_none() {
                    return Err(bad("a batch has events, and their numbers fit"));
                }
                Body::Batch(batch)
            }
            2 => Body::Key(KeyRecord { epoch: reader.u32()?, public: reader.array()?, time: reader.i64()? }),
            3 => {
                let len = usize::from(reader.u8()?);
                let id = str::from_utf8(reader.bytes(len)?).map_err(|_| bad("an id that is not text"))?.to_owned();
                Body::Segment(SegmentRecord {
                    id,
                    time: reader.i64()?,
                    rows_hash: reader.array()?,
                    tokens_hash: reader.array()?,
                })
            }
            4 => {
                let (time, runs) = (reader.i64()?, reader.u32()?);
                let runs = (0..runs)
                    .map(|_| Ok((reader.u32()?, reader.u64()?, reader.u64()?)))
                    .collect::<Result<Vec<_>, FormatError>>()?;
                if runs.iter().any(|(_, first, last)| first > last) {
                    return Err(bad("a run ends before it begins"));
                }
                Body::Deletion(DeletionRecord { time, runs })
            }
            5 => Body::Heartbeat(reader.i64()?),
            6 => Body::Erasure(ErasureRecord {
                time: reader.i64()?,
                source: reader.u32()?,
                seq: reader.u64()?,
                leaf: reader.array()?,
            }),
            kind => return Err(FormatError::new(format!("entry of kind {kind}, which this program does not know"))),
        })
    }
}

/// The rest of what is read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, len: usize) -> Result<&'a [u8], FormatError> {
        let (bytes, rest) = self.0.split_at_checked(len).ok_or_else(|| FormatError::new("an entry is cut short"))?;
        self.0 = rest;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], FormatError> {
        let mut array = [0; N];
        array.copy_from_slice(self.bytes(N)?);
        Ok(array)
    }

    fn u8(&mut self) -> Result<u8, FormatError> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u32(&mut self) -> Result<u32, FormatError> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, FormatError> {
        self.array().map(u64::from_le_bytes)
    }

    fn i64(&mut self) -> Result<i64, FormatError> {
        self.array().map(i64::from_le_bytes)
    }
}

/// How many runs fit into one deletion record.
pub const MAX_RUNS: usize = (MAX_ENTRY_BYTES - SIGNED_BY - 64) / 20;
