//! `vedette evidence`, `vedette erase`, `vedette hold`: through the running server, or over the folder.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::Arc,
};

use anyhow::Context;
use hyper::Method;
use serde_json::json;
use tokio::runtime::Runtime;
use vedette_server::{Action, Custody, CustodyError, Erased, Hold, Local, Selection};

use super::hunt;
use crate::{
    Outcome, Usage,
    cli::{
        BackupArgs, DataArgs, EraseArgs, EvidenceArgs, EvidenceCommand, Format, HoldArgs, HoldCommand, SelectionArgs,
    },
    client::Client,
    config,
    node::{attended::Attended, custody::Keeper, journal::SelfJournal, ledger::SEALER, local_backup, maintenance::now},
    output::{self, Printer, counted},
};

/// Runs `vedette evidence`.
pub fn evidence(args: EvidenceArgs) -> anyhow::Result<Outcome> {
    let EvidenceCommand::Export { selection, whole, output: path } = args.command;
    let selected = select(&selection)?;
    if path.try_exists()? {
        return Err(Usage(format!("{} is there already", path.display())).into());
    }
    // Before anything is exported: whoever cannot keep it must not have it.
    let partial = path.with_extension("partial");
    let mut options = File::options();
    let file = options.write(true).create_new(true).mode(0o600).open(&partial);
    let mut file = file.with_context(|| format!("cannot write {}", partial.display()))?;
    let written = Custodian::open(&selection.data).and_then(|mut custodian| {
        let bytes = custodian.export(&selected, whole, &mut file)?;
        file.sync_all().with_context(|| format!("cannot write {}", partial.display()))?;
        Ok((custodian, bytes))
    });
    match written {
        Ok((custodian, bytes)) => {
            fs::rename(&partial, &path)?;
            custodian.finish()?;
            output::line(&format!("{} ({bytes} bytes); check it with `vedette verify {0}`", path.display()))?;
            Ok(Outcome::Fine)
        }
        Err(error) => {
            fs::remove_file(&partial)?;
            Err(error)
        }
    }
}

/// Runs `vedette backup`.
pub fn backup(args: BackupArgs) -> anyhow::Result<Outcome> {
    let to = std::path::absolute(&args.to)?;
    let keys = args.keys.as_deref().map_or_else(|| Ok(to.join(SEALER)), std::path::absolute)?;
    if args.keys.is_none() && to.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(Usage(format!("{} is there already, and not empty", to.display())).into());
    }
    let mut custodian = Custodian::open(&args.data)?;
    let bytes = custodian.backup(&to, &keys)?;
    custodian.finish()?;
    output::line(&format!("{} ({bytes} bytes of segments); check it with `vedette verify {0}`", to.display()))?;
    if args.keys.is_none() {
        output::line("the ledger's keys are in it: keep it as safe as the monitor itself, or use --keys")?;
    }
    Ok(Outcome::Fine)
}

/// Runs `vedette erase`.
pub fn erase(args: EraseArgs) -> anyhow::Result<Outcome> {
    let selected = select(&args.selection)?;
    let mut custodian = Custodian::open(&args.selection.data)?;
    let erased = custodian.erase(&selected, &args.reason, !args.yes)?;
    custodian.finish()?;
    if args.output == Format::Json {
        output::line(&serde_json::to_string(&erased)?)?;
        return Ok(Outcome::Fine);
    }
    let events = counted(erased.events, "event");
    match args.yes {
        true => output::line(&format!("{events} erased"))?,
        false => output::line(&format!("{events} would be erased for good; add --yes"))?,
    }
    if erased.held > 0 {
        output::line(&format!(
            "{} on legal hold: nothing is erased while that is so",
            counted(erased.held, "more event")
        ))?;
    }
    if !erased.quoted_by.is_empty() {
        let ids = erased.quoted_by.join(" or event.id:");
        output::line(&format!("findings quote them; erase these too with the query: event.id:{ids}"))?;
    }
    Ok(Outcome::Fine)
}

/// Runs `vedette hold`.
pub fn hold(args: HoldArgs) -> anyhow::Result<Outcome> {
    let data = match &args.command {
        HoldCommand::Set { data, .. } | HoldCommand::Lift { data, .. } | HoldCommand::List { data, .. } => data,
    };
    let mut custodian = Custodian::open(data)?;
    match args.command {
        HoldCommand::Set { name, reason, source, from, to, .. } => {
            let time = |text: Option<String>| hunt::time(text.as_deref()).map(|time| time.map(|time| time.to_string()));
            let (from, to) = (time(from)?, time(to)?);
            let hold = Hold { name, reason, source, from, to, by: String::new(), since: String::new() };
            custodian.hold(hold)?;
        }
        HoldCommand::Lift { name, .. } => custodian.lift(&name)?,
        HoldCommand::List { output, .. } => {
            let holds = custodian.holds()?;
            let mut printer = Printer::new(output, &["name", "source", "from", "to", "reason", "by", "since"])?;
            for hold in &holds {
                if let serde_json::Value::Object(row) = serde_json::to_value(hold)? {
                    printer.row(&row)?;
                }
            }
            printer.finish()?;
            if holds.is_empty() && output == Format::Table {
                eprintln!("no legal holds");
            }
        }
    }
    custodian.finish()?;
    Ok(Outcome::Fine)
}

