//! STIX 2.0 and 2.1: bundles, TAXII envelopes, arrays of objects (OASIS, 10 June 2021: sections 4.7, 7.2, 9).
//!
//! Of indicators, the pattern, validity, confidence, markings, labels and kill chain phases are read; every other type of object is counted. Versions
//! are told apart by `modified`, and a revoked indicator withdraws what its earlier versions said.

use std::{collections::HashMap, io::BufRead};

use serde::Deserialize;
use vedette_event::{Diagnostic, Time};

use super::{
    Desk,
    json::{Fault, Json},
};
use crate::{Indicator, Withdrawal, pattern};

/// Largest object, in bytes.
const MAX_OBJECT: usize = 1 << 20;
/// Most markings remembered besides the standard's own.
const MAX_MARKINGS: usize = 10_000;

/// TLP's markings: those of STIX 2.1 (section 7.2.1.4) and of the extension for TLP 2.0.
const TLP: [(&str, &str); 9] = [
    ("marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9", "tlp:white"),
    ("marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da", "tlp:green"),
    ("marking-definition--f88d31f6-486f-44da-b317-01333bde0b82", "tlp:amber"),
    ("marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed", "tlp:red"),
    ("marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487", "tlp:clear"),
    ("marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb", "tlp:green"),
    ("marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421", "tlp:amber"),
    ("marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003", "tlp:amber+strict"),
    ("marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1", "tlp:red"),
];

pub(super) fn read(input: impl BufRead, desk: &mut Desk<'_>) -> Result<(), Diagnostic> {
    let mut json = Json::new(input);
    let mut reader = Reader { markings: HashMap::new(), object: Vec::new() };
    let done = reader.documents(&mut json, desk);
    done.map_err(|fault| desk.broken(fault.line, format!("not JSON: {}", fault.message)))
}

struct Reader {
    /// Labels of the markings that the file itself defines.
    markings: HashMap<String, String>,
    object: Vec<u8>,
}

impl Reader {
    fn documents<R: BufRead>(&mut self, json: &mut Json<R>, desk: &mut Desk<'_>) -> Result<(), Fault> {
        let mut documents = 0;
        while let Some(next) = json.peek()? {
            documents += 1;
            if json.enter(b'{')? {
                self.document(json, desk)?;
            } else if next == b'[' {
                self.objects(json, desk)?;
            } else {
                return Err(Fault { line: json.line(), message: "a bundle should be here".to_owned() });
            }
        }
        if documents == 0 {
            return Err(Fault { line: 1, message: "the file is empty".to_owned() });
        }
        Ok(())
    }

    /// A bundle or an envelope, which was entered.
    fn document<R: BufRead>(&mut self, json: &mut Json<R>, desk: &mut Desk<'_>) -> Result<(), Fault> {
        let (mut first, mut keys, mut has_objects, mut is_container) = (true, 0_u64, false, false);
        let line = json.line();
        while let Some(key) = json.key(&mut first)? {
            keys += 1;
            match key.as_str() {
                "objects" if json.peek()? == Some(b'[') => {
                    has_objects = true;
                    self.objects(json, desk)?;
                }
                "type" => {
                    let whole = json.take(&mut self.object, 64)?;
                    is_container |= whole && self.object == b"\"bundle\"";
                }
                "more" => {
                    is_container = true;
                    json.skip()?;
                }
                _ => json.skip()?,
            }
        }
        // An empty envelope is `{}`, an empty bundle has no objects; anything else was meant to be something.
        if !has_objects && !is_container && keys > 0 {
            desk.refuse(line, "", "neither a bundle nor an envelope: no `objects`");
        }
        Ok(())
    }

    fn objects<R: BufRead>(&mut self, json: &mut Json<R>, desk: &mut Desk<'_>) -> Result<(), Fault> {
        json.enter(b'[')?;
        let mut first = true;
        while json.element(&mut first)? {
            let line = json.line();
            if json.take(&mut self.object, MAX_OBJECT)? {
                self.object(line, desk);
            } else {
                desk.refuse(line, "", "an object larger than 1 MiB");
            }
        }
        Ok(())
    }

