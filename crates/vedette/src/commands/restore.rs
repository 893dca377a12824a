//! `vedette restore`: a data folder of a backup.

use std::{
    fs,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use anyhow::Context;

use super::verify;
use crate::{
    Outcome, Usage,
    cli::{Format, RestoreArgs, VerifyArgs},
    config,
    node::ledger::{LEDGER, SEALER},
    output,
};

/// Runs the command. Exit code 1 if what was restored is not as it was signed.
pub fn run(args: RestoreArgs) -> anyhow::Result<Outcome> {
    if !args.from.join(LEDGER).is_dir() {
        return Err(Usage(format!("{} is no backup: it has no `{LEDGER}`", args.from.display())).into());
    }
    let dir = config::data_dir(args.data.as_deref(), None);
    if dir.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(Usage(format!("{} is there already, and not empty", dir.display())).into());
    }
    let files = files_below(&args.from)?;
    let total = files.iter().map(|file| fs::metadata(file).map_or(0, |metadata| metadata.len())).sum();
    let bar = output::byte_bar(total);
    for file in &files {
        let to = dir.join(file.strip_prefix(&args.from)?);
        bar.inc(copy(file, &to)?);
    }
    if let Some(keys) = &args.keys {
        for file in files_below(keys)? {
            copy(&file, &dir.join(SEALER).join(file.strip_prefix(keys)?))?;
        }
    }
    bar.finish_and_clear();
    output::line(&format!("{} from {}", dir.display(), output::counted(files.len() as u64, "file")))?;
    if !dir.join(SEALER).join("log.key").exists() {
        output::line("without the ledger's keys it can be verified, not continued: give them with --keys")?;
    }
    match args.verify {
        true => verify::run(VerifyArgs { path: Some(dir), policy: args.policy, output: Format::Table }),
        false => Ok(Outcome::Fine),
    }
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<u64> {
    if let Some(parent) = to.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    }
    let bytes = fs::copy(from, to).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    fs::File::open(to)?.sync_all()?;
    Ok(bytes)
}

fn files_below(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let (mut files, mut folders) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
            let path = entry?.path();
            let kind = fs::symlink_metadata(&path)?.file_type();
            // A backup has no links: one would lead to what is not of it.
            anyhow::ensure!(kind.is_dir() || kind.is_file(), "{} is neither a file nor a folder", path.display());
            if kind.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    Ok(files)
}
