//! CSV (RFC 4180) with a header, as feeds write it.
//!
//! The header is the first line, or a comment (abuse.ch), whose names are known ([`columns`]); the separator is what it uses. Quoted cells may
//! have blanks around them and line ends within. A row may have several values (MD5, SHA-1, SHA-256): each is an indicator.

use std::io::BufRead;

use vedette_event::{Diagnostic, Time};

use super::{
    Desk,
    columns::{self, Column, Typed},
    lines::{Line, Lines},
    times,
};
use crate::{Indicator, Kind, Observable, Unfit, normal};

/// A row ends after this many lines, whatever its quotes say.
const MAX_ROW_LINES: usize = 20;
const MAX_ROW_BYTES: usize = 64 << 10;
/// Most cells of a row.
const MAX_CELLS: usize = 256;

pub(super) fn read(input: impl BufRead, desk: &mut Desk<'_>) -> Result<(), Diagnostic> {
    let mut lines = Lines::new(input);
    let mut header: Option<(Vec<Option<Column>>, char)> = None;
    loop {
        let number = lines.number() + 1;
        let mut row = match next_line(&mut lines, desk)? {
            None => return Ok(()),
            Some(Next::Skipped) => continue,
            Some(Next::Line(line)) => line,
        };
        let trimmed = row.trim();
        if trimmed.is_empty() {
            desk.pass("blank line");
            continue;
        }
        if trimmed.starts_with('#') {
            if let Some(found) = columns::header(trimmed) {
                header = Some(found);
            }
            desk.pass("comment");
            continue;
        }
        let Some((columns, separator)) = &header else {
            match columns::header(trimmed) {
                Some(found) => {
                    header = Some(found);
                    desk.pass("header");
                    continue;
                }
                None => return Err(desk.broken(number, "no header whose names are known stands before the first row")),
            }
        };
        let mut cells = split(&row, *separator);
        let mut more = 1;
        while cells.is_none() && more < MAX_ROW_LINES && row.len() < MAX_ROW_BYTES {
            more += 1;
            match next_line(&mut lines, desk)? {
                None => break,
                Some(Next::Skipped) => break,
                Some(Next::Line(line)) => {
                    row.push('\n');
                    row.push_str(&line);
                    if line.contains('"') {
                        cells = split(&row, *separator);
                    }
                }
            }
        }
        match cells {
            None => desk.refuse(number, &row, "a quote that does not end within the row"),
            // abuse.ch's files end with a comment that says how many rows there were; MISP's repeat the header.
            Some(cells)
                if cells.first().is_some_and(|cell| columns::column(cell).is_some())
                    && columns::header(&row).is_some() =>
            {
                desk.pass("header");
            }
            Some(cells) => take_row(number, columns, &cells, desk),
        }
    }
}

enum Next {
    Line(String),
    Skipped,
}

fn next_line(lines: &mut Lines<impl BufRead>, desk: &mut Desk<'_>) -> Result<Option<Next>, Diagnostic> {
    let number = lines.number() + 1;
    match lines.next() {
        Err(error) => Err(desk.broken(number, format!("cannot read: {error}"))),
        Ok(None) => Ok(None),
        Ok(Some(Line::TooLong)) => {
            desk.refuse(number, "", "a line longer than 64 KiB");
            Ok(Some(Next::Skipped))
        }
        Ok(Some(Line::Text(line))) => Ok(Some(Next::Line(line.into_owned()))),
    }
}

/// The cells of a row; none if a quote does not end, or there are too many.
fn split(row: &str, separator: char) -> Option<Vec<String>> {
    let mut cells = Vec::new();
    let mut rest = row;
    loop {
        if cells.len() >= MAX_CELLS {
            return None;
        }
        let trimmed = rest.trim_start_matches(' ');
        let (cell, behind) = match trimmed.strip_prefix('"') {
            Some(quoted) => {
                let (cell, behind) = unquoted(quoted)?;
                // What stands between the quote and the next separator is no part of anything.
                (cell, behind.find(separator).map(|at| &behind[at + separator.len_utf8()..]))
            }
            None => match rest.split_once(separator) {
                Some((cell, behind)) => (cell.trim().to_owned(), Some(behind)),
                None => (rest.trim().to_owned(), None),
            },
        };
        cells.push(cell);
        match behind {
            Some(behind) => rest = behind,
            None => return Some(cells),
        }
    }
}

