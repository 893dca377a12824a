//! Records of the Linux audit daemon: `type=SYSCALL msg=audit(1364481363.243:24287): key=value …`, from
//! `audit.log`, the audit dispatcher, the kernel's own log, and journald; enriched or not.

use super::{
    date::Format,
    draft::{Draft, Span, Val},
    steps::NotMine,
    vocabulary::Vocabulary,
};

/// Most key=value pairs of one record.
const MAX_PAIRS: usize = 1024;
/// Enriched logs separate the interpreted fields with this.
const ENRICHED: char = '\u{1d}';

/// Keys whose values the kernel writes in hex when they hold unusual bytes (auparse's "encoded" type).
const ENCODED: &[&str] = &[
    "acct",
    "cmd",
    "comm",
    "cwd",
    "data",
    "dir",
    "exe",
    "file",
    "grp",
    "key",
    "name",
    "new",
    "new_group",
    "ocomm",
    "old",
    "path",
    "proctitle",
    "sw",
    "vm",
    "watch",
];

/// Beginnings of the type names that may stand alone in journald.
const KINDS: &[&str] = &[
    "ACCT_",
    "ADD_",
    "ANOM_",
    "AVC",
    "BPF",
    "CHGRP_",
    "CHUSER_",
    "CONFIG_CHANGE",
    "CRED_",
    "CRYPTO_",
    "CWD",
    "DAEMON_",
    "DEL_",
    "EXECVE",
    "GRP_",
    "INTEGRITY_",
    "KERN_MODULE",
    "LOGIN",
    "MAC_",
    "NETFILTER_",
    "OBJ_PID",
    "PATH",
    "PROCTITLE",
    "ROLE_",
    "SECCOMP",
    "SERVICE_",
    "SOCKADDR",
    "SYSCALL",
    "SYSTEM_",
    "TTY",
    "USER_",
];

/// Takes the `message` apart into `auditd.*` fields.
pub(crate) fn normalise(draft: &mut Draft, vocabulary: &Vocabulary) -> Result<(), NotMine> {
    let known = vocabulary.known;
    let span = draft.text_of(known.message).ok_or(NotMine)?;
    let span = draft.cut(span);
    let text = draft.str(span);
    let (head, body) = match text.find("audit(") {
        Some(open) => {
            let close = open + text[open..].find(')').ok_or(NotMine)?;
            let stamp = &text[open + 6..close];
            let (seconds, sequence) = stamp.rsplit_once(':').ok_or(NotMine)?;
            let time = Format::Unix.read(seconds, draft.received, &jiff::tz::TimeZone::UTC).ok_or(NotMine)?;
            let sequence: i64 = sequence.parse().map_err(|_| NotMine)?;
            let behind = text[close + 1..].strip_prefix(':').map_or(close + 1, |_| close + 2);
            let head = 0..open;
            draft.time = Some(time);
            draft.add(known.audit_sequence, Val::Int(sequence));
            (head, behind)
        }
        // journald's own audit records: `USER_LOGIN pid=1 uid=0 …`, the time is journald's.
        None => {
            let kind = text.split(' ').next().unwrap_or_default();
            if !KINDS.iter().any(|known| kind.starts_with(known)) || !text.contains('=') {
                return Err(NotMine);
            }
            (0..0, 0)
        }
    };
    let text = draft.str(span);
    let mut kind = None;
    let mut node = None;
    for word in text[head].split_whitespace() {
        let place = |value: &str| {
            let start = value.as_ptr() as usize - text.as_ptr() as usize;
            span.part(start..start + value.len())
        };
        if let Some(value) = word.strip_prefix("type=") {
            kind = Some(place(value));
        } else if let Some(value) = word.strip_prefix("node=") {
            node = Some(place(value));
        }
    }
    let mut body = body;
    if kind.is_none() && body == 0 {
        let end = text.find(' ').unwrap_or(text.len());
        kind = Some(span.part(0..end));
        body = end;
    }
    let kind = kind.ok_or(NotMine)?;
    let name = type_name(draft.str(kind));
    match name {
        Some(name) => draft.add_text(known.audit_type, name),
        None => draft.add(known.audit_type, Val::Str(kind)),
    }
    if let Some(node) = node {
        draft.add(known.audit_node, Val::Str(node));
        draft.set(known.host, Val::Str(node));
    }
    let body = span.part(body..span.len as usize);
    fields(draft, vocabulary, body);
    decode(draft, vocabulary);
    Ok(())
}

