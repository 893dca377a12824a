//! Vedette: a security monitoring platform in one binary.
//!
//! This crate is the wiring: command line, configuration, supervision. What can be decided without a
//! process around it lives in the rooms below.
#![forbid(unsafe_code)]

mod cli;
mod client;
mod commands;
mod config;
mod node;
mod output;

use std::{io::Write, process::ExitCode};

use clap::{CommandFactory, Parser};

use crate::cli::{Cli, Command};

/// Batches come and go on many threads; the system's allocator would keep what each of them once needed.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How a command ended; the numbers are part of the outer contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All is well.
    Fine = 0,
    /// The command did its work and found what it looks for: refused rules, failed tests.
    Findings = 1,
}

/// A wrong command line or configuration; exit code 2.
#[derive(Debug)]
pub struct Usage(pub String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

fn main() -> ExitCode {
    let cli = Cli::parse();
    output::init_tracing(&cli);
    match run(cli) {
        Ok(outcome) => ExitCode::from(outcome as u8),
        Err(error) if output::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("vedette: {}", output::with_causes(&error));
            let is_usage = |cause: &(dyn std::error::Error + 'static)| {
                cause.is::<Usage>() || cause.is::<client::Refusal>() || cause.is::<vedette_event::Diagnostic>()
            };
            ExitCode::from(if error.chain().any(is_usage) { 2 } else { 3 })
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<Outcome> {
    match cli.command {
        Command::Up(args) => commands::up::run(args),
        Command::Detect(args) => commands::detect::run(args),
        Command::Rules(args) => commands::rules::run(args),
        Command::Import(args) => commands::import::run(args),
        Command::Indicators(args) => commands::indicators::run(args),
        Command::Replay(args) => commands::replay::run(args),
        Command::Hunt(args) => commands::hunt::run(args, vedette_query::Language::Hunt),
        Command::Sql(args) => commands::hunt::run(args, vedette_query::Language::Sql),
        Command::Alerts(args) => commands::alerts::run(args),
        Command::Incidents(args) => commands::incidents::run(args),
        Command::Cases(args) => commands::cases::run(args),
        Command::Sources(args) => commands::sources::run(args),
        Command::Tail(args) => commands::tail::run(args),
        Command::Top(args) => commands::top::run(args),
        Command::Doctor(args) => commands::doctor::run(args),
        Command::Check(args) => commands::check::run(args),
        Command::Bench(args) => commands::bench::run(args),
        Command::Verify(args) => commands::verify::run(args),
        Command::Evidence(args) => commands::custody::evidence(args),
        Command::Erase(args) => commands::custody::erase(args),
        Command::Backup(args) => commands::custody::backup(args),
        Command::Restore(args) => commands::restore::run(args),
        Command::Hold(args) => commands::custody::hold(args),
        Command::Witness(args) => commands::witness::run(args),
        Command::Sealer(args) => commands::sealer::run(args),
        Command::Completions { shell } => {
            // Into memory first: the generator panics where the reader of our output has gone away.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "vedette", &mut script);
            std::io::stdout().write_all(&script)?;
            Ok(Outcome::Fine)
        }
        Command::Man { dir } => commands::man::run(&dir),
    }
}
