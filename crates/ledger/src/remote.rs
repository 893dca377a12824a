//! A sealer in a process of its own: one line of JSON for each request, one for each reply.

use std::io::{BufRead, BufReader, Read, Write};

use serde::{Deserialize, Serialize};

use crate::{
    Hash, LedgerError, Seal,
    entry::{MAX_ENTRY_BYTES, Unsigned},
    hash::hex,
    note::Note,
    sealer::{Head, parse_hex, parse_hex_bytes},
};

/// Entries of one request; more are asked for in several.
const MAX_ENTRIES: usize = 1024;
/// A longer line is refused.
const MAX_LINE: u64 = (MAX_ENTRIES * (2 * MAX_ENTRY_BYTES + 3) + 4096) as u64;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Request {
    Head,
    /// In hexadecimal.
    Sign(Vec<String>),
    Rotate {
        time: i64,
    },
    Checkpoint {
        size: u64,
        root: String,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Reply {
    Head(Head),
    /// In hexadecimal.
    Entries(Vec<String>),
    Note(String),
    Refused(String),
}

/// Answers requests until the other side is gone.
///
/// # Errors
/// Nothing can be read or written any more.
pub fn serve(sealer: &mut dyn Seal, from: impl Read, mut to: impl Write) -> std::io::Result<()> {
    let mut from = BufReader::new(from);
    let mut line = String::new();
    loop {
        line.clear();
        if from.by_ref().take(MAX_LINE).read_line(&mut line)? == 0 {
            return Ok(());
        }
        let reply = answer(sealer, &line).unwrap_or_else(|error| Reply::Refused(error.to_string()));
        write_line(&mut to, &reply)?;
    }
}

fn answer(sealer: &mut dyn Seal, line: &str) -> Result<Reply, LedgerError> {
    let refused = |what: &str| LedgerError::Sealer(what.to_owned());
    let request = serde_json::from_str(line).map_err(|error| LedgerError::Sealer(error.to_string()))?;
    Ok(match request {
        Request::Head => Reply::Head(sealer.head()?),
        Request::Sign(entries) => {
            let read = |entry: &String| -> Result<Unsigned, LedgerError> {
                let bytes = parse_hex_bytes(entry).ok_or_else(|| refused("an entry is not hexadecimal"))?;
                Ok(Unsigned::parse(bytes)?.0)
            };
            let entries = entries.iter().map(read).collect::<Result<_, _>>()?;
            Reply::Entries(sealer.sign(entries)?.iter().map(|entry| hex(entry)).collect())
        }
        Request::Rotate { time } => Reply::Entries(vec![hex(&sealer.rotate(time)?)]),
        Request::Checkpoint { size, root } => {
            let root = parse_hex(&root).ok_or_else(|| refused("the root is not hexadecimal"))?;
            Reply::Note(sealer.checkpoint(size, root)?.to_string())
        }
    })
}

fn write_line(to: &mut impl Write, message: &impl Serialize) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    to.write_all(&line)?;
    to.flush()
}

/// The other end: a sealer behind a stream.
pub struct Remote<S> {
    stream: BufReader<S>,
}

impl<S: Read + Write + Send> Remote<S> {
    /// A sealer that is [served](serve) at the other end.
    pub fn new(stream: S) -> Self {
        Remote { stream: BufReader::new(stream) }
    }

    fn ask(&mut self, request: &Request) -> Result<Reply, LedgerError> {
        let gone = |error: std::io::Error| LedgerError::SealerGone(format!("its process does not answer: {error}"));
        write_line(self.stream.get_mut(), request).map_err(gone)?;
        let mut line = String::new();
        if self.stream.by_ref().take(MAX_LINE).read_line(&mut line).map_err(gone)? == 0 {
            return Err(LedgerError::SealerGone("its process has ended".into()));
        }
        match serde_json::from_str(&line).map_err(|error| LedgerError::Sealer(error.to_string()))? {
            Reply::Refused(why) => Err(LedgerError::Sealer(why)),
            reply => Ok(reply),
        }
    }

    fn ask_entries(&mut self, request: &Request) -> Result<Vec<Vec<u8>>, LedgerError> {
        let Reply::Entries(entries) = self.ask(request)? else { return Err(unexpected()) };
        entries.iter().map(|entry| parse_hex_bytes(entry).ok_or_else(unexpected)).collect()
    }
}

fn unexpected() -> LedgerError {
    LedgerError::Sealer("its process gave another answer than expected".into())
}

impl<S: Read + Write + Send> Seal for Remote<S> {
    fn head(&mut self) -> Result<Head, LedgerError> {
        match self.ask(&Request::Head)? {
            Reply::Head(head) => Ok(head),
            _ => Err(unexpected()),
        }
    }

    fn sign(&mut self, entries: Vec<Unsigned>) -> Result<Vec<Vec<u8>>, LedgerError> {
        let mut signed = Vec::with_capacity(entries.len());
        for some in entries.chunks(MAX_ENTRIES) {
            signed.extend(self.ask_entries(&Request::Sign(some.iter().map(|entry| hex(entry.bytes())).collect()))?);
        }
        Ok(signed)
    }

    fn rotate(&mut self, time: i64) -> Result<Vec<u8>, LedgerError> {
        self.ask_entries(&Request::Rotate { time })?.pop().ok_or_else(unexpected)
    }

    fn checkpoint(&mut self, size: u64, root: Hash) -> Result<Note, LedgerError> {
        match self.ask(&Request::Checkpoint { size, root: hex(&root) })? {
            Reply::Note(note) => Ok(Note::parse(note.as_bytes())?),
            _ => Err(unexpected()),
        }
    }
}

/// A sealer that is connected to again when it is gone: by the first request for its head. Other requests fail until then,
/// because whoever asks has to compare the head of another process with what he knows.
pub struct Reconnecting<S, C> {
    connect: C,
    remote: Option<Remote<S>>,
}

impl<S: Read + Write + Send, C: FnMut() -> Result<S, LedgerError> + Send> Reconnecting<S, C> {
    /// `connect` starts a sealer and connects to it, or says why not now.
    pub fn new(connect: C) -> Self {
        Reconnecting { connect, remote: None }
    }

    fn ask<T>(&mut self, ask: impl FnOnce(&mut Remote<S>) -> Result<T, LedgerError>) -> Result<T, LedgerError> {
        let remote = self.remote.as_mut().ok_or_else(|| LedgerError::SealerGone("its process has ended".into()))?;
        let answer = ask(remote);
        if let Err(LedgerError::SealerGone(_)) = answer {
            self.remote = None;
        }
        answer
    }
}

impl<S: Read + Write + Send, C: FnMut() -> Result<S, LedgerError> + Send> Seal for Reconnecting<S, C> {
    fn head(&mut self) -> Result<Head, LedgerError> {
        if self.remote.is_none() {
            self.remote = Some(Remote::new((self.connect)()?));
        }
        self.ask(Remote::head)
    }

    fn sign(&mut self, entries: Vec<Unsigned>) -> Result<Vec<Vec<u8>>, LedgerError> {
        self.ask(|remote| remote.sign(entries))
    }

    fn rotate(&mut self, time: i64) -> Result<Vec<u8>, LedgerError> {
        self.ask(|remote| remote.rotate(time))
    }

    fn checkpoint(&mut self, size: u64, root: Hash) -> Result<Note, LedgerError> {
        self.ask(|remote| remote.checkpoint(size, root))
    }
}
