//! From a record's bytes to an event: envelope → candidates → steps → batch.

use std::{
    borrow::Cow,
    cell::{Cell, RefCell},
};

use jiff::tz::TimeZone;
use vedette_event::{BatchBuilder, Derive, Source, Time, Value};

use super::{
    Parsers,
    draft::{Draft, Span, Val},
    emit,
    envelope::{Content, journald, syslog},
    load::Parser,
    select::Candidates,
    spec::Format,
    steps::{Context, assign, lift},
};

thread_local! {
    // Buffers only, cleared for every record: no record sees another one.
    static DRAFT: RefCell<Draft> = RefCell::new(Draft::default());
}

/// Records beyond this are kept, but not parsed. Far above what the spool admits (1 MiB) and a query re-reads.
const MAX_RECORD: usize = 64 << 20;
/// A record within a record within a record: a container's line of an application's JSON, shipped by an agent.
const MAX_DEPTH: u8 = 4;

impl Derive for Parsers {
    fn derive(&self, source: &Source, seq: u64, received: Time, raw: &[u8], batch: &mut BatchBuilder) {
        batch.begin(seq, received, raw);
        let raw = trim(raw);
        if raw.len() > MAX_RECORD {
            batch.push(self.vocabulary.name(self.vocabulary.known.limits), Value::Str("record"));
            return;
        }
        let text = match std::str::from_utf8(raw) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => String::from_utf8_lossy(raw),
        };
        DRAFT.with_borrow_mut(|draft| {
            draft.begin(received, &text, &self.vocabulary);
            let parser = self.parse(source, &text, draft);
            emit::emit(draft, &self.vocabulary, &*source.receiver == "vedette", batch);
            if let Some(parser) = parser {
                batch.parser(&parser.id);
            }
        });
    }
}

/// Without the byte order mark, the line end and the padding that transports leave.
fn trim(raw: &[u8]) -> &[u8] {
    let raw = raw.strip_prefix(b"\xef\xbb\xbf").unwrap_or(raw);
    let end = raw.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r' | 0)).map_or(0, |at| at + 1);
    &raw[..end]
}

/// A record on its way.
struct Run<'a> {
    parsers: &'a Parsers,
    context: Context<'a>,
    /// What the configuration says.
    wanted: Candidates,
    /// How many records within records were opened.
    depth: Cell<u8>,
}

impl Parsers {
    fn parse(&self, source: &Source, text: &str, draft: &mut Draft) -> Option<&Parser> {
        let context = Context { vocabulary: &self.vocabulary, zone: &self.zone, moves: &self.moves };
        let mut run = Run { parsers: self, context, wanted: Candidates::default(), depth: Cell::new(0) };
        self.selector.by_source(source, &mut run.wanted);
        let whole = Span::new(0..text.len());
        let parser = run.record(draft, whole);
        if let Some(parser) = parser {
            let known = self.vocabulary.known;
            if !draft.has(known.kind) {
                draft.add_text(known.kind, "event");
            }
            for (field, values) in &parser.defaults {
                if !draft.has(*field) {
                    assign(draft, &vec![(*field, values.clone())]);
                }
            }
        }
        parser
    }
}

