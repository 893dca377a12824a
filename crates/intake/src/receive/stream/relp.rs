//! RELP, the Reliable Event Logging Protocol of rsyslog
//! ([specification](https://github.com/rsyslog/librelp/blob/master/doc/relp.html)): every message has a number, and is answered by it
//! when it is durable.
//!
//! A frame is `TXNR SP COMMAND SP DATALEN [SP DATA] LF`.

use bytes::{Buf, BytesMut};

use super::{Dialogue, Next, Turn};

/// Longest number: transaction numbers go to 999,999,999.
const MAX_DIGITS: usize = 9;
const MAX_COMMAND: usize = 32;
/// The longest `open` and the like.
const MAX_TALK: usize = 4096;

/// One connection.
pub struct Relp {
    buffer: BytesMut,
    limit: usize,
    is_open: bool,
    /// Of a message over the limit: its number and bytes that are still to come.
    skipping: Option<(u32, usize)>,
}

/// A frame's beginning.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    number: u32,
    command: Command,
    /// Bytes of data.
    length: usize,
    /// Where the data begins.
    data: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    Open,
    Close,
    Syslog,
    Other,
}

/// Why a head cannot be read.
#[derive(Debug, PartialEq, Eq)]
enum Unreadable {
    /// It has not come whole.
    Yet,
    /// This is not RELP.
    Garbage,
}

impl Relp {
    /// Messages of at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Relp { buffer: BytesMut::new(), limit, is_open: false, skipping: None }
    }
}

fn head(bytes: &[u8]) -> Result<Head, Unreadable> {
    let (number, at) = number(bytes, 0)?;
    if bytes.get(at) != Some(&b' ') {
        return Err(Unreadable::Garbage);
    }
    let rest = &bytes[at + 1..];
    let length = rest.iter().take(MAX_COMMAND + 1).take_while(|byte| byte.is_ascii_alphabetic()).count();
    match rest.get(length) {
        _ if length > MAX_COMMAND => return Err(Unreadable::Garbage),
        None => return Err(Unreadable::Yet),
        Some(b' ') if length > 0 => {}
        _ => return Err(Unreadable::Garbage),
    }
    let command = match &rest[..length] {
        b"open" => Command::Open,
        b"close" => Command::Close,
        b"syslog" => Command::Syslog,
        _ => Command::Other,
    };
    let (length, at) = self::number(bytes, at + 1 + length + 1)?;
    let length = length as usize;
    match (bytes.get(at), length) {
        (None, _) => Err(Unreadable::Yet),
        (Some(b' '), _) => Ok(Head { number, command, length, data: at + 1 }),
        (Some(b'\n'), 0) => Ok(Head { number, command, length, data: at }),
        _ => Err(Unreadable::Garbage),
    }
}

/// The number at a position, and where it ends.
fn number(bytes: &[u8], at: usize) -> Result<(u32, usize), Unreadable> {
    let digits = bytes[at.min(bytes.len())..].iter().take(MAX_DIGITS + 1).take_while(|byte| byte.is_ascii_digit());
    let (count, value) =
        digits.fold((0, 0_u64), |(count, value), digit| (count + 1, value * 10 + u64::from(digit - b'0')));
    match count {
        _ if count > MAX_DIGITS => Err(Unreadable::Garbage),
        _ if at + count >= bytes.len() => Err(Unreadable::Yet),
        0 => Err(Unreadable::Garbage),
        _ => Ok((u32::try_from(value).unwrap_or(u32::MAX), at + count)),
    }
}

fn answer(reply: &mut Vec<u8>, number: u32, text: &str) {
    // No space comes before data that is not there.
    let space = if text.is_empty() { "" } else { " " };
    reply.extend_from_slice(format!("{number} rsp {}{space}{text}\n", text.len()).as_bytes());
}

