//! `vedette rules why`: why a rule matches an event, or why it does not.

use std::{
    io::{BufRead, Read},
    path::Path,
    sync::Arc,
};

use anyhow::{Context, anyhow, bail};
use hyper::Method;
use serde_json::{Map, Value, json};
use vedette_event::{Batch, BatchBuilder, Derive, EventId, Source, SourceId, Time, Value as Field, ecs};
use vedette_intake::{import, parse::Parsers};
use vedette_server::{Ask, Language, Piece};
use vedette_sigma::{Explainer, Rule};

use crate::{
    Outcome, Usage,
    cli::{Format, WhyArgs},
    client::Client,
    commands::{detect::modified, hunt, rules},
    config,
    node::{maintenance::now, ruleset::mapping},
    output,
};

/// Longest record that is read from standard input.
const MAX_RECORD_BYTES: u64 = 1 << 20;

/// Runs the command. Exit code 0 if the rule matches, 1 if it does not.
pub fn run(args: WhyArgs) -> anyhow::Result<Outcome> {
    if args.output == Format::Csv {
        return Err(Usage("an explanation is no table: use `-o json`".into()).into());
    }
    let mapping = mapping(args.placeholders.as_deref())?;
    let loaded = rules::load(&args.rules, &args.pipelines)?;
    let rule = find(&loaded.rules, &args.rule)?;
    let explainer = Explainer::new(rule, &mapping).map_err(|refused| Usage(refused.to_string()))?;
    let batch = match args.event.parse::<EventId>() {
        // A file of that name is meant if it is there: `./3-1042` would be another way to say it.
        Ok(id) if !Path::new(&args.event).exists() => stored(&args, id)?,
        _ if args.event == "-" => given(&Source::new(SourceId(1), "file:-", "file"), now(), [Ok(standard_input()?)])?,
        _ => file(Path::new(&args.event))?,
    };
    if batch.is_empty() {
        bail!("there is no record in {}", args.event);
    }
    let mut matched = false;
    for event in batch.events() {
        let explanation = explainer.explain(event);
        matched |= explanation.matched;
        match args.output {
            Format::Json => output::line(&serde_json::to_string(&explanation)?)?,
            _ => output::line(explanation.to_string().trim_end())?,
        }
    }
    Ok(if matched { Outcome::Fine } else { Outcome::Findings })
}

/// The rule of this id, or name, or title.
fn find<'a>(rules: &'a [Rule], wanted: &str) -> anyhow::Result<&'a Rule> {
    let by = |same: &dyn Fn(&Rule) -> bool| rules.iter().filter(|rule| same(rule)).collect::<Vec<_>>();
    let mut found = by(&|rule| rule.reference.id == wanted);
    if found.is_empty() {
        found = by(&|rule| rule.name.as_deref() == Some(wanted) || rule.reference.title.eq_ignore_ascii_case(wanted));
    }
    match found.as_slice() {
        &[rule] => Ok(rule),
        [] => Err(Usage(format!("no rule has the id, name or title `{wanted}`")).into()),
        several => {
            let ids: Vec<&str> = several.iter().map(|rule| rule.reference.id.as_str()).collect();
            Err(Usage(format!("{} rules are called `{wanted}`; their ids: {}", ids.len(), ids.join(", "))).into())
        }
    }
}

/// Records that were given, as the parsers read them.
fn given(
    source: &Arc<Source>,
    received: Time,
    records: impl IntoIterator<Item = anyhow::Result<Vec<u8>>>,
) -> anyhow::Result<Batch> {
    let parsers = Parsers::builtin();
    let mut batch = BatchBuilder::new(source.clone());
    for (seq, record) in (0..).zip(records) {
        if batch.is_full() {
            return Err(Usage(format!("more than {} records; which of them is meant?", batch.len())).into());
        }
        parsers.derive(source, seq, received, &record?, &mut batch);
    }
    Ok(batch.finish())
}

fn file(path: &Path) -> anyhow::Result<Batch> {
    if !path.is_file() {
        let reason = format!("`{}` is no event id such as 3-1042, and there is no such file", path.display());
        return Err(Usage(reason).into());
    }
    let source = Source::new(SourceId(1), &format!("file:{}", path.display()), "file");
    let records = import::open(path, &import::Options::default())?;
    given(&source, modified(path), records.map(|record| record.map_err(|error| anyhow!("{error}"))))
}

/// One record, without the end of its line.
fn standard_input() -> anyhow::Result<Vec<u8>> {
    let mut record = Vec::new();
    std::io::stdin().lock().take(MAX_RECORD_BYTES + 1).read_to_end(&mut record).context("cannot read the record")?;
    if record.len() as u64 > MAX_RECORD_BYTES {
        return Err(Usage(format!("a record longer than {MAX_RECORD_BYTES} bytes")).into());
    }
    record.truncate(record.trim_ascii_end().len());
    Ok(record)
}

