//! journald's JSON export (`journalctl -o json`, systemd.journal-fields(7)).

use vedette_event::Time;

use super::{Content, syslog::LEVELS};
use crate::parse::{
    draft::{Draft, Span, Val},
    vocabulary::Vocabulary,
};

/// Maps an already flattened record if it is journald's; `None`, and nothing changed, otherwise.
pub(crate) fn read(draft: &mut Draft, vocabulary: &Vocabulary, from: usize) -> Option<Content> {
    let known = vocabulary.known;
    let stamped =
        draft.has(known.journal_time) || draft.has(known.journal_boot) || draft.has(known.journal_source_time);
    let named = draft.has(known.journal_message) && draft.has(known.journal_identifier);
    if !stamped && !named {
        return None;
    }
    let micros = [known.journal_source_time, known.journal_time].into_iter().find_map(|sym| number(draft, sym));
    draft.time = micros.map(Time::from_micros);
    let program = draft.text_of(known.journal_identifier).or_else(|| draft.text_of(known.journal_comm));
    let message = message(draft, vocabulary);
    for (sym, name) in [
        (known.host, known.journal_host),
        (known.executable, known.journal_exe),
        (known.command_line, known.journal_cmdline),
        (known.user_id, known.journal_uid),
    ] {
        if let Some(value) = draft.get(name) {
            draft.add(sym, value);
        }
    }
    if let Some(program) = program {
        draft.add(known.process_name, Val::Str(program));
    }
    if let Some(pid) = number(draft, known.journal_pid).or_else(|| number(draft, known.journal_syslog_pid)) {
        draft.add(known.process_pid, Val::Int(pid));
    }
    if let Some(severity) = number(draft, known.journal_priority)
        && let Some(level) = usize::try_from(severity).ok().and_then(|severity| LEVELS.get(severity))
    {
        draft.add(known.syslog_severity, Val::Int(severity));
        draft.add_text(known.level, level);
    }
    if let Some(facility) = number(draft, known.journal_facility) {
        draft.add(known.facility, Val::Int(facility));
    }
    // The record's own names move below `journald.`.
    for at in from..draft.slots.len() {
        if draft.slots[at].own {
            let own = draft.name_at(at, vocabulary).trim_start_matches('_').to_ascii_lowercase();
            let name = draft.name(vocabulary, &["journald.", &own]);
            draft.rename_at(at, name);
        }
    }
    Some(Content { message, program })
}

fn number(draft: &Draft, sym: crate::parse::vocabulary::Sym) -> Option<i64> {
    match draft.get(sym)? {
        Val::Int(int) => Some(int),
        Val::Str(span) => draft.str(span).parse().ok(),
        _ => None,
    }
}

/// `MESSAGE`: text, or an array of bytes where it is not printable. The field itself goes; `message` replaces it.
fn message(draft: &mut Draft, vocabulary: &Vocabulary) -> Span {
    let sym = vocabulary.known.journal_message;
    let span = match draft.get(sym) {
        Some(Val::Int(_)) => {
            let bytes: Vec<u8> = draft
                .positions(sym)
                .filter_map(|at| match draft.slots[at].value {
                    Val::Int(byte) => u8::try_from(byte).ok(),
                    _ => None,
                })
                .collect();
            draft.append(&String::from_utf8_lossy(&bytes))
        }
        Some(value) => draft.as_text(value).unwrap_or_default(),
        None => Span::default(),
    };
    draft.remove(sym);
    span
}
