//! MISP's JSON: events (`{"Event": …}`, feeds, `{"response": […]}`) and attributes (`restSearch`).
//!
//! An attribute is taken if it says `to_ids` and its type has a look-up. Its event's tags, level and title stand behind the attributes as a rule, so an
//! event's indicators wait for its end, up to 65,536 of them.

use std::io::BufRead;

use serde::{Deserialize, Deserializer};
use vedette_event::{Diagnostic, Level};

use super::{
    Desk,
    columns::{self, Typed},
    csv::{composite, read_typed},
    json::{Fault, Json},
    times,
};
use crate::{Indicator, Withdrawal};

/// Largest attribute (a malware sample's bytes are within) and largest list of tags, in bytes.
const MAX_ATTRIBUTE: usize = 1 << 20;
const MAX_WAITING: usize = 65_536;
const MAX_TITLE: usize = 16 << 10;

pub(super) fn read(input: impl BufRead, desk: &mut Desk<'_>) -> Result<(), Diagnostic> {
    let mut json = Json::new(input);
    let mut reader = Reader { value: Vec::new() };
    let done = reader.documents(&mut json, desk);
    done.map_err(|fault| desk.broken(fault.line, format!("not JSON: {}", fault.message)))
}

/// What is known of an event so far.
#[derive(Default)]
struct Event {
    title: String,
    level: Option<Level>,
    tags: Vec<String>,
    confidence: Option<u8>,
    waiting: Vec<Waiting>,
}

struct Waiting {
    indicator: Indicator,
    /// Whether the attribute has a confidence of its own.
    is_rated: bool,
}

impl Event {
    fn hand_out(&mut self, desk: &mut Desk<'_>) {
        for Waiting { mut indicator, is_rated } in self.waiting.drain(..) {
            indicator.labels.extend(self.tags.iter().cloned());
            if indicator.name.is_empty() {
                indicator.name.clone_from(&self.title);
            }
            indicator.level = indicator.level.or(self.level);
            if let Some(confidence) = self.confidence.filter(|_| !is_rated) {
                indicator.confidence = confidence;
            }
            desk.take(indicator);
        }
    }
}

struct Reader {
    value: Vec<u8>,
}

impl Reader {
    fn documents<R: BufRead>(&mut self, json: &mut Json<R>, desk: &mut Desk<'_>) -> Result<(), Fault> {
        let mut documents = 0;
        while json.peek()?.is_some() {
            documents += 1;
            self.events(json, desk)?;
        }
        if documents == 0 {
            return Err(Fault { line: 1, message: "the file is empty".to_owned() });
        }
        Ok(())
    }

    /// Events or attributes in whatever holds them. The walk's own bound of depth ends this.
    fn events<R: BufRead>(&mut self, json: &mut Json<R>, desk: &mut Desk<'_>) -> Result<(), Fault> {
        if json.enter(b'[')? {
            let mut first = true;
            while json.element(&mut first)? {
                self.events(json, desk)?;
            }
            return Ok(());
        }
        if !json.enter(b'{')? {
            json.skip()?;
            desk.pass("other value");
            return Ok(());
        }
        let mut event = Event::default();
        self.event(json, &mut event, desk)?;
        event.hand_out(desk);
        Ok(())
    }

    /// An event, or what is around one; it was entered.
    fn event<R: BufRead>(&mut self, json: &mut Json<R>, event: &mut Event, desk: &mut Desk<'_>) -> Result<(), Fault> {
        let mut first = true;
        while let Some(key) = json.key(&mut first)? {
            match key.as_str() {
                "Event" | "response" => self.events(json, desk)?,
                "Attribute" => self.attributes(json, event, desk)?,
                "Object" => self.objects(json, event, desk)?,
                "Tag" => event.tags = self.tags(json, event, desk)?,
                "info" => event.title = self.text(json)?,
                "threat_level_id" => {
                    event.level = match self.text(json)?.as_str() {
                        "1" => Some(Level::High),
                        "2" => Some(Level::Medium),
                        "3" => Some(Level::Low),
                        _ => None,
                    };
                }
                _ => json.skip()?,
            }
        }
        Ok(())
    }

    fn objects<R: BufRead>(&mut self, json: &mut Json<R>, event: &mut Event, desk: &mut Desk<'_>) -> Result<(), Fault> {
        if !json.enter(b'[')? {
            return json.skip();
        }
        let mut first = true;
        while json.element(&mut first)? {
            if !json.enter(b'{')? {
                json.skip()?;
                continue;
            }
            let mut first = true;
            while let Some(key) = json.key(&mut first)? {
                match key.as_str() {
                    "Attribute" => self.attributes(json, event, desk)?,
                    _ => json.skip()?,
                }
            }
        }
        Ok(())
    }

    fn attributes<R: BufRead>(
        &mut self,
        json: &mut Json<R>,
        event: &mut Event,
        desk: &mut Desk<'_>,
    ) -> Result<(), Fault> {
        if !json.enter(b'[')? {
            return self.attribute(json, event, desk);
        }
        let mut first = true;
        while json.element(&mut first)? {
            self.attribute(json, event, desk)?;
        }
        Ok(())
    }

    fn attribute<R: BufRead>(
        &mut self,
        json: &mut Json<R>,
        event: &mut Event,
        desk: &mut Desk<'_>,
    ) -> Result<(), Fault> {
        let line = json.line();
        if !json.take(&mut self.value, MAX_ATTRIBUTE)? {
            desk.refuse(line, "", "an attribute larger than 1 MiB");
            return Ok(());
        }
        match serde_json::from_slice::<Attribute>(&self.value) {
            Ok(attribute) => take(line, &attribute, event, desk),
            Err(error) => {
                let message = error.to_string();
                let message = message.split(" at line ").next().unwrap_or(&message);
                desk.refuse(line, "", &format!("not an attribute as MISP has it: {message}"));
            }
        }
        if event.waiting.len() >= MAX_WAITING {
            desk.account.untagged += event.waiting.len() as u64;
            event.hand_out(desk);
        }
        Ok(())
    }