/// An event of the store, with the fields that were stored: those that rules saw.
fn stored(args: &WhyArgs, id: EventId) -> anyhow::Result<Batch> {
    let (dir, config) = config::open(&args.data)?;
    let query = format!("event.id:{id}");
    let mut found: Option<Map<String, Value>> = None;
    if let Some(mut client) = Client::connect(&dir)? {
        let body = json!({"query": query, "language": "hunt", "limit": 1});
        let answer = client.send(Method::POST, "/api/v1/search?format=pieces", Some(&body))?;
        for line in answer.lines() {
            let line = line.context("the server hung up in the middle of the answer")?;
            let mut piece: Value = serde_json::from_str(&line).context("the server's answer is not JSON")?;
            if let Some(Value::Object(row)) = piece.get_mut("row").map(Value::take) {
                found = Some(row);
            } else if let Some(error) = piece.get("error") {
                bail!("{}", error["detail"].as_str().unwrap_or("the query failed"));
            }
        }
    } else {
        let ask = Ask { query, language: Language::Hunt, from: None, to: None, limit: 1 };
        hunt::offline(&dir, &config, ask, &mut |piece| {
            if let Piece::Row(row) = piece {
                found = Some(row);
            }
            Ok(())
        })?;
    }
    match found {
        Some(row) => event(id, &row),
        None => Err(Usage(format!("there is no event {id}")).into()),
    }
}

/// The event that a row is of.
fn event(id: EventId, row: &Map<String, Value>) -> anyhow::Result<Batch> {
    let time = row.get(ecs::TIMESTAMP).and_then(Value::as_str).context("the event has no time")?;
    let time: Time = time.parse().map_err(|_| anyhow!("the event's time is `{time}`"))?;
    let original = row.get(ecs::ORIGINAL).and_then(Value::as_str).unwrap_or_default();
    let mut batch = BatchBuilder::new(Source::new(id.source, "stored", "stored"));
    batch.begin(id.seq, time, original.as_bytes());
    for (name, value) in
        row.iter().filter(|(name, _)| !["event.id", ecs::TIMESTAMP, ecs::ORIGINAL].contains(&name.as_str()))
    {
        let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        for value in values {
            push(&mut batch, name, value);
        }
    }
    Ok(batch.finish())
}

fn push(batch: &mut BatchBuilder, name: &str, value: &Value) {
    let text;
    let value = match value {
        Value::Null => Field::Null,
        Value::Bool(bool) => Field::Bool(*bool),
        Value::String(text) => Field::Str(text),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(int), _) => Field::Int(int),
            (None, Some(float)) => Field::Float(float),
            (None, None) => Field::Null,
        },
        Value::Array(_) | Value::Object(_) => {
            text = value.to_string();
            Field::Str(&text)
        }
    };
    batch.push(name, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_the_event_it_shows() {
        let row = json!({
            "event.id": "3-7", "@timestamp": "2026-11-21T04:11:52Z", "a": ["x", 1, null, 1.5], "b.c": true,
            "event.original": "line",
        });
        let batch =
            event("3-7".parse().expect("it is there"), row.as_object().expect("it is there")).expect("it is there");
        let shown = batch.event(0).to_json();
        assert_eq!(Value::Object(shown)["a"], row["a"]);
        assert_eq!(batch.event(0).id().to_string(), "3-7");
        assert_eq!(batch.event(0).raw(), b"line");
        assert_eq!(batch.event(0).fields().count(), 5);
    }

    #[test]
    fn rules_are_found_by_any_of_their_names() {
        let rule = |title: &str, id: &str, name: &str| {
            format!(
                "title: {title}\nid: {id}\nname: {name}\nlogsource: {{product: p}}\ndetection: {{s: {{F: a}}, condition: s}}\n"
            )
        };
        let text = [rule("One", "r1", "n1"), rule("Same", "r2", "n2"), rule("Same", "r3", "n3")].join("---\n");
        let loaded = vedette_sigma::load_str("r.yml", &text);
        for (wanted, id) in [("r1", "r1"), ("n2", "r2"), ("one", "r1")] {
            assert_eq!(find(&loaded.rules, wanted).expect("it is there").reference.id, id);
        }
        assert_eq!(
            find(&loaded.rules, "same").expect_err("it is refused").to_string(),
            "2 rules are called `same`; their ids: r2, r3"
        );
        assert_eq!(
            find(&loaded.rules, "x").expect_err("it is refused").to_string(),
            "no rule has the id, name or title `x`"
        );
    }
}
