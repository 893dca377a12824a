//! Everything that is text: lines, JSON in its layouts, Zeek's tables.

use std::{collections::VecDeque, convert::Infallible, io};

use serde::de::IgnoredAny;
use vedette_event::Reason;

use super::{Format, ImportError, Item, Place, input::Input, zeek::Table};
use crate::receive::{
    json_elements::{Element, Elements, Layout},
    lines::{Line, Lines},
};

const PIECE: usize = 64 << 10;
/// Short rows become long records, because each gets the header's names: fewer of them are made at a time.
const TABLE_PIECE: usize = 4 << 10;

pub(super) fn records(input: Input, name: &str, format: Format, limit: usize) -> Box<dyn Iterator<Item = Item> + Send> {
    let cutter = match format {
        Format::JsonArray => Cutter::Elements(Elements::new(Layout::Array, limit)),
        Format::CloudTrail => Cutter::Elements(Elements::new(Layout::InsideArray, limit)),
        Format::Json => Cutter::Elements(Elements::new(Layout::Sequence, limit)),
        Format::Ndjson => Cutter::Lines(Lines::new(limit), Reading::Json),
        Format::ZeekTsv => Cutter::Lines(Lines::new(limit), Reading::Zeek(Box::default())),
        Format::Lines | Format::Evtx => Cutter::Lines(Lines::new(limit), Reading::Plain),
    };
    let out = Out { name: name.to_owned(), number: 0, limit, ready: VecDeque::new() };
    let piece = if format == Format::ZeekTsv { TABLE_PIECE } else { PIECE };
    Box::new(Text { input: Some(input), cutter, out, piece: vec![0; piece] })
}

enum Cutter {
    Lines(Lines, Reading),
    Elements(Elements),
}

/// What a line is.
enum Reading {
    Plain,
    Json,
    Zeek(Box<Table>),
}

struct Text {
    /// Gone at its end.
    input: Option<Input>,
    cutter: Cutter,
    out: Out,
    piece: Vec<u8>,
}

struct Out {
    name: String,
    /// Of the line or element, from 1.
    number: u64,
    limit: usize,
    ready: VecDeque<Item>,
}

impl Iterator for Text {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        loop {
            if let Some(item) = self.out.ready.pop_front() {
                return Some(item);
            }
            let input = self.input.as_mut()?;
            let out = &mut self.out;
            match input.read(&mut self.piece) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(count) if count > 0 => {
                    let piece = &self.piece[..count];
                    let Ok(()) = match &mut self.cutter {
                        Cutter::Lines(lines, reading) => lines.push(piece, |line| out.line(line, reading)),
                        Cutter::Elements(elements) => elements.push(piece, |element| out.element(element)),
                    };
                }
                ended => {
                    self.input = None;
                    let Ok(()) = match &mut self.cutter {
                        Cutter::Lines(lines, reading) => lines.finish(|line| out.line(line, reading)),
                        Cutter::Elements(elements) => elements.finish(|element| out.element(element)),
                    };
                    if let Err(error) = ended {
                        let message = format!("the rest cannot be read: {error}");
                        out.ready.push_back(Err(out.error(Place::File, Reason::Truncated, message)));
                    }
                }
            }
        }
    }
}

impl Out {
    fn line(&mut self, line: Line<'_>, reading: &mut Reading) -> Result<(), Infallible> {
        self.number += 1;
        let place = Place::Line(self.number);
        let line = match line {
            Line::TooLong => {
                self.ready.push_back(Err(self.too_long(place)));
                return Ok(());
            }
            Line::Whole([]) => return Ok(()),
            Line::Whole(line) => line,
        };
        match reading {
            Reading::Plain => self.ready.push_back(Ok(line.to_vec())),
            Reading::Json => self.object(place, line),
            Reading::Zeek(table) => match table.line(line) {
                None => {}
                Some(Ok(record)) if record.len() > self.limit => self.ready.push_back(Err(self.too_long(place))),
                Some(Ok(record)) => self.ready.push_back(Ok(record)),
                Some(Err(message)) => self.ready.push_back(Err(self.error(place, Reason::Malformed, message))),
            },
        }
        Ok(())
    }

    fn element(&mut self, element: Element<'_>) -> Result<(), Infallible> {
        self.number += 1;
        let place = Place::Element(self.number);
        match element {
            Element::Whole(element) => self.object(place, element),
            Element::TooLong => self.ready.push_back(Err(self.too_long(place))),
            Element::Garbage => {
                let message = "no JSON value can begin here, or it is not complete".to_owned();
                self.ready.push_back(Err(self.error(place, Reason::Malformed, message)));
            }
        }
        Ok(())
    }

    fn object(&mut self, place: Place, text: &[u8]) {
        if text.trim_ascii().is_empty() {
            return;
        }
        let item = match serde_json::from_slice::<IgnoredAny>(text) {
            Err(error) => Err(self.error(place, Reason::Malformed, format!("not valid JSON: {error}"))),
            Ok(_) if text.trim_ascii_start().first() != Some(&b'{') => {
                Err(self.error(place, Reason::Malformed, "not a JSON object".to_owned()))
            }
            Ok(_) => Ok(text.to_vec()),
        };
        self.ready.push_back(item);
    }

    fn too_long(&self, place: Place) -> ImportError {
        self.error(place, Reason::TooLarge, format!("longer than {} bytes", self.limit))
    }

    fn error(&self, place: Place, reason: Reason, message: String) -> ImportError {
        ImportError { file: self.name.clone(), place, reason, message }
    }
}
