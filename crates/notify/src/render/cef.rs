//! ArcSight's Common Event Format, version 0 (Implementing ArcSight CEF, revision 25).

use std::fmt::Write as _;

use vedette_event::Level;

use crate::{Notice, message::link};

/// One event, without syslog's header.
pub(super) fn event(notice: &Notice, console: Option<&str>) -> String {
    let severity = match notice.level() {
        Level::Informational => 1,
        Level::Low => 3,
        Level::Medium => 5,
        Level::High => 8,
        Level::Critical => 10,
    };
    let mut event = format!(
        "CEF:0|Vedette|Vedette|{}|{}|{}|{severity}|",
        env!("CARGO_PKG_VERSION"),
        header(&notice.rule.id),
        header(&notice.rule.title)
    );
    let milliseconds = |time: vedette_event::Time| time.micros().div_euclid(1000).to_string();
    let mut fields: Vec<(&str, String)> = vec![
        ("rt", milliseconds(notice.time)),
        ("start", milliseconds(notice.first)),
        ("end", milliseconds(notice.last)),
        ("cnt", notice.count.to_string()),
        ("act", notice.what.to_string()),
        ("externalId", notice.subject.number().to_string()),
    ];
    // The keys that receivers know; each once, the entity that it is about first.
    for entity in std::iter::once(&notice.entity).chain(&notice.entities) {
        let key = match entity.kind.as_str() {
            "ip" if entity.value.contains(':') => "c6a2",
            "ip" => "src",
            "user" => "suser",
            "host" => "dvchost",
            "process" => "sproc",
            "file" => "fname",
            "domain" => "destinationDnsDomain",
            _ => continue,
        };
        if !fields.iter().any(|(known, _)| *known == key) {
            fields.push((key, entity.value.clone()));
            if key == "c6a2" {
                fields.push(("c6a2Label", "Source IPv6 Address".into()));
            }
        }
    }
    for (key, label, value) in [
        ("cs1", "entity", Some(format!("{}:{}", notice.entity.kind, notice.entity.value))),
        ("cs2", "techniques", Some(notice.rule.techniques.join(" ")).filter(|text| !text.is_empty())),
        ("cs3", "verdict", notice.verdict.map(|verdict| verdict.to_string())),
        ("cs4", "link", link(notice, console)),
    ] {
        if let Some(value) = value {
            fields.push((key, value));
            fields.push((labels(key), label.to_owned()));
        }
    }
    if let Some(note) = &notice.note {
        fields.push(("msg", note.clone()));
    }
    for (number, (key, value)) in fields.iter().enumerate() {
        let gap = if number == 0 { "" } else { " " };
        // Writing to a string cannot fail.
        write!(event, "{gap}{key}={}", extension(value)).unwrap_or_default();
    }
    event
}

fn labels(key: &str) -> &'static str {
    match key {
        "cs1" => "cs1Label",
        "cs2" => "cs2Label",
        "cs3" => "cs3Label",
        _ => "cs4Label",
    }
}

/// In the header a pipe and a backslash are escaped, and there are no line ends.
fn header(text: &str) -> String {
    crate::text::one_line(text).replace('\\', "\\\\").replace('|', "\\|")
}

/// In an extension a backslash, an equals sign and line ends are escaped. Other control characters are replaced.
fn extension(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '=' => out.push_str("\\="),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            c => out.push_str(&crate::text::one_line(c.encode_utf8(&mut [0; 4]))),
        }
    }
    out
}
