//! Syslog: [RFC 5424](https://www.rfc-editor.org/rfc/rfc5424), without framing.

use vedette_event::Level;

use super::cef;
use crate::{Notice, config::SyslogFormat, ready::SyslogSettings, template::Said, text::cut};

/// A message that fits into a datagram and into what receivers take by default (rsyslog: 8 KiB).
const MAX_LINE: usize = 8000;

/// The message of a notice.
pub(super) fn line(notice: &Notice, said: Option<&Said>, console: Option<&str>, settings: &SyslogSettings) -> String {
    let severity = match notice.level() {
        Level::Critical => 2,
        Level::High => 3,
        Level::Medium => 4,
        Level::Low => 5,
        Level::Informational => 6,
    };
    let priority = settings.facility as u8 * 8 + severity;
    let message = match settings.format {
        SyslogFormat::Cef => cef::event(notice, console),
        SyslogFormat::Text => super::said_or(said).subject,
    };
    let (time, host, process) = (notice.time, &settings.hostname, std::process::id());
    let about = notice.subject.about();
    // The BOM says that the message is UTF-8 (section 6.4); CEF's receivers look for `CEF:` instead.
    let bom = if settings.format == SyslogFormat::Text { "\u{feff}" } else { "" };
    let mut line = format!("<{priority}>1 {time} {host} vedette {process} {about} - {bom}{message}");
    if line.len() > MAX_LINE {
        cut(&mut line, MAX_LINE - 3);
        // Not in the middle of an escape: a backslash before the mark would hide it.
        let whole = line.trim_end_matches('…').trim_end_matches('\\').len();
        line.truncate(whole);
        line.push('…');
    }
    line
}