/// What stands before the closing quote, and what behind it.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut cell = String::new();
    let mut rest = text;
    loop {
        let (before, behind) = rest.split_once('"')?;
        cell.push_str(before);
        match behind.strip_prefix('"') {
            Some(behind) => {
                cell.push('"');
                rest = behind;
            }
            None => return Some((cell, behind)),
        }
    }
}

fn take_row(line: u32, columns: &[Option<Column>], cells: &[String], desk: &mut Desk<'_>) {
    let of = |wanted: Column| {
        let named = columns.iter().zip(cells).filter(move |(column, _)| **column == Some(wanted));
        named.map(|(_, cell)| cell.trim()).find(|cell| says_something(cell))
    };
    if of(Column::ToIds).is_some_and(|flag| matches!(flag, "0" | "false" | "False")) {
        desk.pass("not for detection");
        return;
    }
    let time = |column: Column| match of(column) {
        None => Ok(None),
        Some(text) => times::read(text),
    };
    let (Ok(from), Ok(until)) = (time(Column::From), time(Column::Until)) else {
        let what = of(Column::From).or(of(Column::Until)).unwrap_or("");
        desk.refuse(line, what, "a time that cannot be read");
        return;
    };
    let typed = match of(Column::Type) {
        None => None,
        Some(word) => match columns::typed(word) {
            Some(typed) => Some(typed),
            None => {
                desk.refuse(line, word, &format!("no look-up for the type `{}`", super::shortened(word, 40)));
                return;
            }
        },
    };
    let confidence = match of(Column::Confidence).map(confidence) {
        None => desk.feed.confidence,
        Some(Some(confidence)) => confidence,
        Some(None) => {
            desk.refuse(line, of(Column::Confidence).unwrap_or(""), "a confidence that is not 0 to 100");
            return;
        }
    };
    let common = Common {
        from,
        until,
        confidence,
        port: of(Column::Port).and_then(normal::port),
        name: of(Column::Name).unwrap_or("").to_owned(),
        labels: columns
            .iter()
            .zip(cells)
            .filter(|(column, cell)| **column == Some(Column::Labels) && says_something(cell))
            .flat_map(|(_, cell)| cell.split([',', ';', ' ']).map(|label| label.trim().to_owned()))
            .filter(|label| !label.is_empty())
            .collect(),
        reference: of(Column::Reference).unwrap_or("").to_owned(),
    };
    let mut has_value = false;
    for (column, cell) in columns.iter().zip(cells) {
        let (Some(column), cell) = (column, cell.trim()) else { continue };
        if !column.is_value() || !says_something(cell) {
            continue;
        }
        has_value = true;
        // A type column speaks of the general column only.
        let read = match (column, typed) {
            (Column::Value, Some(Typed::Composite)) => {
                composite(of(Column::Type).unwrap_or(""), cell).map_err(|unfit| (cell, unfit))
            }
            (Column::Value, Some(typed)) => read_typed(typed, cell).map(|one| vec![one]).map_err(|unfit| (cell, unfit)),
            (Column::Of(kind), _) => {
                read_typed(Typed::Of(*kind), cell).map(|one| vec![one]).map_err(|unfit| (cell, unfit))
            }
            (Column::Hash, _) => read_typed(Typed::Hash, cell).map(|one| vec![one]).map_err(|unfit| (cell, unfit)),
            (Column::Host, _) => read_typed(Typed::Host, cell).map(|one| vec![one]).map_err(|unfit| (cell, unfit)),
            _ => Observable::guess(cell).map(|one| vec![one]).map_err(|unfit| (cell, unfit)),
        };
        match read {
            Ok(all) => all.into_iter().for_each(|(observable, port)| common.take(observable, port, desk)),
            Err((what, unfit)) => desk.unfit(line, what, unfit),
        }
    }
    if !has_value {
        desk.refuse(line, "", "a row without a value");
    }
}

/// What all indicators of a row share.
struct Common {
    from: Option<Time>,
    until: Option<Time>,
    confidence: u8,
    port: Option<u16>,
    name: String,
    labels: Vec<String>,
    reference: String,
}

