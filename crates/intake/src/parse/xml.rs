//! Windows events as XML, into the normal form of [`super::windows`].

use quick_xml::{Reader, events::Event};

use super::{
    draft::{Draft, Name, Span, Val},
    vocabulary::Vocabulary,
};

/// Most fields, and the deepest nesting, of one event.
const MAX_PARTS: usize = 1024;
const MAX_DEPTH: usize = 32;

/// Reads an `<Event>` (or only its `<EventData>`) in `span`; false, and nothing changed, if it is not well-formed.
pub(crate) fn event(draft: &mut Draft, vocabulary: &Vocabulary, span: Span) -> bool {
    let span = draft.cut(span);
    let Some(found) = read(draft.str(span)) else { return false };
    for (prefix, name, value) in found {
        let name = draft.name(vocabulary, &[prefix, &name]);
        if matches!(name, Name::Text(span) if draft.str(span).is_empty()) {
            continue;
        }
        let value = draft.append(&value);
        draft.push(name, Val::Str(value), true);
    }
    true
}

type Found = (&'static str, String, String);

fn read(text: &str) -> Option<Vec<Found>> {
    let mut reader = Reader::from_str(text);
    let mut found: Vec<Found> = Vec::new();
    let mut path: Vec<String> = Vec::new();
    // The `Name` of the Data element that is open, and its text so far.
    let mut data: Option<String> = None;
    let mut content = String::new();
    loop {
        if found.len() >= MAX_PARTS || path.len() > MAX_DEPTH {
            return None;
        }
        match reader.read_event().ok()? {
            Event::Start(start) => {
                path.push(start.local_name().as_ref().to_owned());
                content.clear();
                data = attributes(&start, &path, &mut found)?;
            }
            Event::Empty(start) => {
                path.push(start.local_name().as_ref().to_owned());
                content.clear();
                let name = attributes(&start, &path, &mut found)?;
                end(&path, name, "", &mut found);
                path.pop();
            }
            Event::Text(text) => content.push_str(&text.into_inner()),
            Event::CData(text) => content.push_str(&text.into_inner()),
            Event::GeneralRef(reference) => match reference.resolve_char_ref().ok()? {
                Some(char) => content.push(char),
                None => content.push_str(quick_xml::escape::resolve_predefined_entity(&reference.into_inner())?),
            },
            Event::End(_) => {
                end(&path, data.take(), &content, &mut found);
                content.clear();
                path.pop();
                if path.is_empty() {
                    // Anything behind the event is not part of it.
                    return Some(found);
                }
            }
            Event::Eof => return None,
            _ => {}
        }
    }
}

/// Fields from an element's attributes; returns the `Name` of a Data element.
fn attributes(
    start: &quick_xml::events::BytesStart<'_>,
    path: &[String],
    found: &mut Vec<Found>,
) -> Option<Option<String>> {
    let mut name = None;
    let element = path.last().map_or("", String::as_str);
    for attribute in start.attributes() {
        let attribute = attribute.ok()?;
        let value = attribute.normalized_value(quick_xml::XmlVersion::Implicit1_0).ok()?.into_owned();
        let to = match (element, attribute.key.as_ref()) {
            ("Data" | "ComplexData", "Name") => {
                name = Some(value);
                continue;
            }
            ("Provider", "Name") => "winlog.provider_name",
            ("Provider", "Guid") => "winlog.provider_guid",
            ("TimeCreated", "SystemTime") => "@timestamp",
            ("Execution", "ProcessID") => "winlog.process.pid",
            ("Execution", "ThreadID") => "winlog.process.thread.id",
            ("Security", "UserID" | "UserId") => "winlog.user.identifier",
            ("Correlation", "ActivityID") => "winlog.activity_id",
            ("Correlation", "RelatedActivityID") => "winlog.related_activity_id",
            ("EventID", "Qualifiers") => "winlog.qualifiers",
            _ => continue,
        };
        found.push((to, String::new(), value));
    }
    Some(name)
}

fn end(path: &[String], data: Option<String>, content: &str, found: &mut Vec<Found>) {
    let inside = |name: &str| path.iter().any(|part| part == name);
    let element = path.last().map_or("", String::as_str);
    let content = content.trim();
    if let Some(name) = data {
        found.push(("winlog.event_data.", name, content.to_owned()));
        return;
    }
    if content.is_empty() {
        return;
    }
    let to = if inside("System") {
        match element {
            "EventID" => "winlog.event_id",
            "Channel" => "winlog.channel",
            "Computer" => "winlog.computer_name",
            "EventRecordID" => "winlog.record_id",
            "Level" => "winlog.level",
            "Task" => "winlog.task",
            "Opcode" => "winlog.opcode",
            "Keywords" => "winlog.keywords",
            "Version" => "winlog.version",
            _ => return,
        }
    } else if inside("RenderingInfo") {
        match element {
            "Message" => "message",
            _ => return,
        }
    } else if inside("UserData") {
        found.push(("winlog.user_data.", element.to_owned(), content.to_owned()));
        return;
    } else if inside("EventData") {
        found.push(("winlog.event_data.", element.to_owned(), content.to_owned()));
        return;
    } else {
        return;
    };
    found.push((to, String::new(), content.to_owned()));
}
