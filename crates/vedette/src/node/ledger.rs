//! The ledger of a data folder, and the process that has its keys.

use std::{
    os::{fd::OwnedFd, unix::net::UnixStream, unix::process::CommandExt},
    path::Path,
    process::{Child, Command, Stdio},
};

use anyhow::Context;
use vedette_ledger::{Ledger, Options, remote::Remote};

use super::maintenance::now;
use crate::config::Config;

/// The ledger's folder in the data folder.
pub const LEDGER: &str = "ledger";
/// The sealer's.
pub const SEALER: &str = "sealer";

/// The sealer's process. It ends with the last stream to it; this waits for that.
pub struct SealerProcess(Child);

impl Drop for SealerProcess {
    fn drop(&mut self) {
        // What it signed is on disk, and nothing else of it matters.
        if let Err(error) = self.0.kill().and_then(|()| self.0.wait()) {
            tracing::warn!(%error, "cannot end the sealer");
        }
    }
}

/// Opens the ledger in a data folder, and starts the process that seals it.
///
/// # Errors
/// The sealer does not start; the ledger is damaged, in use, or not what the sealer signed.
pub fn open(dir: &Path, config: &Config) -> anyhow::Result<(Ledger, SealerProcess)> {
    let (ours, theirs) = UnixStream::pair().context("cannot make a pair of sockets")?;
    let origin = match &config.ledger.origin {
        Some(origin) => origin.clone(),
        None => default_origin()?,
    };
    let mut command = Command::new("/proc/self/exe");
    command.arg("sealer").arg("--keys").arg(dir.join(SEALER)).arg("--origin").arg(origin);
    command.env_clear().stdin(OwnedFd::from(theirs)).stdout(Stdio::null());
    // Of its own group: an interrupt from the terminal is for the monitor.
    let child = command.process_group(0).spawn().context("cannot start the sealer")?;
    let process = SealerProcess(child);
    let sealer = Remote::new(ours.try_clone().context("cannot copy a socket")?, ours);
    let options = Options { algorithm: config.ledger.algorithm, ..Options::default() };
    let ledger =
        Ledger::open(&dir.join(LEDGER), options, Box::new(sealer), now().micros()).context("cannot open the ledger")?;
    Ok((ledger, process))
}

/// A name that no other log has: this host's, and a few random digits.
fn default_origin() -> anyhow::Result<String> {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let is_plain = |char: char| char.is_ascii_alphanumeric() || matches!(char, '.' | '-');
    let host = if !host.is_empty() && host.chars().all(is_plain) { host } else { "localhost".into() };
    let mut random = [0; 4];
    getrandom::fill(&mut random).context("no random numbers")?;
    Ok(format!("{host}/vedette/{}", vedette_ledger::hex(&random)))
}