impl Common {
    fn take(&self, observable: Observable, port: Option<u16>, desk: &mut Desk<'_>) {
        let mut indicator = Indicator::new(desk.feed, observable);
        let has_port = matches!(indicator.observable.kind(), Kind::Address | Kind::Domain | Kind::Network);
        indicator.port = port.or(self.port).filter(|_| has_port);
        indicator.confidence = self.confidence;
        indicator.name.clone_from(&self.name);
        indicator.labels.clone_from(&self.labels);
        indicator.reference.clone_from(&self.reference);
        indicator.holds(desk.feed, self.from, self.until);
        desk.take(indicator);
    }
}

fn says_something(cell: &str) -> bool {
    let cell = cell.trim();
    !(cell.is_empty() || ["-", "none", "null", "n/a", "na"].iter().any(|nothing| cell.eq_ignore_ascii_case(nothing)))
}

/// A number from 0 to 100, or a word.
pub(super) fn confidence(text: &str) -> Option<u8> {
    match text.trim().trim_end_matches('%').to_ascii_lowercase().as_str() {
        "high" => Some(85),
        "medium" => Some(50),
        "low" => Some(15),
        number => number.parse::<f64>().ok().filter(|number| (0.0..=100.0).contains(number)).map(|number| number as u8),
    }
}

/// One value, and the port behind it.
pub(super) fn read_typed(typed: Typed, text: &str) -> Result<(Observable, Option<u16>), Unfit> {
    let plain = normal::refang(text);
    match typed {
        Typed::Of(kind @ (Kind::Address | Kind::Network)) => match normal::address_and_port(&plain) {
            Some(_) => Observable::guess(&plain),
            None => Observable::read(kind, &plain).map(|observable| (observable, None)),
        },
        Typed::Of(kind) => Observable::read(kind, text).map(|observable| (observable, None)),
        Typed::AddressPort => match normal::address_and_port(&plain) {
            Some(_) => Observable::guess(&plain),
            None => Err(Unfit::Address),
        },
        Typed::Hash => {
            let kind = Kind::of_hash_digits(plain.len()).ok_or(Unfit::Hash)?;
            Observable::read(kind, &plain).map(|observable| (observable, None))
        }
        Typed::Host | Typed::Composite => {
            let guessed = Observable::guess(&plain)?;
            match guessed.0.kind() {
                Kind::Address | Kind::Network | Kind::Domain => Ok(guessed),
                _ => Err(Unfit::Domain),
            }
        }
    }
}

/// MISP's values of two parts: `ip-dst|port`, `domain|ip`, `filename|sha256`, `malware-sample`.
pub(super) fn composite(word: &str, text: &str) -> Result<Vec<(Observable, Option<u16>)>, Unfit> {
    let word = word.trim().to_ascii_lowercase();
    let halves = text.rsplit_once('|');
    match word.as_str() {
        "ip-src|port" | "ip-dst|port" | "hostname|port" => {
            let Some((host, port)) = halves else { return read_typed(Typed::Host, text).map(|one| vec![one]) };
            let port = normal::port(port.trim()).ok_or(Unfit::Address)?;
            let (host, _) = read_typed(Typed::Host, host)?;
            Ok(vec![(host, Some(port))])
        }
        "domain|ip" => {
            let (domain, address) = halves.ok_or(Unfit::Domain)?;
            Ok(vec![read_typed(Typed::Of(Kind::Domain), domain)?, read_typed(Typed::Of(Kind::Address), address)?])
        }
        _ => {
            let (_, hash) = halves.ok_or(Unfit::Hash)?;
            let typed = match word.strip_prefix("filename|") {
                None => Typed::Of(Kind::Md5),
                Some(hash) => columns::typed(hash)
                    .filter(|typed| matches!(typed, Typed::Of(kind) if kind.is_hash()))
                    .ok_or(Unfit::Hash)?,
            };
            read_typed(typed, hash).map(|one| vec![one])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_split_as_feeds_write_them() {
        for (row, want) in [
            ("a,b,,d", Some("a|b||d")),
            (r#""a", "b ""c"" d", "e,f""#, Some(r#"a|b "c" d|e,f"#)),
            (r#"a,"b"#, None),
            ("\"a\nb\",c", Some("a\nb|c")),
            ("", Some("")),
            (r#"x "y" z,1"#, Some(r#"x "y" z|1"#)),
        ] {
            assert_eq!(split(row, ',').map(|cells| cells.join("|")).as_deref(), want, "{row}");
        }
        assert_eq!(split(&",".repeat(300), ','), None);
    }
}
