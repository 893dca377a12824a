//! `vedette man`: one man page for each command, made of what `--help` says.

use std::{fs, path::Path};

use anyhow::Context;
use clap::CommandFactory;

use crate::{Outcome, cli::Cli};

/// Runs the command.
pub fn run(dir: &Path) -> anyhow::Result<Outcome> {
    fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    clap_mangen::generate_to(Cli::command(), dir)
        .with_context(|| format!("cannot write the man pages into {}", dir.display()))?;
    Ok(Outcome::Fine)
}
