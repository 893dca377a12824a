//! Syslog headers: RFC 5424, and RFC 3164 as it is found in the wild.
//!
//! With and without `<PRI>`; dates as `Nov 21 04:11:52`, with a year, with a fraction, or ISO 8601 as
//! rsyslog and busybox write them; with and without host; tags with a path, a slash, a PAM module in parentheses.

use jiff::tz::TimeZone;

use super::Content;
use crate::parse::{
    date,
    draft::{Draft, Name, Span, Val},
    vocabulary::Vocabulary,
};

/// Reads the header of `span` into fields; `None`, and nothing changed, if there is none.
pub(crate) fn read(draft: &mut Draft, vocabulary: &Vocabulary, zone: &TimeZone, span: Span) -> Option<Content> {
    let text = draft.str(span);
    let (priority, behind) = match text.strip_prefix('<').and_then(|rest| rest.split_once('>')) {
        Some((digits, _)) => {
            let wrong = digits.is_empty() || digits.len() > 3 || !digits.bytes().all(|byte| byte.is_ascii_digit());
            let priority = digits.parse::<u16>().ok().filter(|priority| !wrong && *priority <= 191)?;
            (Some(priority), digits.len() + 2)
        }
        None => (None, 0),
    };
    let rest = span.part(behind..text.len());
    let content = match priority {
        Some(_) if draft.str(rest).starts_with("1 ") => {
            rfc5424(draft, vocabulary, zone, rest.part(2..rest.len as usize))
        }
        _ => None,
    };
    let content = match content {
        Some(content) => content,
        None => rfc3164(draft, vocabulary, zone, rest, priority.is_some())?,
    };
    if let Some(priority) = priority {
        let known = vocabulary.known;
        let severity = priority % 8;
        draft.add(known.priority, Val::Int(priority.into()));
        draft.add(known.facility, Val::Int((priority / 8).into()));
        draft.add(known.syslog_severity, Val::Int(severity.into()));
        draft.add_text(known.level, LEVELS[usize::from(severity)]);
    }
    Some(content)
}

/// Names of the eight severities.
pub(crate) const LEVELS: [&str; 8] =
    ["emergency", "alert", "critical", "error", "warning", "notice", "informational", "debug"];

/// The next word of `text` from `at` on, and the offset behind its space.
fn word(text: &str, at: usize) -> Option<(&str, usize)> {
    let rest = text.get(at..)?;
    let len = rest.find(' ').unwrap_or(rest.len());
    (len > 0).then(|| (&rest[..len], (at + len + 1).min(text.len())))
}

fn rfc5424(draft: &mut Draft, vocabulary: &Vocabulary, zone: &TimeZone, span: Span) -> Option<Content> {
    let known = vocabulary.known;
    let text = draft.str(span);
    let (stamp, at) = word(text, 0)?;
    let time = match stamp {
        "-" => None,
        stamp => {
            let (clock, len) = date::iso(stamp)?;
            (len == stamp.len()).then(|| clock.resolve(draft.received, zone))?
        }
    };
    let mut words = [Span::default(); 4];
    let mut next = at;
    for slot in &mut words {
        let (text, behind) = word(text, next)?;
        *slot = span.part(next..next + text.len());
        next = behind;
    }
    let (data, message) = structured_data(text, next)?;
    let mut message = span.part(message..text.len());
    if draft.str(message).starts_with('\u{feff}') {
        message = message.part(3..message.len as usize);
    }
    let nil = |draft: &Draft, span: Span| (draft.str(span) != "-").then_some(span);
    let [host, program, process, id] = words.map(|span| nil(draft, span));
    draft.time = time;
    for (sym, value) in [(known.host, host), (known.process_name, program), (known.msgid, id)] {
        if let Some(value) = value {
            draft.add(sym, Val::Str(value));
        }
    }
    if let Some(process) = process {
        match draft.str(process).parse() {
            Ok(pid) => draft.add(known.process_pid, Val::Int(pid)),
            Err(_) => draft.add(known.procid, Val::Str(process)),
        }
    }
    for (element, name, value) in data {
        let (element, name, value) = (span.part(element), span.part(name), span.part(value));
        let (id, key) = (draft.str(element).to_owned(), draft.str(name).to_owned());
        let name = draft.name(vocabulary, &["log.syslog.structured_data.", &id, ".", &key]);
        let value = if draft.str(value).contains('\\') {
            let plain = unescape(draft.str(value));
            draft.append(&plain)
        } else {
            value
        };
        draft.push(name, Val::Str(value), false);
    }
    Some(Content { message, program })
}

type Param = (std::ops::Range<usize>, std::ops::Range<usize>, std::ops::Range<usize>);

/// The parameters of the structured data at `at` (element id, name, value), and where the message begins.
fn structured_data(text: &str, mut at: usize) -> Option<(Vec<Param>, usize)> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    if bytes.get(at) == Some(&b'-') {
        at += 1;
    } else {
        while bytes.get(at) == Some(&b'[') {
            at += 1;
            let id = at;
            while !matches!(bytes.get(at)?, b' ' | b']') {
                at += 1;
            }
            let id = id..at;
            loop {
                while bytes.get(at) == Some(&b' ') {
                    at += 1;
                }
                if bytes.get(at) == Some(&b']') {
                    at += 1;
                    break;
                }
                let name = at;
                while *bytes.get(at)? != b'=' {
                    at += 1;
                }
                let name = name..at;
                if bytes.get(at + 1) != Some(&b'"') {
                    return None;
                }
                at += 2;
                let value = at;
                while *bytes.get(at)? != b'"' {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                if found.len() < 256 {
                    found.push((id.clone(), name, value..at));
                }
                at += 1;
            }
        }
    }
    match bytes.get(at) {
        None => Some((found, at)),
        Some(b' ') => Some((found, at + 1)),
        Some(_) => None,
    }
}

fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        plain.push(if char == '\\' { chars.next().unwrap_or('\\') } else { char });
    }
    plain
}

fn rfc3164(
    draft: &mut Draft,
    vocabulary: &Vocabulary,
    zone: &TimeZone,
    span: Span,
    has_priority: bool,
) -> Option<Content> {
    let known = vocabulary.known;
    let text = draft.str(span);
    let mut at = 0;
    let mut time = None;
    let mut host = None;
    // Cisco marks an unsynchronised clock with `*` or `.`.
    let stamp = text.trim_start_matches(['*', '.']);
    let marks = text.len() - stamp.len();
    let bsd = date::syslog(stamp);
    // Without <PRI>, only what rsyslog writes: a `T` between date and time.
    let is_bare_iso = bsd.is_none() && !has_priority;
    let found =
        bsd.or_else(|| date::iso(stamp).filter(|(_, len)| *len > 10 && (has_priority || stamp.as_bytes()[10] == b'T')));
    if let Some((clock, len)) = found {
        let behind = marks + len;
        time = clock.resolve(draft.received, zone);
        time?;
        let rest = &text[behind..];
        at = text.len() - rest.strip_prefix(": ").or(rest.strip_prefix(' ')).or(rest.is_empty().then_some(rest))?.len();
        let (word, next) = word(text, at).unwrap_or(("", at));
        // No host: the tag comes at once.
        let is_tag = word.ends_with(':') || word.ends_with(']') || word.contains('[') && !word.starts_with('[');
        if !word.is_empty() && !is_tag && is_host(word) {
            host = Some(span.part(at..at + word.len()));
            at = next;
        } else if !has_priority && tag(text, at).is_none() {
            return None;
        }
    } else if !has_priority {
        return None;
    }
    let tag = tag(text, at);
    if is_bare_iso && tag.is_none() && host.is_some_and(|host| is_no_host(draft.str(host))) {
        return None;
    }
    let message = span.part(tag.as_ref().map_or(at, |tag| tag.behind)..text.len());
    let program = tag.as_ref().map(|tag| span.part(tag.program.clone()));
    let process = tag.and_then(|tag| tag.process).map(|process| span.part(process));
    draft.time = time;
    if let Some(host) = host {
        draft.add(known.host, Val::Str(host));
    }
    if let Some(program) = program {
        draft.add(known.process_name, Val::Str(base(draft, program)));
    }
    if let Some(process) = process {
        match draft.str(process).parse() {
            Ok(pid) => draft.push(Name::Sym(known.process_pid), Val::Int(pid), false),
            Err(_) => draft.add(known.procid, Val::Str(process)),
        }
    }
    Some(Content { message, program })
}

fn is_host(word: &str) -> bool {
    word.len() <= 255 && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:%/".contains(&byte))
}

/// What programs write behind an ISO date in logs of their own: a level, or the number of a thread or process.
fn is_no_host(word: &str) -> bool {
    const LEVELS: [&str; 12] = [
        "TRACE", "DEBUG", "INFO", "NOTE", "NOTICE", "WARN", "WARNING", "ERROR", "CRITICAL", "SEVERE", "FATAL", "PANIC",
    ];
    word.bytes().all(|byte| byte.is_ascii_digit()) || LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word))
}

struct Tag {
    program: std::ops::Range<usize>,
    process: Option<std::ops::Range<usize>>,
    behind: usize,
}

/// `program[pid]: `, `program: `, `program(module)[pid]: `.
fn tag(text: &str, at: usize) -> Option<Tag> {
    let bytes = text.as_bytes();
    let mut end = at;
    while let Some(byte) = bytes.get(end)
        && (byte.is_ascii_alphanumeric() || b"-_./()@+#".contains(byte))
        && end - at <= 128
    {
        end += 1;
    }
    // `CEF:0|…` and `LEEF:1.0|…` are content, not a tag.
    if end == at || text[at..].starts_with("CEF:") || text[at..].starts_with("LEEF:") {
        return None;
    }
    let mut behind = end;
    let mut process = None;
    if bytes.get(end) == Some(&b'[') {
        let close = end + text[end..].find(']')?;
        if close - end > 64 {
            return None;
        }
        process = Some(end + 1..close);
        behind = close + 1;
    }
    if bytes.get(behind) == Some(&b':') {
        behind += 1;
    } else if process.is_none() {
        return None;
    }
    behind += usize::from(bytes.get(behind) == Some(&b' '));
    Some(Tag { program: at..end, process, behind })
}

/// The program's name without its path and without a PAM module.
fn base(draft: &Draft, span: Span) -> Span {
    let text = draft.str(span);
    let end = text.find('(').filter(|at| *at > 0).unwrap_or(text.len());
    let start = if text.starts_with('/') { text[..end].rfind('/').map_or(0, |at| at + 1) } else { 0 };
    span.part(start..end.max(start))
}
