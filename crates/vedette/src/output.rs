//! How results, progress and errors reach people and scripts.

use std::io::{self, IsTerminal, Write};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value};

use crate::cli::{Cli, Command, Format};

/// Log lines go to standard error: at `info` for `up`, at `warn` for everything else, more with -v;
/// `VEDETTE_LOG` overrides.
pub fn init_tracing(cli: &Cli) {
    let level = match (cli.verbose, &cli.command) {
        (0, Command::Up(_)) => "info",
        (0, _) => "warn",
        (1, _) => "debug",
        _ => "trace",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("VEDETTE_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(format!("warn,vedette={level},{}", rooms(level))));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false)
        .init();
}

fn rooms(level: &str) -> String {
    ["spool", "ledger", "intake", "store", "query", "alert", "server"]
        .map(|room| format!("vedette_{room}={level}"))
        .join(",")
}

/// True if the reader of our output has gone away, as `head` does: not an error.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .any(|cause| cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe))
}

/// An error and its causes; a cause that the message before it has told already is not told twice.
pub fn with_causes(error: &anyhow::Error) -> String {
    let mut told = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !told.contains(&cause) {
            told = format!("{told}: {cause}");
        }
    }
    told
}

/// `1 file`, `2 files`, `2 entries`, `2 batches`.
pub fn counted(count: u64, noun: &str) -> String {
    match noun.strip_suffix('y') {
        _ if count == 1 => format!("{count} {noun}"),
        Some(stem) => format!("{count} {stem}ies"),
        None if noun.ends_with("ch") => format!("{count} {noun}es"),
        None => format!("{count} {noun}s"),
    }
}

/// Prints a line of a result.
///
/// # Errors
/// Standard output is closed.
pub fn line(text: &str) -> anyhow::Result<()> {
    Ok(writeln!(io::stdout().lock(), "{text}")?)
}

/// A running count; invisible unless standard error is a terminal.
pub fn counter(what: &str) -> ProgressBar {
    let bar = if io::stderr().is_terminal() { ProgressBar::no_length() } else { ProgressBar::hidden() };
    let style = ProgressStyle::with_template("{spinner} {human_pos} {msg} ({per_sec})")
        .expect("the template is a constant that tests parse");
    bar.set_style(style);
    bar.set_message(what.to_owned());
    bar
}

/// A bar over bytes with rate and remaining time; invisible unless standard error is a terminal.
pub fn byte_bar(total: u64) -> ProgressBar {
    let bar = if io::stderr().is_terminal() { ProgressBar::new(total) } else { ProgressBar::hidden() };
    let style = ProgressStyle::with_template("{wide_msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}")
        .expect("the template is a constant that tests parse");
    bar.set_style(style);
    bar
}

/// A bar over steps with remaining time; invisible unless standard error is a terminal.
pub fn step_bar() -> ProgressBar {
    let bar = if io::stderr().is_terminal() { ProgressBar::new(0) } else { ProgressBar::hidden() };
    let style = ProgressStyle::with_template("{bar:30} {percent} % {eta}")
        .expect("the template is a constant that tests parse");
    bar.set_style(style);
    bar
}

/// Prints rows of named values in the wanted format.
pub struct Printer {
    format: Format,
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
    out: io::BufWriter<io::StdoutLock<'static>>,
}

impl Printer {
    /// A printer of these columns.
    ///
    /// # Errors
    /// Standard output is closed.
    pub fn new(format: Format, columns: &[&str]) -> io::Result<Self> {
        let mut out = io::BufWriter::new(io::stdout().lock());
        if format == Format::Csv {
            writeln!(out, "{}", columns.iter().map(|name| csv(name)).collect::<Vec<_>>().join(","))?;
        }
        Ok(Printer { format, columns: columns.iter().map(|&name| name.to_owned()).collect(), rows: Vec::new(), out })
    }

    /// Adds a row; JSON and CSV are printed at once, a table when it is complete.
    ///
    /// # Errors
    /// Standard output is closed.
    pub fn row(&mut self, row: &Map<String, Value>) -> io::Result<()> {
        match self.format {
            Format::Json => {
                serde_json::to_writer(&mut self.out, row)?;
                writeln!(self.out)
            }
            Format::Csv => {
                let cells: Vec<_> = self.columns.iter().map(|name| csv(&text(row.get(name)))).collect();
                writeln!(self.out, "{}", cells.join(","))
            }
            Format::Table => {
                self.rows.push(self.columns.iter().map(|name| printable(&text(row.get(name)))).collect());
                Ok(())
            }
        }
    }

    /// Prints what is left.
    ///
    /// # Errors
    /// Standard output is closed.
    pub fn finish(mut self) -> io::Result<()> {
        if self.format == Format::Table && !self.rows.is_empty() {
            let last = self.columns.len().saturating_sub(1);
            let widths: Vec<usize> = (0..self.columns.len())
                .map(|column| {
                    let cells = self.rows.iter().map(|row| row[column].chars().count());
                    cells.chain([self.columns[column].chars().count()]).max().unwrap_or(0).min(60)
                })
                .collect();
            for row in std::iter::once(&self.columns).chain(&self.rows) {
                for (column, cell) in row.iter().enumerate() {
                    if column == last {
                        write!(self.out, "{cell}")?;
                    } else {
                        write!(self.out, "{cell:width$}  ", width = widths[column])?;
                    }
                }
                writeln!(self.out)?;
            }
        }
        self.out.flush()
    }
}

/// A JSON value as a cell.
pub fn text(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(values)) => values.iter().map(|value| text(Some(value))).collect::<Vec<_>>().join(", "),
        Some(other) => other.to_string(),
    }
}

/// Control characters of hostile log lines must not reach the terminal.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// RFC 4180 quoting.
fn csv(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells() {
        assert_eq!(["entry", "batch"].map(|noun| counted(2, noun)), ["2 entries", "2 batches"]);
        assert_eq!(csv("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!(printable("a\u{1b}[31mb"), "a\u{fffd}[31mb");
        assert_eq!(text(Some(&serde_json::json!(["a", 1]))), "a, 1");
        byte_bar(1).finish();
        assert_eq!([1, 2].map(|count| counted(count, "file")), ["1 file", "2 files"]);
    }

    #[test]
    fn causes_are_told_once() {
        let cause = || anyhow::anyhow!("no such file");
        assert_eq!(with_causes(&cause().context("cannot read a.yml: no such file")), "cannot read a.yml: no such file");
        assert_eq!(with_causes(&cause().context("cannot read a.yml")), "cannot read a.yml: no such file");
    }
}