    fn object(&mut self, line: u32, desk: &mut Desk<'_>) {
        #[derive(Deserialize)]
        struct Head {
            r#type: String,
            #[serde(default)]
            id: String,
        }
        let head: Head = match serde_json::from_slice(&self.object) {
            Ok(head) => head,
            Err(error) => return desk.refuse(line, "", &format!("not a STIX object: {}", plain(&error))),
        };
        match head.r#type.as_str() {
            "indicator" => match serde_json::from_slice(&self.object) {
                Ok(source) => self.indicator(line, &source, desk),
                Err(error) => {
                    desk.refuse(line, &head.id, &format!("not an indicator as STIX has it: {}", plain(&error)))
                }
            },
            "marking-definition" => {
                if let Some(label) = tlp(&self.object)
                    && self.markings.len() < MAX_MARKINGS
                {
                    self.markings.insert(head.id, label);
                }
                desk.pass("marking-definition");
            }
            other => desk.pass(other),
        }
    }

    fn indicator(&self, line: u32, source: &Source, desk: &mut Desk<'_>) {
        let refuse = |desk: &mut Desk<'_>, reason: &str| desk.refuse(line, &source.id, reason);
        let Ok(modified) = time(&source.modified) else { return refuse(desk, "`modified` is not a time") };
        if source.revoked {
            let feed = desk.feed.name.clone();
            return desk.withdraw(Withdrawal { feed, reference: source.id.clone(), modified });
        }
        match source.pattern_type.as_deref() {
            None | Some("stix") => {}
            Some(other) => {
                return refuse(desk, &format!("a pattern of type `{}`", super::shortened(other, 32)));
            }
        }
        let (Ok(from), Ok(until)) = (time(&source.valid_from), time(&source.valid_until)) else {
            return refuse(desk, "`valid_from` or `valid_until` is not a time");
        };
        if from.zip(until).is_some_and(|(from, until)| until <= from) {
            return refuse(desk, "`valid_until` is not after `valid_from`");
        }
        let confidence = match source.confidence {
            None => desk.feed.confidence,
            Some(confidence @ 0..=100) => confidence as u8,
            Some(_) => return refuse(desk, "a confidence that is not 0 to 100"),
        };
        let pattern = source.pattern.as_deref().unwrap_or("");
        let read = match pattern::read(pattern) {
            Ok(read) => read,
            Err(refusal) => return refuse(desk, &refusal.to_string()),
        };
        let name = [&source.name, &source.description].into_iter().flatten().find(|name| !name.trim().is_empty());
        let labels = self.labels(source);
        desk.account.widened += u64::from(read.widened);
        for held in read.held {
            let mut indicator = Indicator::new(desk.feed, held.observable);
            indicator.port = held.port;
            indicator.confidence = confidence;
            indicator.name = name.and_then(|name| name.lines().next()).unwrap_or("").trim().to_owned();
            indicator.labels.clone_from(&labels);
            indicator.reference.clone_from(&source.id);
            indicator.modified = modified;
            indicator.holds(desk.feed, from, until);
            desk.take(indicator);
        }
    }

    fn labels(&self, source: &Source) -> Vec<String> {
        let marking = |id: &String| {
            let standard = TLP.iter().find(|(known, _)| known == id).map(|(_, label)| (*label).to_owned());
            // A marking that is defined elsewhere still marks: its id says which.
            standard.or_else(|| self.markings.get(id).cloned()).unwrap_or_else(|| id.clone())
        };
        let phase = |phase: &Phase| format!("{}:{}", phase.kill_chain_name, phase.phase_name);
        let mut labels: Vec<String> = source.object_marking_refs.iter().map(marking).collect();
        labels.extend(source.indicator_types.iter().chain(&source.labels).cloned());
        labels.extend(source.kill_chain_phases.iter().map(phase));
        labels
    }
}

#[derive(Deserialize)]
struct Source {
    #[serde(default)]
    id: String,
    pattern: Option<String>,
    pattern_type: Option<String>,
    valid_from: Option<String>,
    valid_until: Option<String>,
    modified: Option<String>,
    confidence: Option<i64>,
    #[serde(default)]
    revoked: bool,
    name: Option<String>,
    description: Option<String>,
    #[serde(default)]
    labels: Vec<String>,
    #[serde(default)]
    indicator_types: Vec<String>,
    #[serde(default)]
    object_marking_refs: Vec<String>,
    #[serde(default)]
    kill_chain_phases: Vec<Phase>,
}

#[derive(Deserialize)]
struct Phase {
    #[serde(default)]
    kill_chain_name: String,
    #[serde(default)]
    phase_name: String,
}

fn time(text: &Option<String>) -> Result<Option<Time>, ()> {
    text.as_deref().map(|text| text.parse().map_err(|_| ())).transpose()
}

/// What a marking definition says about TLP, in the old way or the new.
fn tlp(object: &[u8]) -> Option<String> {
    let marking: serde_json::Value = serde_json::from_slice(object).ok()?;
    let old = marking.pointer("/definition/tlp");
    let new = || marking.get("extensions")?.as_object()?.values().find_map(|extension| extension.get("tlp_2_0"));
    let colour = old.or_else(new)?.as_str()?;
    Some(format!("tlp:{}", super::shortened(colour, 32).to_ascii_lowercase()))
}

/// serde's message without its place, which is within the object.
fn plain(error: &serde_json::Error) -> String {
    let message = error.to_string();
    message.split(" at line ").next().unwrap_or(&message).to_owned()
}
