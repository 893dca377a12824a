//! `vedette check`: a dry load of configuration, certificates of authorities, parsers and rules.

use crate::{
    Outcome,
    cli::CheckArgs,
    config::Config,
    node::{
        self,
        anchors::Authority,
        receivers, rules,
        ruleset::{Ruleset, mapping},
    },
};

/// Runs the command. Exit code 1 if a parser or rule is refused or unknown, 2 if the configuration is wrong.
pub fn run(args: CheckArgs) -> anyhow::Result<Outcome> {
    let config = Config::load(args.config.as_deref())?;
    Authority::configured(&config.ledger.anchors)?;
    let (parsers, refused_parsers) = node::parsers(&config, None);
    for refused in &refused_parsers {
        eprintln!("parser refused: {refused}");
    }
    let unknown_parsers = receivers::unknown_parsers(&config.receivers, &parsers);
    for name in &unknown_parsers {
        eprintln!("receivers.files: there is no parser `{name}`");
    }
    let mapping = mapping(config.detection.placeholders.as_deref())?;
    let pipelines = rules::pipelines(&config.detection.pipelines)?;
    let documents = rules::documents(&config.detection, pipelines);
    let (rules, refused_rules) = Ruleset::compile(documents.link(), &mapping);
    for refused in &refused_rules {
        eprintln!("rule refused: {refused}");
    }
    println!(
        "configuration {}; {} parsers ({} refused), {} rules ({} refused)",
        if unknown_parsers.is_empty() { "fine" } else { "names unknown parsers" },
        parsers.names().count(),
        refused_parsers.len(),
        rules.len(),
        refused_rules.len()
    );
    let fine = unknown_parsers.is_empty() && refused_parsers.is_empty() && refused_rules.is_empty();
    Ok(if fine { Outcome::Fine } else { Outcome::Findings })
}
