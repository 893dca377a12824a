//! One batch against the set.

use vedette_event::{Batch, Event, Finding, NameId, Value};

use super::{
    fields::{look_of, ports_beside},
    finding::{Seen, finding},
};
use crate::{Indicators, Known, Look, set::Scratch};

/// Longest value that is looked up.
const MAX_VALUE: usize = 8 << 10;
/// Most values of one event that are looked up; an event has fewer unless it is made to be slow.
const MAX_LOOKED: usize = 1_024;
/// Most different observables found in one event.
const MAX_FOUND: usize = 64;

impl Indicators {
    /// Matches a batch and adds what it finds: one finding for each event and observable, in the order of the events and of their fields. Only the
    /// event's own time decides whether an indicator holds, so that a replay finds the same. Returns how many values were left unlooked at,
    /// since an event had more than 1,024 of them, more than 64 of them were found, or one was longer than 8 KiB.
    pub fn matches(&self, batch: &Batch, findings: &mut Vec<Finding>) -> u64 {
        if self.is_empty() {
            return 0;
        }
        // Names are read once for a batch, not for every event.
        let columns: Vec<Option<Column>> = batch.names().iter().map(|name| Column::of(batch, name)).collect();
        if columns.iter().all(Option::is_none) {
            return 0;
        }
        let parts = Parts::of(batch);
        let mut run = Run { set: self, columns, parts, scratch: Scratch::default(), seen: Vec::new(), unlooked: 0 };
        for event in batch.events() {
            run.event(event);
            findings.extend(run.seen.drain(..).filter_map(|seen| finding(event, seen)));
        }
        run.unlooked
    }
}

/// A field that is looked at.
struct Column {
    look: Look,
    port: Option<NameId>,
}

impl Column {
    fn of(batch: &Batch, name: &str) -> Option<Column> {
        let look = look_of(name)?;
        Some(Column { look, port: ports_beside(name).iter().find_map(|port| batch.name_id(port)) })
    }
}

/// Fields that together make a URL, where a log has its parts.
struct Parts {
    domain: NameId,
    path: NameId,
    query: Option<NameId>,
    scheme: Option<NameId>,
    port: Option<NameId>,
}

impl Parts {
    fn of(batch: &Batch) -> Option<Parts> {
        let first = |names: &[&str]| names.iter().find_map(|name| batch.name_id(name));
        Some(Parts {
            domain: first(&["url.domain", "http.request.host", "destination.domain", "host"])?,
            path: first(&["url.original", "url.path", "uri"])?,
            query: first(&["url.query"]),
            scheme: first(&["url.scheme"]),
            port: first(&["url.port"]),
        })
    }

    /// The URL, without a scheme if the event names none.
    fn url(&self, event: Event<'_>) -> Option<String> {
        let text = |id: NameId| event.get_id(id).and_then(Value::as_str);
        let (domain, path) = (text(self.domain)?, text(self.path)?);
        if !path.starts_with('/')
            || path.starts_with("//")
            || domain.is_empty()
            || domain.len() + path.len() > MAX_VALUE
        {
            return None;
        }
        let scheme = self.scheme.and_then(text).map_or(String::new(), |scheme| format!("{scheme}:"));
        let port = self.port.and_then(|id| event.get_id(id)?.as_int()).filter(|_| !domain.contains(':'));
        let port = port.map_or(String::new(), |port| format!(":{port}"));
        let query = self.query.and_then(text).filter(|query| !path.contains('?') && query.len() < MAX_VALUE);
        let query = query.map_or(String::new(), |query| format!("?{}", query.trim_start_matches('?')));
        Some(format!("{scheme}//{domain}{port}{path}{query}"))
    }
}

struct Run<'a> {
    set: &'a Indicators,
    /// By name's number.
    columns: Vec<Option<Column>>,
    parts: Option<Parts>,
    scratch: Scratch,
    seen: Vec<Seen<'a>>,
    unlooked: u64,
}

impl<'a> Run<'a> {
    fn event(&mut self, event: Event<'_>) {
        let mut looked = 0;
        for (place, id) in event.names().enumerate() {
            let Some(Column { look, port }) = &self.columns[id.index()] else { continue };
            let Value::Str(text) = event.value_at(place) else { continue };
            if text.is_empty() || text == "-" {
                continue;
            }
            looked += 1;
            if text.len() > MAX_VALUE || looked > MAX_LOOKED {
                self.unlooked += 1;
                continue;
            }
            let port = port.and_then(|id| event.get_id(id)?.as_int()).and_then(|port| u16::try_from(port).ok());
            let name = &event.batch().names()[id.index()];
            let look = *look;
            self.look(look, text, event, name, port);
        }
        if let Some(url) = self.parts.as_ref().and_then(|parts| parts.url(event)) {
            let has_scheme = !url.starts_with("//");
            let urls = if has_scheme { vec![url] } else { vec![format!("http:{url}"), format!("https:{url}")] };
            for url in urls {
                self.look(Look::Url, &url, event, "url.original", None);
            }
        }
    }

    fn look(&mut self, look: Look, text: &str, event: Event<'_>, field: &str, port: Option<u16>) {
        let Run { set, scratch, seen, unlooked, .. } = self;
        let time = event.time();
        set.look_up_in(look, text, scratch, &mut |known: Known<'a>| {
            if !known.holds(time, port) {
                return;
            }
            let before = seen.iter().position(|seen| seen.known.number() == known.number());
            match before {
                Some(before) => seen[before].again(field, text, port),
                None if seen.len() < MAX_FOUND => seen.push(Seen::new(known, field, text, port)),
                None => *unlooked += 1,
            }
        });
    }
}