/// Numbers of record types as the kernel's own log has them.
fn type_name(text: &str) -> Option<&'static str> {
    Some(match text {
        "1100" => "USER_AUTH",
        "1101" => "USER_ACCT",
        "1103" => "CRED_ACQ",
        "1104" => "CRED_DISP",
        "1105" => "USER_START",
        "1106" => "USER_END",
        "1112" => "USER_LOGIN",
        "1130" => "SERVICE_START",
        "1131" => "SERVICE_STOP",
        "1300" => "SYSCALL",
        "1302" => "PATH",
        "1305" => "CONFIG_CHANGE",
        "1306" => "SOCKADDR",
        "1307" => "CWD",
        "1309" => "EXECVE",
        "1325" => "NETFILTER_CFG",
        "1326" => "SECCOMP",
        "1327" => "PROCTITLE",
        "1334" => "BPF",
        "1400" => "AVC",
        _ => return None,
    })
}

fn fields(draft: &mut Draft, vocabulary: &Vocabulary, span: Span) {
    let text = draft.str(span);
    let mut found: Vec<(std::ops::Range<usize>, std::ops::Range<usize>, bool)> = Vec::new();
    pairs(text, 0..text.len(), &mut found);
    for (key, value, quoted) in found {
        let key_text = draft.str(span.part(key)).to_owned();
        let mut value = span.part(value);
        let raw = draft.str(value);
        // `?` and `(null)` are the audit system's words for "none".
        if !quoted && matches!(raw, "?" | "(null)" | "(none)" | "") {
            continue;
        }
        let argument = key_text.strip_prefix('a').is_some_and(|rest| {
            rest.bytes().next().is_some_and(|byte| byte.is_ascii_digit())
                && rest.bytes().all(|byte| byte.is_ascii_digit() || b"[]".contains(&byte))
        });
        let is_execve =
            argument && draft.text_of(vocabulary.known.audit_type).is_some_and(|kind| draft.str(kind) == "EXECVE");
        if !quoted
            && (ENCODED.contains(&key_text.as_str()) || is_execve)
            && let Some(plain) = unhex(raw)
        {
            value = draft.append(&plain);
        }
        let name = draft.name(vocabulary, &["auditd.data.", &key_text]);
        draft.push(name, Val::Str(value), true);
    }
}

/// The pairs of a body; `msg='…'` holds more of them.
fn pairs(
    text: &str,
    range: std::ops::Range<usize>,
    found: &mut Vec<(std::ops::Range<usize>, std::ops::Range<usize>, bool)>,
) {
    let bytes = text.as_bytes();
    let end = range.end;
    let mut at = range.start;
    while at < end && found.len() < MAX_PAIRS {
        while at < end && (bytes[at].is_ascii_whitespace() || bytes[at] == ENRICHED as u8 || bytes[at] == b',') {
            at += 1;
        }
        let start = at;
        while at < end && bytes[at] != b'=' && !bytes[at].is_ascii_whitespace() && bytes[at] != ENRICHED as u8 {
            at += 1;
        }
        if at >= end || bytes[at] != b'=' {
            // A word without a value (`avc:  denied  { read }`).
            continue;
        }
        let key = start..at;
        at += 1;
        if at < end && (bytes[at] == b'"' || bytes[at] == b'\'') {
            let quote = bytes[at];
            let inner = at + 1;
            let close = memchr::memchr(quote, &bytes[inner..end]).map_or(end, |found| inner + found);
            if quote == b'\'' && &text[key.clone()] == "msg" {
                pairs(text, inner..close, found);
            } else if !key.is_empty() {
                found.push((key, inner..close, true));
            }
            at = (close + 1).min(end);
        } else {
            let value = at;
            while at < end && !bytes[at].is_ascii_whitespace() && bytes[at] != ENRICHED as u8 {
                at += 1;
            }
            if !key.is_empty() {
                found.push((key, value..at, false));
            }
        }
    }
}

