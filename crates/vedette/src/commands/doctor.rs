//! `vedette doctor`: what this machine allows, what stands in the way, and what to do about it.
//!
//! It looks and changes nothing. [`host`] is about the machine, [`kernel`] about what its kernel offers, [`ports`] about the
//! configured listeners; a server that runs is asked for its own health.

mod host;
mod kernel;
mod ports;

use std::path::Path;

use hyper::Method;
use serde::Serialize;

use crate::{
    Outcome,
    cli::{DoctorArgs, LineFormat},
    client::Client,
    config,
    output::{self, printable},
};

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    /// As it should be.
    Ok,
    /// Good to know; nothing that runs today needs it.
    Note,
    /// Works, but somebody should look.
    Warn,
    /// Does not work.
    Fail,
}

/// What was found out about one thing.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Finding {
    /// What was looked at.
    check: String,
    /// How it is.
    status: Status,
    /// What was seen.
    detail: String,
    /// What to do. There is always something where the status is worse than a note.
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

impl Finding {
    fn ok(check: &str, detail: impl Into<String>) -> Finding {
        Finding { check: check.into(), status: Status::Ok, detail: detail.into(), advice: None }
    }

    fn bad(check: &str, status: Status, detail: impl Into<String>, advice: impl Into<String>) -> Finding {
        Finding { check: check.into(), status, detail: detail.into(), advice: Some(advice.into()) }
    }
}

/// Runs the command. Exit code 1 if something fails.
pub fn run(args: DoctorArgs) -> anyhow::Result<Outcome> {
    let (dir, config) = config::open(&args.data)?;
    let server = Server::ask(&dir);
    let mut findings = host::look(&dir, &config);
    findings.extend(ports::look(&config, server.is_running()));
    findings.extend(kernel::look());
    findings.extend(server.findings(&dir));
    for finding in &findings {
        print(finding, args.output)?;
    }
    let count = |status| findings.iter().filter(|finding| finding.status == status).count();
    if args.output == LineFormat::Text {
        let (ok, notes) = (count(Status::Ok), count(Status::Note));
        let (warnings, failures) = (count(Status::Warn), count(Status::Fail));
        output::line(&format!("\n{ok} fine, {notes} to know, {warnings} to look at, {failures} failing"))?;
    }
    Ok(if count(Status::Fail) > 0 { Outcome::Findings } else { Outcome::Fine })
}

fn print(finding: &Finding, format: LineFormat) -> anyhow::Result<()> {
    if format == LineFormat::Json {
        return output::line(&serde_json::to_string(finding)?);
    }
    let status = match finding.status {
        Status::Ok => "ok",
        Status::Note => "note",
        Status::Warn => "WARN",
        Status::Fail => "FAIL",
    };
    output::line(&format!("{status:4}  {:22}  {}", finding.check, printable(&finding.detail)))?;
    match &finding.advice {
        Some(advice) => output::line(&format!("{:28}  -> {}", "", printable(advice))),
        None => Ok(()),
    }
}

/// The server that runs on the data folder.
enum Server {
    /// None does.
    No,
    /// One does, and may not be asked, or does not answer.
    Silent(String),
    /// What it says of each part.
    Says(Vec<Finding>),
}

impl Server {
    fn ask(dir: &Path) -> Server {
        match Client::connect(dir) {
            Ok(None) => Server::No,
            Err(error) => Server::Silent(output::with_causes(&error)),
            Ok(Some(mut client)) => match client.json(Method::GET, "/api/v1/health/detail", None) {
                Ok(answer) => Server::Says(answer["checks"].as_array().into_iter().flatten().map(part).collect()),
                Err(error) => Server::Silent(output::with_causes(&error)),
            },
        }
    }

    fn is_running(&self) -> bool {
        !matches!(self, Server::No)
    }

    fn findings(self, dir: &Path) -> Vec<Finding> {
        match self {
            Server::No => vec![Finding::bad(
                "server",
                Status::Note,
                format!("none runs on {}", dir.display()),
                "start it with `vedette up`, or name the folder of the one that runs with --data",
            )],
            Server::Silent(why) => vec![Finding::bad(
                "server",
                Status::Fail,
                why,
                "ask as the user that it runs as, or as root; if it hangs, its log says why",
            )],
            Server::Says(parts) => parts,
        }
    }
}

/// One part of the running server's own health.
fn part(check: &serde_json::Value) -> Finding {
    let name = format!("server: {}", check["name"].as_str().unwrap_or("?"));
    let detail = check["detail"].as_str().unwrap_or("works").to_owned();
    match check["status"].as_str() {
        Some("ok") => Finding::ok(&name, detail),
        status => {
            let status = if status == Some("warn") { Status::Warn } else { Status::Fail };
            Finding::bad(&name, status, detail, advice(&name))
        }
    }
}

fn advice(part: &str) -> &'static str {
    match part.trim_start_matches("server: ") {
        "rules" => {
            "`vedette rules check` with the configured folders names file, line and reason; the console's rules page shows them"
        }
        "parsers" => "`vedette check --config` names what is refused and why",
        "sources" => "`vedette sources` says which source lost how much, and why",
        "spool" => "free space on its disk, or lower `storage.max_age_days` or `storage.max_bytes`",
        "ledger" | "witnesses" => "the server's log names the reason; `vedette verify` checks what is signed already",
        _ => "the server's log says why",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_does_not_work_has_advice() {
        let fine = part(&serde_json::json!({"name": "spool", "status": "ok"}));
        assert_eq!(fine, Finding::ok("server: spool", "works"));
        let bad = part(&serde_json::json!({"name": "spool", "status": "fail", "detail": "the disk is full"}));
        assert_eq!((bad.status, bad.detail.as_str()), (Status::Fail, "the disk is full"));
        assert!(bad.advice.is_some_and(|advice| advice.contains("free space")));
        // A status of a newer server is not taken for good.
        assert_eq!(part(&serde_json::json!({"name": "x", "status": "odd"})).status, Status::Fail);
    }
}