impl Dialogue for Relp {
    fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    fn take(&mut self, turn: &mut Turn) -> Next {
        while !turn.is_full() {
            if let Some((number, left)) = self.skipping {
                let skipped = left.min(self.buffer.len());
                self.buffer.advance(skipped);
                if skipped < left {
                    self.skipping = Some((number, left - skipped));
                    return Next::Read;
                }
                self.skipping = None;
                // Refusing it would have the client send it for ever.
                answer(&mut turn.reply, number, "200 OK, but longer than the limit");
                continue;
            }
            if self.buffer.is_empty() {
                return Next::Read;
            }
            let head = match head(&self.buffer) {
                Ok(head) => head,
                Err(Unreadable::Yet) => return Next::Read,
                Err(Unreadable::Garbage) => return refuse(turn),
            };
            // The data and the line end behind it.
            let end = head.data + head.length + 1;
            if head.command == Command::Syslog && head.length > self.limit {
                turn.too_large += 1;
                self.buffer.advance(head.data);
                self.skipping = Some((head.number, head.length + 1));
                continue;
            }
            if head.command != Command::Syslog && head.length > MAX_TALK {
                return refuse(turn);
            }
            if self.buffer.len() < end {
                return Next::Read;
            }
            if self.buffer[end - 1] != b'\n' {
                return refuse(turn);
            }
            let mut frame = self.buffer.split_to(end);
            match head.command {
                Command::Open => {
                    self.is_open = true;
                    let offers = "200 OK\nrelp_version=0\nrelp_software=vedette\ncommands=syslog";
                    answer(&mut turn.reply, head.number, offers);
                }
                Command::Close => {
                    answer(&mut turn.reply, head.number, "");
                    turn.reply.extend_from_slice(b"0 serverclose 0\n");
                    return Next::Close;
                }
                Command::Syslog if self.is_open => {
                    frame.advance(head.data);
                    frame.truncate(head.length);
                    if !frame.is_empty() {
                        turn.push(frame.freeze());
                    }
                    answer(&mut turn.reply, head.number, "200 OK");
                }
                Command::Syslog => return refuse(turn),
                Command::Other => answer(&mut turn.reply, head.number, "500 this command is not offered"),
            }
        }
        Next::Again
    }

    fn is_inside(&mut self) -> bool {
        self.skipping.is_some() || !self.buffer.is_empty()
    }
}

/// The peer does not speak RELP, or speaks out of turn.
fn refuse(turn: &mut Turn) -> Next {
    turn.malformed += 1;
    turn.reply.extend_from_slice(b"0 serverclose 0\n");
    Next::Close
}

#[cfg(test)]
mod tests {
    use super::*;

    fn talk(limit: usize, pieces: &[&[u8]]) -> (Vec<String>, String, Turn, Next) {
        let mut relp = Relp::new(limit);
        let (mut records, mut turn, mut next) = (Vec::new(), Turn::default(), Next::Read);
        for piece in pieces {
            relp.buffer().extend_from_slice(piece);
            next = relp.take(&mut turn);
        }
        records.extend(turn.records.drain(..).map(|record| record.escape_ascii().to_string()));
        let reply = String::from_utf8(std::mem::take(&mut turn.reply)).unwrap();
        (records, reply, turn, next)
    }

    const SESSION: &[u8] =
        b"1 open 30 relp_version=0\ncommands=syslog\n2 syslog 7 <13>one\n3 syslog 9 <13>two\nx\n4 syslog 0\n5 close 0\n";

    #[test]
    fn a_session_however_it_is_cut() {
        let bytes: Vec<&[u8]> = SESSION.chunks(1).collect();
        for pieces in [vec![SESSION], bytes] {
            let (records, reply, _, next) = talk(100, &pieces);
            assert_eq!(records, ["<13>one", "<13>two\\nx"]);
            let offers = "1 rsp 59 200 OK\nrelp_version=0\nrelp_software=vedette\ncommands=syslog\n";
            let rest = "2 rsp 6 200 OK\n3 rsp 6 200 OK\n4 rsp 6 200 OK\n5 rsp 0\n0 serverclose 0\n";
            assert_eq!(reply, format!("{offers}{rest}"));
            assert_eq!(next, Next::Close);
        }
    }

    #[test]
    fn what_is_too_long_is_skipped_and_answered() {
        let (records, reply, turn, _) = talk(5, &[b"1 open 0\n2 syslog 10 0123", b"456789\n3 syslog 3 abc\n"]);
        assert_eq!(records, ["abc"]);
        assert_eq!(turn.too_large, 1);
        assert!(reply.contains("2 rsp 33 200 OK, but longer than the limit\n3 rsp 6 200 OK\n"), "{reply}");
    }

    #[test]
    fn what_is_not_relp_is_refused() {
        for garbage in [
            &b"GET / HTTP/1.1\r\n\r\n"[..],
            b"1 syslog 3 abc\n",
            b"1 open 0\n2 syslog 3 abcd\n",
            b"1 open 0\n9999999999 syslog 3 abc\n",
            b"1 open 99999 ",
            b"1  open 0\n",
            // Found while writing the fuzz target: one letter more than a command may have was let pass if the space behind it came with it.
            b"1 abcdefghijklmnopqrstuvwxyzabcdefg 0\n",
            b"\n",
        ] {
            let (records, reply, turn, next) = talk(100, &[garbage]);
            assert_eq!((records.len(), turn.malformed, next), (0, 1, Next::Close), "{}", garbage.escape_ascii());
            assert!(reply.ends_with("0 serverclose 0\n"));
        }
    }
}
