//! `vedette tail`: a live search of the running server.
//!
//! The server sends events as it stores them (server-sent events). Whoever reads too slowly is told how much was left out, and a
//! server that is restarted is waited for. Standard output has nothing but events; what was not shown is said on standard error.

use std::{
    io::{self, BufRead, Write},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::Context;
use hyper::Method;
use serde_json::{Map, Value};
use vedette_event::Time;

use super::hunt;
use crate::{
    Outcome,
    cli::{LineFormat, TailArgs},
    client::{Body, Client, Refusal, percent},
    config,
    node::maintenance::now,
    output::{counted, printable, text},
};

/// Between two attempts to find the server again.
const RETRY: Duration = Duration::from_millis(500);
/// A message that was waited for so long was not there before.
const WAITED: Duration = Duration::from_millis(10);

/// Runs the command until it is interrupted, or has shown as many events as were wanted.
pub fn run(args: TailArgs) -> anyhow::Result<Outcome> {
    let dir = config::data_dir(args.data.data.as_deref(), None);
    let dir = if args.data.config.is_some() { config::open(&args.data)?.0 } else { dir };
    let encoded: String = args.query.bytes().map(percent).collect();
    let path = format!("/api/v1/events/tail?query={encoded}");
    let mut left = args.count;
    let mut stream = match connect(&dir, &path) {
        Ok(Some(stream)) => stream,
        Ok(None) => {
            config::must_exist(&dir)?;
            anyhow::bail!(
                "no server runs on {}: start it with `vedette up`, or name its folder with --data",
                dir.display()
            )
        }
        Err(error) => {
            return Err(match error.downcast_ref::<Refusal>() {
                Some(refusal) if !refusal.diagnostics.is_empty() => {
                    hunt::wrong(&args.query, &refusal.diagnostics).into()
                }
                _ => error,
            });
        }
    };
    loop {
        let Some(since) = show(&mut stream, args.output, &mut left)? else { return Ok(Outcome::Fine) };
        eprintln!("vedette: the server has gone; waiting for it");
        stream = reconnect(&dir, &path);
        eprintln!(
            "vedette: the server is back; events since {since} may not have been shown, `vedette hunt --from {since}` finds them"
        );
    }
}

/// The stream of events, if a server runs on this folder.
fn connect(dir: &Path, path: &str) -> anyhow::Result<Option<Events>> {
    let Some(mut client) = Client::connect(dir)? else { return Ok(None) };
    let body = client.send(Method::GET, path, None)?;
    Ok(Some(Events { body, _client: client }))
}

/// Waits for the server. Why it does not answer is said once for each reason.
fn reconnect(dir: &Path, path: &str) -> Events {
    let mut said = String::new();
    loop {
        thread::sleep(RETRY);
        match connect(dir, path) {
            Ok(Some(stream)) => return stream,
            Ok(None) => {}
            Err(error) => {
                let why = crate::output::with_causes(&error);
                if why != said {
                    eprintln!("vedette: {why}");
                    said = why;
                }
            }
        }
    }
}

/// Prints events until as many as wanted were shown, or the server has gone: then it says since when events may be missing.
fn show(events: &mut Events, format: LineFormat, left: &mut Option<u64>) -> anyhow::Result<Option<Time>> {
    if *left == Some(0) {
        return Ok(None);
    }
    let mut out = io::stdout().lock();
    // Everything before was read. Who has to wait for the next message has read all of them.
    let mut complete_until = now();
    loop {
        let (asked, began) = (now(), Instant::now());
        let message = events.next()?;
        if began.elapsed() >= WAITED {
            complete_until = asked;
        }
        let Some(message) = message else { return Ok(Some(complete_until)) };
        match message {
            Message::Event(event) => {
                match format {
                    LineFormat::Json => writeln!(out, "{}", serde_json::to_string(&event)?)?,
                    LineFormat::Text => writeln!(out, "{}", line(&event))?,
                }
                out.flush()?;
                if let Some(left) = left {
                    *left -= 1;
                    if *left == 0 {
                        return Ok(None);
                    }
                }
            }
            Message::Gap(batches) => {
                eprintln!(
                    "vedette: {} (of up to 1,024 events each) went by faster than they could be shown, until {}; `vedette hunt` finds them",
                    counted(batches, "batch"),
                    now()
                );
            }
            Message::Alive => {}
        }
    }
}

/// One event for people: when, where, what, and its text.
fn line(event: &Map<String, Value>) -> String {
    let cell = |name: &str| printable(&text(event.get(name)));
    let or_dash = |cell: String| if cell.is_empty() { "-".to_owned() } else { cell };
    format!(
        "{}  {}  {}  {}",
        cell("@timestamp"),
        or_dash(cell("host.name")),
        or_dash(cell("event.dataset")),
        cell("event.original")
    )
}

/// What the server sends.
#[derive(Debug, PartialEq)]
enum Message {
    Event(Map<String, Value>),
    /// So many batches were left out.
    Gap(u64),
    /// Nothing, so that both know that the other is there.
    Alive,
}

/// Server-sent events ([WHATWG HTML §9.2](https://html.spec.whatwg.org/multipage/server-sent-events.html)).
struct Events {
    body: Body,
    /// The connection lives as long as it.
    _client: Client,
}

impl Events {
    /// The next message; none when the server has gone.
    fn next(&mut self) -> anyhow::Result<Option<Message>> {
        next(&mut self.body)
    }
}

fn next(body: &mut impl BufRead) -> anyhow::Result<Option<Message>> {
    let (mut kind, mut data, mut line) = (String::new(), String::new(), Vec::new());
    loop {
        line.clear();
        // An answer that is cut off is a server that has gone.
        match body.read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return Ok(None),
            Ok(_) if line.last() != Some(&b'\n') => return Ok(None),
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() {
            match kind.as_str() {
                "event" => {
                    let event = serde_json::from_str(&data).context("an event of the server is not JSON")?;
                    return Ok(Some(Message::Event(event)));
                }
                "gap" => {
                    let gap: Value = serde_json::from_str(&data).context("a gap of the server is not JSON")?;
                    return Ok(Some(Message::Gap(gap["missed_batches"].as_u64().unwrap_or_default())));
                }
                // A comment, or what a newer server sends.
                _ => return Ok(Some(Message::Alive)),
            }
        } else if let Some(value) = text.strip_prefix("event:") {
            kind = value.trim_start_matches(' ').to_owned();
        } else if let Some(value) = text.strip_prefix("data:") {
            if !data.is_empty() {
                data.push('\n');
            }
            data.push_str(value.strip_prefix(' ').unwrap_or(value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_from_a_stream() {
        let stream = ":\n\nevent: event\ndata: {\"a\":1}\n\nevent: gap\ndata: {\"missed_batches\":3}\n\n\
            event: other\ndata: {}\n\nevent:event\r\ndata:{\"b\":\ndata: 2}\r\n\r\nevent: event\ndata: {\"cut\":";
        let mut stream = stream.as_bytes();
        let mut read = Vec::new();
        while let Some(message) = next(&mut stream).expect("readable") {
            read.push(message);
        }
        let event = |text: &str| Message::Event(serde_json::from_str(text).expect("readable"));
        let alive = Message::Alive;
        assert_eq!(read, [alive, event("{\"a\":1}"), Message::Gap(3), Message::Alive, event("{\"b\":2}")]);
        assert!(next(&mut "event: event\ndata: nothing\n\n".as_bytes()).is_err());
    }

    #[test]
    fn a_line_moves_no_cursor() {
        let event = serde_json::json!({"@timestamp": "2026-11-21T00:00:00Z", "event.original": "a\u{1b}[2Jb\nc"});
        let Value::Object(event) = event else { panic!("an object") };
        assert_eq!(line(&event), "2026-11-21T00:00:00Z  -  -  a\u{fffd}[2Jb\u{fffd}c");
    }
}
