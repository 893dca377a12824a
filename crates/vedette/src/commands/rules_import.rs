//! `vedette rules import`: rules of other engines, converted into Sigma files.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use serde_json::{Value, json};
use vedette_convert::wazuh::{Input, convert};

use crate::{
    Outcome,
    cli::{Format, RulesImport},
    commands::detect::files_below,
    output::Printer,
};

/// Largest file that is read; the converter refuses smaller ones by name.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// Runs the command.
pub fn run(from: RulesImport) -> anyhow::Result<Outcome> {
    let RulesImport::Wazuh { paths, out, parents, lists, report } = from;
    wazuh(&texts(&paths, true)?, &texts(&parents, true)?, &texts(&lists, false)?, &out, report)
}

type Texts = Vec<(String, String)>;

/// The files at these paths, and below those that are folders: there only XML, if so wanted.
fn texts(paths: &[PathBuf], only_xml: bool) -> anyhow::Result<Texts> {
    let mut texts = Vec::new();
    for path in files_below(paths)? {
        let xml = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("xml"));
        if only_xml && !xml && !paths.contains(&path) {
            continue;
        }
        let name = path.display().to_string();
        if fs::metadata(&path).with_context(|| format!("cannot read {name}"))?.len() > MAX_FILE_BYTES {
            bail!("{name} is larger than {MAX_FILE_BYTES} bytes");
        }
        let bytes = fs::read(&path).with_context(|| format!("cannot read {name}"))?;
        texts.push((name, String::from_utf8_lossy(&bytes).into_owned()));
    }
    Ok(texts)
}

fn wazuh(files: &Texts, parents: &Texts, lists: &Texts, out: &Path, report: Format) -> anyhow::Result<Outcome> {
    fn borrowed(texts: &Texts) -> Vec<(&str, &str)> {
        texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect()
    }
    let (files, parents, lists) = (borrowed(files), borrowed(parents), borrowed(lists));
    let conversion = convert(&Input { files: &files, parents: &parents, lists: &lists });
    fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    for file in &conversion.files {
        let path = out.join(&file.name);
        fs::write(&path, &file.text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let mut printer = Printer::new(report, &["status", "file", "line", "rule", "notes"])?;
    // People want to read what differs; scripts get every rule.
    for line in conversion.report.iter().filter(|line| report != Format::Table || !line.notes.is_empty()) {
        let row = json!({
            "status": line.outcome.name(), "file": &*line.file, "line": line.line,
            "rule": line.id, "title": line.title, "notes": line.notes.join("; "),
        });
        if let Value::Object(row) = row {
            printer.row(&row)?;
        }
    }
    printer.finish()?;
    let counts = conversion.counts();
    eprintln!(
        "{} converted, {} with a remark, {} only parents, {} not converted; {} files in {}",
        counts.converted,
        counts.remarked,
        counts.parents,
        counts.refused,
        conversion.files.len(),
        out.display()
    );
    Ok(if counts.refused == 0 { Outcome::Fine } else { Outcome::Findings })
}
