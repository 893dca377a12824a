//! Plain lists: a value a line.
//!
//! Comments begin with `#`, `;` or `//`, also behind a value and a space. A line of a hosts file (`0.0.0.0 evil.example`) means its names.

use std::io::BufRead;

use vedette_event::Diagnostic;

use super::{
    Desk,
    lines::{Line, Lines},
};
use crate::{Indicator, Kind, Observable, Unfit};

/// Most names in a line of a hosts file.
const MAX_NAMES: usize = 64;

pub(super) fn read(input: impl BufRead, desk: &mut Desk<'_>) -> Result<(), Diagnostic> {
    let mut lines = Lines::new(input);
    loop {
        let next_number = lines.number() + 1;
        let line = match lines.next() {
            Err(error) => return Err(desk.broken(next_number, format!("cannot read: {error}"))),
            Ok(None) => return Ok(()),
            Ok(Some(Line::TooLong)) => {
                desk.refuse(next_number, "", "a line longer than 64 KiB");
                continue;
            }
            Ok(Some(Line::Text(line))) => line,
        };
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) || line.starts_with("//") {
            desk.pass(if line.is_empty() { "blank line" } else { "comment" });
            continue;
        }
        let (value, name) = match line.split_once(|char: char| char.is_whitespace()) {
            Some((value, rest)) => (value, rest.trim_start()),
            None => (line, ""),
        };
        if matches!(value, "0.0.0.0" | "127.0.0.1" | "::" | "::1") && !name.is_empty() && !name.starts_with(['#', ';'])
        {
            let names = name.split(['#', ';']).next().unwrap_or("");
            for (place, name) in names.split_whitespace().enumerate() {
                match Observable::read(Kind::Domain, name) {
                    _ if place >= MAX_NAMES => desk.refuse(next_number, name, "more than 64 names in a line"),
                    // Every hosts file has them.
                    Err(Unfit::TopLevel) => desk.pass("local name"),
                    Ok(domain) => desk.take(Indicator::new(desk.feed, domain)),
                    Err(unfit) => desk.unfit(next_number, name, unfit),
                }
            }
            continue;
        }
        let name = name.strip_prefix(['#', ';']).or_else(|| name.strip_prefix("//")).map(str::trim);
        // Anything else behind a value would be half a table, read wrongly.
        let Some(name) = name.or_else(|| (value.len() == line.len()).then_some("")) else {
            desk.refuse(next_number, line, "more than one value in a line");
            continue;
        };
        match Observable::guess(value) {
            Ok((observable, port)) => {
                let mut indicator = Indicator::new(desk.feed, observable);
                indicator.port = port;
                indicator.name = name.to_owned();
                desk.take(indicator);
            }
            Err(unfit) => desk.unfit(next_number, value, unfit),
        }
    }
}
