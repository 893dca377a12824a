//! `vedette sources`: the loss ledger.

use anyhow::Context;
use hyper::Method;
use serde_json::{Map, Value, json};

use crate::{Outcome, cli::SourcesArgs, client::Client, config, node::Node, output::Printer};

/// Runs the command.
pub fn run(args: SourcesArgs) -> anyhow::Result<Outcome> {
    let (dir, config) = config::open(&args.data)?;
    let rows: Vec<Map<String, Value>> = match Client::connect(&dir)? {
        Some(mut client) => {
            let answer = client.json(Method::GET, "/api/v1/sources", None)?;
            let sources = answer.get("sources").unwrap_or(&answer).clone();
            serde_json::from_value(sources).context("the server's answer is not a list of sources")?
        }
        None => {
            config::must_exist(&dir)?;
            let node = Node::open(&dir, &config)?;
            let rows = node.spool.ledger().into_iter().map(|(source, losses)| {
                let row = json!({
                    "name": &*source.name, "received": losses.received(), "stored": losses.stored,
                    "refused": losses.refused, "shed": losses.shed,
                });
                serde_json::from_value(row)
            });
            rows.collect::<Result<_, _>>()?
        }
    };
    let mut printer = Printer::new(args.output, &["name", "received", "stored", "refused", "shed"])?;
    rows.iter().try_for_each(|row| printer.row(row))?;
    printer.finish()?;
    Ok(Outcome::Fine)
}