impl<'a> Run<'a> {
    fn record(&self, draft: &mut Draft, whole: Span) -> Option<&'a Parser> {
        let known = self.context.vocabulary.known;
        let text = draft.str(whole);
        let start = text.len() - text.trim_start().len();
        let first = text[start..].bytes().next();
        if first == Some(b'{') {
            let from = draft.slots.len();
            if draft.flatten(whole, self.context.vocabulary, "") {
                return self.flattened(draft, from);
            }
        }
        let checkpoint = draft.checkpoint();
        let zone: &TimeZone = self.context.zone;
        let maybe = first.is_some_and(|first| first == b'<' || first.is_ascii_alphanumeric() || first == b'*');
        if maybe && let Some(content) = syslog::read(draft, self.context.vocabulary, zone, whole) {
            return self.content(draft, content);
        }
        draft.rollback(checkpoint);
        draft.push(super::draft::Name::Sym(known.message), Val::Str(whole), false);
        let mut candidates = Candidates::default();
        self.wanted.as_slice().iter().for_each(|parser| candidates.add(*parser));
        self.by_shape(draft, whole, &mut candidates);
        self.parsers.selector.by_text(draft.str(whole), &mut candidates);
        self.try_all(draft, &candidates)
    }

    /// A JSON record whose fields are in the draft.
    fn flattened(&self, draft: &mut Draft, from: usize) -> Option<&'a Parser> {
        if let Some(content) = journald::read(draft, self.context.vocabulary, from) {
            return self.content(draft, content);
        }
        let mut candidates = Candidates::default();
        self.parsers.selector.by_json(draft, from, &mut candidates);
        self.wanted.as_slice().iter().for_each(|parser| candidates.add(*parser));
        if let Some(parser) = self.parsers.selector.format(Format::AnyJson) {
            candidates.add(parser);
        }
        self.try_all(draft, &candidates)
    }

    /// A message out of a syslog or journald envelope.
    fn content(&self, draft: &mut Draft, content: Content) -> Option<&'a Parser> {
        let mut owner = None;
        if let Some(parser) = self.message(draft, content, &self.wanted, &mut owner) {
            return Some(parser);
        }
        // The envelope is understood, the message is not: it keeps the data set of its program.
        if let Some(owner) = owner {
            assign(draft, &self.parsers.parsers[usize::from(owner)].defaults);
        }
        let mut last = Candidates::default();
        self.parsers.selector.format(Format::AnySyslog).into_iter().for_each(|parser| last.add(parser));
        self.try_all(draft, &last)
    }

    /// A message without its envelope. If no parser takes it, it is in the draft as `message`, and `owner` is the first parser that
    /// its program has.
    fn message(
        &self,
        draft: &mut Draft,
        content: Content,
        wanted: &Candidates,
        owner: &mut Option<u16>,
    ) -> Option<&'a Parser> {
        let known = self.context.vocabulary.known;
        let selector = &self.parsers.selector;
        let message = content.message;
        let text = draft.str(message);
        let json = text.strip_prefix("@cee:").unwrap_or(text).trim_start();
        if json.starts_with('{') {
            let span = message.part(text.len() - json.len()..text.len());
            let from = draft.slots.len();
            let checkpoint = draft.checkpoint();
            if draft.flatten(span, self.context.vocabulary, "") {
                let mut candidates = Candidates::default();
                selector.by_json(draft, from, &mut candidates);
                if let Some(parser) = selector.format(Format::AnyJson) {
                    candidates.add(parser);
                }
                if let Some(parser) = self.try_all(draft, &candidates) {
                    return Some(parser);
                }
            }
            draft.rollback(checkpoint);
        }
        draft.push(super::draft::Name::Sym(known.message), Val::Str(message), false);
        let mut candidates = Candidates::default();
        wanted.as_slice().iter().for_each(|parser| candidates.add(*parser));
        self.by_shape(draft, message, &mut candidates);
        let before = candidates.as_slice().len();
        if let Some(program) = content.program {
            selector.by_program(draft.str(program), &mut candidates);
        }
        *owner = candidates.as_slice().get(before).copied();
        if let Some(parser) = self.try_all(draft, &candidates) {
            return Some(parser);
        }
        let mut others = Candidates::default();
        selector.by_text(draft.str(message), &mut others);
        self.try_all(draft, &others)
    }

    /// What a parser has claimed may carry a record of its own: the parser that takes that one further, if there is one.
    fn carried(&self, draft: &mut Draft, parser: &Parser) -> Option<&'a Parser> {
        if parser.carries.is_empty() || self.depth.get() >= MAX_DEPTH {
            return None;
        }
        self.depth.set(self.depth.get() + 1);
        let known = self.context.vocabulary.known;
        let checkpoint = draft.checkpoint();
        let text = parser.carries.iter().find_map(|field| Some((*field, draft.text_of(*field)?)));
        let found = match text {
            Some((field, text)) => {
                draft.remove(field);
                draft.remove(known.message);
                self.inner(draft, text)
            }
            None => {
                let names = parser.carries.iter().map(|field| self.context.vocabulary.name(*field));
                let lifted = names.into_iter().any(|name| lift(draft, self.context.vocabulary, name));
                lifted.then(|| self.object(draft, parser)).flatten()
            }
        };
        if found.is_none() {
            draft.rollback(checkpoint);
        }
        found
    }

    /// An object that was carried and whose fields are the event's now.
    fn object(&self, draft: &mut Draft, carrier: &Parser) -> Option<&'a Parser> {
        let mut found = Candidates::default();
        self.parsers.selector.by_json(draft, 0, &mut found);
        let mut candidates = Candidates::default();
        let is_other = |index: &&u16| self.parsers.parsers[usize::from(**index)].name != carrier.name;
        found.as_slice().iter().filter(is_other).for_each(|index| candidates.add(*index));
        self.parsers.selector.format(Format::AnyJson).into_iter().for_each(|parser| candidates.add(parser));
        self.try_all(draft, &candidates)
    }

    fn inner(&self, draft: &mut Draft, carried: Span) -> Option<&'a Parser> {
        let known = self.context.vocabulary.known;
        let checkpoint = draft.checkpoint();
        let first = draft.str(carried).trim_start().bytes().next();
        if first.is_some_and(|first| first == b'<' || first.is_ascii_alphanumeric()) {
            // What the message says of itself counts for more than what its carrier says.
            for sym in [known.host, known.process_name, known.process_pid] {
                draft.remove(sym);
            }
            if let Some(content) = syslog::read(draft, self.context.vocabulary, self.context.zone, carried) {
                return self.content(draft, content);
            }
            draft.rollback(checkpoint);
        }
        let program = draft.text_of(known.process_name);
        let content = Content { message: carried, program };
        self.message(draft, content, &Candidates::default(), &mut None)
    }

    /// CEF, LEEF and XML show themselves in their first bytes.
    fn by_shape(&self, draft: &Draft, span: Span, candidates: &mut Candidates) {
        let text = draft.str(span);
        let format = match text.trim_start() {
            text if text.starts_with("CEF:") => Format::Cef,
            text if text.starts_with("LEEF:") => Format::Leef,
            text if text.starts_with("<Event") || text.starts_with("<?xml") => Format::XmlEvent,
            _ => return,
        };
        if let Some(parser) = self.parsers.selector.format(format) {
            candidates.add(parser);
        }
    }

    fn try_all(&self, draft: &mut Draft, candidates: &Candidates) -> Option<&'a Parser> {
        for index in candidates.as_slice() {
            let parser = &self.parsers.parsers[usize::from(*index)];
            let checkpoint = draft.checkpoint();
            if parser.steps.iter().try_for_each(|step| step.run(draft, self.context)).is_ok() {
                return Some(self.carried(draft, parser).unwrap_or(parser));
            }
            draft.rollback(checkpoint);
        }
        None
    }
}
