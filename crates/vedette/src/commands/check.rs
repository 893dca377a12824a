//! `vedette check`: a dry load of configuration, parsers and rules.

use crate::{
    Outcome,
    cli::CheckArgs,
    config::Config,
    node::{self, rules},
};

/// Runs the command. Exit code 1 if a parser or rule is refused, 2 if the configuration is wrong.
pub fn run(args: CheckArgs) -> anyhow::Result<Outcome> {
    let config = Config::load(args.config.as_deref())?;
    let (parsers, refused_parsers) = node::parsers(&config);
    for refused in &refused_parsers {
        eprintln!("parser refused: {refused}");
    }
    let (program, refused_rules) =
        rules::compile(rules::load(&config.detection), &rules::mapping(config.detection.placeholders.as_deref())?);
    for refused in &refused_rules {
        eprintln!("rule refused: {refused}");
    }
    println!(
        "configuration fine; {} parsers ({} refused), {} rules ({} refused)",
        parsers.names().count(),
        refused_parsers.len(),
        program.len(),
        refused_rules.len()
    );
    let fine = refused_parsers.is_empty() && refused_rules.is_empty();
    Ok(if fine { Outcome::Fine } else { Outcome::Findings })
}