/// The text that an even number of hex digits spells, NUL (between arguments) as a space.
fn unhex(text: &str) -> Option<String> {
    let digits = text.as_bytes();
    if digits.len() < 2 || !digits.len().is_multiple_of(2) || digits.len() > 64 << 10 {
        return None;
    }
    let bytes: Vec<u8> = digits
        .chunks(2)
        .map(|pair| Some(((pair[0] as char).to_digit(16)? << 4 | (pair[1] as char).to_digit(16)?) as u8))
        .collect::<Option<_>>()?;
    let text = String::from_utf8_lossy(&bytes);
    Some(text.trim_end_matches('\0').replace('\0', " "))
}

/// Arguments to a command line, the socket address to ECS.
fn decode(draft: &mut Draft, vocabulary: &Vocabulary) {
    let known = vocabulary.known;
    let Some(kind) = draft.text_of(known.audit_type) else { return };
    match draft.str(kind) {
        "EXECVE" => {
            let mut line = String::new();
            for index in 0..MAX_PAIRS {
                let key = format!("auditd.data.a{index}");
                let position = (0..draft.slots.len()).find(|at| draft.name_at(*at, vocabulary) == key);
                let Some(Val::Str(span)) = position.map(|at| draft.slots[at].value) else { break };
                if !line.is_empty() {
                    line.push(' ');
                }
                line.push_str(draft.str(span));
                draft.add(known.args, Val::Str(span));
                if index >= 255 {
                    break;
                }
            }
            if !line.is_empty() {
                draft.set_text(known.command_line, &line);
            }
        }
        "SOCKADDR" => {
            let Some(span) = draft.text_of(known.audit_saddr) else { return };
            match sockaddr(draft.str(span)) {
                Some(Socket::Ip(ip, port)) => {
                    draft.set_text(known.destination_ip, &ip.to_string());
                    draft.set(known.destination_port, Val::Int(port.into()));
                }
                Some(Socket::Path(path)) => draft.set_text(known.file_path, &path),
                None => {}
            }
        }
        _ => {}
    }
}

enum Socket {
    Ip(std::net::IpAddr, u16),
    Path(String),
}

/// A `struct sockaddr` in hex.
fn sockaddr(text: &str) -> Option<Socket> {
    if !text.is_ascii() || text.len() > 512 {
        return None;
    }
    let bytes: Vec<u8> = text
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect::<Option<_>>()?;
    let port = || Some(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?]));
    match bytes.first()? {
        1 => {
            let path = bytes.get(2..)?;
            let path = path.strip_prefix(&[0]).unwrap_or(path);
            let path = path.split(|byte| *byte == 0).next()?;
            (!path.is_empty()).then(|| Socket::Path(String::from_utf8_lossy(path).into_owned()))
        }
        2 => {
            let octets: [u8; 4] = bytes.get(4..8)?.try_into().ok()?;
            Some(Socket::Ip(octets.into(), port()?))
        }
        10 => {
            let octets: [u8; 16] = bytes.get(8..24)?.try_into().ok()?;
            let ip = std::net::Ipv6Addr::from(octets);
            Some(Socket::Ip(ip.to_ipv4_mapped().map_or(ip.into(), Into::into), port()?))
        }
        _ => None,
    }
}
