//! Where in a text of YAML something stands.

use saphyr_parser::{Event, Parser, Span};
use vedette_event::Step;

/// Line and column, from 1, of what is at the end of a path, or of the last thing on the way to it that is written there.
pub fn find(text: &str, path: &[Step]) -> (u32, u32) {
    let mut events = Vec::new();
    let relevant = Parser::new_from_str(text).map_while(Result::ok);
    events.extend(
        relevant.filter(|(event, _)| !matches!(event, Event::StreamStart | Event::DocumentStart(_) | Event::Nothing)),
    );
    let mut at = 0;
    let mut found = events.first().map_or((1, 1), |(_, span)| place(*span));
    for step in path {
        let Some((name, value)) = child(&events, at, step) else { break };
        found = place(events[name].1);
        at = value;
    }
    found
}

fn place(span: Span) -> (u32, u32) {
    (span.start.line() as u32, span.start.col() as u32 + 1)
}

/// Where a child of the node at `at` is named, and where it begins.
fn child(events: &[(Event<'_>, Span)], at: usize, step: &Step) -> Option<(usize, usize)> {
    let is_map = match events.get(at)?.0 {
        Event::MappingStart(..) => true,
        Event::SequenceStart(..) => false,
        _ => return None,
    };
    let (mut next, mut index) = (at + 1, 0);
    while !matches!(events.get(next)?.0, Event::MappingEnd | Event::SequenceEnd) {
        let value = if is_map { behind(events, next)? } else { next };
        let is_it = match (step, &events[next].0) {
            (Step::Key(key), Event::Scalar(text, ..)) if is_map => text == key,
            (Step::Index(wanted), _) if !is_map => index == *wanted,
            _ => false,
        };
        if is_it {
            return Some((next, value));
        }
        (next, index) = (behind(events, value)?, index + 1);
    }
    None
}

/// The place behind the node that begins at `at`.
fn behind(events: &[(Event<'_>, Span)], mut at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    loop {
        match events.get(at)?.0 {
            Event::MappingStart(..) | Event::SequenceStart(..) => depth += 1,
            Event::MappingEnd | Event::SequenceEnd => depth = depth.checked_sub(1)?,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        let text = "# first\n\nchannels:\n- name: chat\n  slack: {url: x}\n- {name: log, syslog: {}}\nroutes:\n  - name: all\n    channels: [chat,\n      gone]\n? [odd]\n: key\nqueue: 1\n";
        let key = |key: &str| Step::from(key);
        for (path, expected) in [
            (vec![], (3, 1)),
            (vec![key("channels")], (3, 1)),
            (vec![key("channels"), 0.into()], (4, 3)),
            (vec![key("channels"), 0.into(), key("slack"), key("url")], (5, 11)),
            (vec![key("channels"), 1.into(), key("syslog")], (6, 15)),
            (vec![key("routes"), 0.into(), key("channels"), 1.into()], (10, 7)),
            // As far as it is written.
            (vec![key("channels"), 0.into(), key("rate"), key("messages")], (4, 3)),
            (vec![key("retry"), key("attempts")], (3, 1)),
            (vec![key("queue"), 3.into()], (13, 1)),
            (vec![key("routes"), 7.into()], (7, 1)),
        ] {
            assert_eq!(find(text, &path), expected, "{path:?}");
        }
        assert_eq!(find("", &[key("queue")]), (1, 1));
        assert_eq!(find("a: [", &[key("a"), 0.into()]), (1, 1));
    }
}
