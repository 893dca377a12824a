//! `vedette rules hunt`: what rules would have found in stored history.

use std::time::{Duration, Instant};

use anyhow::Context;
use hyper::Method;
use serde_json::{Map, Value, json};
use vedette_query::{Cancel, Progress};

use super::replay::{enter, texts, with_bar};
use crate::{
    Outcome, Usage,
    cli::{Format, RetrohuntArgs},
    client::Client,
    config,
    node::{
        Node,
        maintenance::now,
        retrohunt::{self, Over, Tally},
        ruleset::Ruleset,
    },
    output::{Printer, step_bar, text},
};

const PATH: &str = "/api/v1/retrohunts";
const POLL_EVERY: Duration = Duration::from_millis(200);
const DAY_MICROS: i64 = 86_400 * 1_000_000;
const COLUMNS: [&str; 7] = ["level", "title", "findings", "alerts", "first", "last", "entities"];

/// Runs the command. Exit code 1 if the rules would have found something.
pub fn run(args: RetrohuntArgs) -> anyhow::Result<Outcome> {
    let (dir, config) = config::open(&args.data)?;
    let client = Client::connect(&dir)?;
    if args.rules.is_empty() {
        let Some(client) = client else {
            return Err(Usage("name rules: no server runs on this data folder that could have hunted".into()).into());
        };
        return list(client, args.output);
    }
    // What stands before a file's documents is not for those of the next.
    let texts: Vec<String> = texts(&args.rules)?.into_iter().map(|(_, text)| text).collect();
    let text = texts.join("\n---\naction: reset\n---\n");
    let hunt = match client {
        Some(client) => through_server(client, &text, args.days)?,
        None => {
            config::must_exist(&dir)?;
            offline(&Node::open(&dir, &config)?, &text, args.days)?
        }
    };
    if args.output == Format::Json {
        crate::output::line(&serde_json::to_string(&hunt)?)?;
    } else {
        show(&hunt, args.output)?;
    }
    let seconds = hunt["elapsed_ms"].as_u64().unwrap_or_default() as f64 / 1000.0;
    eprintln!(
        "{} days in {seconds:.1} s: {} events had to be looked at; no alert was made",
        args.days,
        text_of(&hunt["events_read"]),
    );
    let found = hunt["rules"].as_array().into_iter().flatten().any(|rule| rule["findings"].as_u64() > Some(0));
    Ok(if found { Outcome::Findings } else { Outcome::Fine })
}

fn through_server(mut client: Client, text: &str, days: u32) -> anyhow::Result<Value> {
    let begun = client.json(Method::POST, PATH, Some(&json!({"text": text, "days": days})))?;
    let id = begun["id"].as_u64().context("the server's answer has no number")?;
    let bar = step_bar();
    loop {
        let hunt = client.json(Method::GET, &format!("{PATH}/{id}"), None)?;
        match hunt["state"].as_str() {
            Some("waiting" | "running") => {
                bar.set_length(hunt["total"].as_u64().unwrap_or_default());
                bar.set_position(hunt["done"].as_u64().unwrap_or_default());
                std::thread::sleep(POLL_EVERY);
            }
            Some("done") => {
                bar.finish_and_clear();
                return Ok(hunt);
            }
            Some("cancelled") => anyhow::bail!("the retro-hunt was cancelled"),
            _ => anyhow::bail!("the retro-hunt failed: {}", text_of(&hunt["failure"])),
        }
    }
}

fn offline(node: &Node, text: &str, days: u32) -> anyhow::Result<Value> {
    enter(node, "rules.retrohunt")?;
    let (loaded, own) = node.rules.on_trial(text);
    let (ruleset, refused) = Ruleset::compile(loaded, &node.rules.mapping);
    if !refused.is_empty() {
        refused.iter().for_each(|refused| eprintln!("refused: {refused}"));
        return Err(Usage(
            "a retro-hunt takes rules that load; `vedette rules check` says of each what is wrong".into(),
        )
        .into());
    }
    let mut tally = Tally::of(ruleset.references().filter(|rule| own.contains(&rule.id)));
    let from = now().plus_micros(-i64::from(days) * DAY_MICROS);
    let parsers = retrohunt::current(&node.parsers);
    let over = Over { engine: &node.engine, parsers: &parsers, from, is_gentle: false };
    let (progress, cancel) = (Progress::default(), Cancel::default());
    let (since, mut events) = (Instant::now(), 0);
    with_bar(&progress, || {
        over.run(ruleset, &progress, &cancel, |read, found| {
            events += read;
            found.iter().for_each(|finding| tally.add(finding));
        })
    })?;
    let elapsed = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(json!({"state": "done", "events_read": events, "elapsed_ms": elapsed, "rules": tally.told()}))
}

fn show(hunt: &Value, format: Format) -> anyhow::Result<()> {
    let mut printer = Printer::new(format, &COLUMNS)?;
    for rule in hunt["rules"].as_array().into_iter().flatten() {
        let mut row = rule.as_object().cloned().unwrap_or_default();
        let entities = rule["entities"].as_array().into_iter().flatten().take(3);
        let entities: Vec<String> = entities.map(|entity| text_of(&entity["value"])).collect();
        row.insert("entities".into(), entities.join(", ").into());
        printer.row(&row)?;
    }
    Ok(printer.finish()?)
}

fn list(mut client: Client, format: Format) -> anyhow::Result<Outcome> {
    let hunts = client.json(Method::GET, PATH, None)?;
    let mut printer = Printer::new(format, &["id", "begun", "by", "state", "rules", "findings", "alerts"])?;
    for hunt in hunts["retrohunts"].as_array().into_iter().flatten() {
        let mut row: Map<String, Value> = hunt.as_object().cloned().unwrap_or_default();
        if format != Format::Json {
            let rules = hunt["rules"].as_array().map_or(&[][..], Vec::as_slice);
            let sum = |key: &str| rules.iter().filter_map(|rule| rule[key].as_u64()).sum::<u64>();
            row.insert("findings".into(), sum("findings").into());
            row.insert("alerts".into(), sum("alerts").into());
            row.insert("rules".into(), rules.len().into());
        }
        printer.row(&row)?;
    }
    printer.finish()?;
    Ok(Outcome::Fine)
}

fn text_of(value: &Value) -> String {
    text(Some(value))
}