fn select(args: &SelectionArgs) -> anyhow::Result<Selection> {
    let (from, to) = (hunt::time(args.from.as_deref())?, hunt::time(args.to.as_deref())?);
    Ok(Selection { query: args.query.clone(), from, to })
}

/// Who does it: the server that runs on the folder, or this process.
enum Custodian {
    Server(Client),
    Folder { folder: Box<Attended>, keeper: Keeper, _runtime: Runtime },
}

impl Custodian {
    fn open(args: &DataArgs) -> anyhow::Result<Custodian> {
        let (dir, config) = config::open(args)?;
        if let Some(client) = Client::connect(&dir)? {
            return Ok(Custodian::Server(client));
        }
        config::must_exist(&dir)?;
        let folder = Attended::open(&dir, &config)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let node = &folder.node;
        let rooms = Arc::new(Local::new(node.spool.clone(), node.store.clone(), node.engine.clone()));
        let keeper = Keeper::new(node, rooms, SelfJournal::new(&node.spool)?, runtime.handle().clone());
        if let Err(error) = keeper.finish_erasure() {
            tracing::error!("{error:#}");
        }
        Ok(Custodian::Folder { folder: Box::new(folder), keeper, _runtime: runtime })
    }

    fn export(&mut self, selection: &Selection, whole: bool, out: &mut impl Write) -> anyhow::Result<u64> {
        Ok(match self {
            Custodian::Server(client) => {
                let mut body = body(selection);
                body["whole"] = whole.into();
                let mut bundle = client.send(Method::POST, "/api/v1/evidence", Some(&body))?;
                io::copy(&mut bundle, out)?
            }
            Custodian::Folder { keeper, .. } => {
                let mut bundle = keeper.export(selection, whole, action("evidence.export", None)).map_err(refused)?;
                io::copy(&mut bundle, out)?
            }
        })
    }

    fn backup(&mut self, to: &Path, keys: &Path) -> anyhow::Result<u64> {
        match self {
            Custodian::Server(client) => {
                let body = json!({ "to": to, "keys": keys });
                Ok(serde_json::from_value(client.json(Method::POST, local_backup::PATH, Some(&body))?)?)
            }
            Custodian::Folder { keeper, .. } => {
                let action = action("backup.make", Some(to.display().to_string()));
                keeper.back_up(to, keys, action).map_err(refused)
            }
        }
    }

    fn erase(&mut self, selection: &Selection, reason: &str, dry_run: bool) -> anyhow::Result<Erased> {
        match self {
            Custodian::Server(client) => {
                let mut body = body(selection);
                (body["reason"], body["dry_run"]) = (reason.into(), dry_run.into());
                Ok(serde_json::from_value(client.json(Method::POST, "/api/v1/erasure", Some(&body))?)?)
            }
            Custodian::Folder { keeper, .. } if dry_run => keeper.erasable(selection).map_err(refused),
            Custodian::Folder { keeper, .. } => {
                keeper.erase(selection, reason, action("event.erase", None)).map_err(refused)
            }
        }
    }

    fn holds(&mut self) -> anyhow::Result<Vec<Hold>> {
        match self {
            Custodian::Server(client) => {
                let mut answer = client.json(Method::GET, "/api/v1/holds", None)?;
                Ok(serde_json::from_value(answer["holds"].take())?)
            }
            Custodian::Folder { keeper, .. } => Ok(keeper.holds()),
        }
    }

    fn hold(&mut self, hold: Hold) -> anyhow::Result<()> {
        match self {
            Custodian::Server(client) => {
                let body = serde_json::to_value(&hold)?;
                io::copy(&mut client.send(Method::POST, "/api/v1/holds", Some(&body))?, &mut io::sink())?;
                Ok(())
            }
            Custodian::Folder { keeper, .. } => {
                let action = action("hold.set", Some(hold.name.clone()));
                keeper.hold(hold, action).map_err(refused)
            }
        }
    }

    fn lift(&mut self, name: &str) -> anyhow::Result<()> {
        match self {
            Custodian::Server(client) => {
                let encoded: String = name.bytes().map(crate::client::percent).collect();
                let path = format!("/api/v1/holds/{encoded}");
                io::copy(&mut client.send(Method::DELETE, &path, None)?, &mut io::sink())?;
                Ok(())
            }
            Custodian::Folder { keeper, .. } => {
                keeper.lift(name, action("hold.lift", Some(name.to_owned()))).map_err(refused)
            }
        }
    }

    fn finish(self) -> anyhow::Result<()> {
        match self {
            Custodian::Server(_) => Ok(()),
            Custodian::Folder { folder, .. } => folder.finish(),
        }
    }
}

fn body(selection: &Selection) -> serde_json::Value {
    json!({
        "query": selection.query,
        "from": selection.from.map(|time| time.to_string()),
        "to": selection.to.map(|time| time.to_string()),
    })
}

/// An action of whoever runs this command.
pub(super) fn action(what: &'static str, target: Option<String>) -> Action {
    let who = format!("local:{}", rustix::process::getuid().as_raw());
    Action { time: now(), who, address: None, what, target, details: Vec::new(), failure: None }
}

fn refused(error: CustodyError) -> anyhow::Error {
    match error {
        CustodyError::Failed(message) => anyhow::anyhow!(message),
        refused => Usage(refused.to_string()).into(),
    }
}
