//! `vedette bench`: make the documented corpus, measure the stages of the way in.

mod corpus;
mod stages;

use crate::{
    Outcome,
    cli::{BenchArgs, BenchCommand},
};

/// Runs the command.
pub fn run(args: BenchArgs) -> anyhow::Result<Outcome> {
    match args.command {
        BenchCommand::Gen { events, seed, templates, output } => corpus::write(events, seed, &templates, &output),
        BenchCommand::Stages { corpus, scratch, rules } => stages::run(&corpus, &scratch, &rules),
    }
}