    fn tags<R: BufRead>(
        &mut self,
        json: &mut Json<R>,
        event: &mut Event,
        desk: &mut Desk<'_>,
    ) -> Result<Vec<String>, Fault> {
        let line = json.line();
        let whole = json.take(&mut self.value, MAX_ATTRIBUTE)?;
        let tags = whole.then(|| serde_json::from_slice::<Vec<Tag>>(&self.value).ok()).flatten();
        let Some(tags) = tags else {
            desk.refuse(line, "", "tags that cannot be read");
            return Ok(Vec::new());
        };
        event.confidence = tags.iter().find_map(|tag| confidence(&tag.name));
        Ok(tags.into_iter().map(|tag| tag.name).collect())
    }

    /// A text or number; what is neither, or too long, is empty.
    fn text<R: BufRead>(&mut self, json: &mut Json<R>) -> Result<String, Fault> {
        let whole = json.take(&mut self.value, MAX_TITLE)?;
        Ok(match serde_json::from_slice(&self.value) {
            Ok(serde_json::Value::String(text)) if whole => text,
            Ok(serde_json::Value::Number(number)) if whole => number.to_string(),
            _ => String::new(),
        })
    }
}

#[derive(Deserialize)]
struct Attribute {
    r#type: String,
    #[serde(deserialize_with = "word")]
    value: String,
    #[serde(default)]
    uuid: String,
    #[serde(default, deserialize_with = "flag")]
    to_ids: bool,
    #[serde(default, deserialize_with = "flag")]
    deleted: bool,
    #[serde(default, deserialize_with = "word")]
    timestamp: String,
    #[serde(default, deserialize_with = "word")]
    comment: String,
    #[serde(default, deserialize_with = "word")]
    first_seen: String,
    #[serde(default, rename = "Tag")]
    tags: Vec<Tag>,
    #[serde(default, rename = "Event")]
    event: Option<Around>,
}

/// What an attribute of a search says about its event.
#[derive(Deserialize)]
struct Around {
    #[serde(default)]
    info: String,
}

#[derive(Deserialize)]
struct Tag {
    name: String,
}

/// MISP writes truth as `true`, `1` or `"1"`.
fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(match serde_json::Value::deserialize(deserializer)? {
        serde_json::Value::Bool(flag) => flag,
        serde_json::Value::Number(number) => number.as_i64() != Some(0),
        serde_json::Value::String(text) => matches!(text.as_str(), "1" | "true"),
        _ => false,
    })
}

/// Numbers as text, null as nothing.
fn word<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    match serde_json::Value::deserialize(deserializer)? {
        serde_json::Value::String(text) => Ok(text),
        serde_json::Value::Number(number) => Ok(number.to_string()),
        serde_json::Value::Null => Ok(String::new()),
        _ => Err(serde::de::Error::custom("a text or number should be here")),
    }
}

/// MISP's taxonomy of confidence, as a tag.
fn confidence(tag: &str) -> Option<u8> {
    let level = tag.strip_prefix("misp:confidence-level=")?.trim_matches('"');
    Some(match level {
        "completely-confident" => 100,
        "usually-confident" => 75,
        "fairly-confident" => 50,
        "rarely-confident" => 25,
        "unconfident" => 0,
        _ => return None,
    })
}

fn take(line: u32, attribute: &Attribute, event: &mut Event, desk: &mut Desk<'_>) {
    let what = if attribute.uuid.is_empty() { &attribute.value } else { &attribute.uuid };
    let (Ok(modified), Ok(first_seen)) = (times::read(&attribute.timestamp), times::read(&attribute.first_seen)) else {
        return desk.refuse(line, what, "a time that cannot be read");
    };
    if attribute.deleted {
        let (feed, reference) = (desk.feed.name.clone(), attribute.uuid.clone());
        return desk.withdraw(Withdrawal { feed, reference, modified });
    }
    if !attribute.to_ids {
        return desk.pass("not for detection");
    }
    let read = match columns::typed(&attribute.r#type) {
        None => {
            let kind = super::shortened(&attribute.r#type, 40);
            return desk.refuse(line, what, &format!("no look-up for the type `{kind}`"));
        }
        Some(Typed::Composite) => composite(&attribute.r#type, &attribute.value),
        Some(typed) => read_typed(typed, &attribute.value).map(|one| vec![one]),
    };
    let observables = match read {
        Ok(observables) => observables,
        Err(unfit) => return desk.unfit(line, what, unfit),
    };
    let names_a_file = attribute.r#type.starts_with("filename|") || attribute.r#type == "malware-sample";
    desk.account.widened += u64::from(names_a_file);
    let rated = attribute.tags.iter().find_map(|tag| confidence(&tag.name));
    for (observable, port) in observables {
        let mut indicator = Indicator::new(desk.feed, observable);
        indicator.port = port;
        indicator.confidence = rated.unwrap_or(indicator.confidence);
        indicator.name = attribute.comment.trim().to_owned();
        if let Some(around) = attribute.event.as_ref().filter(|_| indicator.name.is_empty()) {
            indicator.name.clone_from(&around.info);
        }
        indicator.labels = attribute.tags.iter().map(|tag| tag.name.clone()).collect();
        indicator.reference.clone_from(&attribute.uuid);
        indicator.modified = modified;
        indicator.holds(desk.feed, first_seen, None);
        event.waiting.push(Waiting { indicator, is_rated: rated.is_some() });
    }
}
