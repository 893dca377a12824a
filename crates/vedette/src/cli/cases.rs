//! `vedette incidents` and `vedette cases`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use vedette_event::{EventId, Level};

use super::Format;

/// `vedette incidents`.
#[derive(Debug, Args)]
pub struct IncidentsArgs {
    /// What to do (default: list).
    #[command(subcommand)]
    pub command: Option<IncidentsCommand>,
    /// Output format.
    #[arg(long, short, value_enum, default_value = "table", global = true)]
    pub output: Format,
    /// The data folder [default: ~/.local/share/vedette, for root /var/lib/vedette].
    #[arg(long, value_name = "DIR", env = "VEDETTE_DATA_DIR", global = true)]
    pub data: Option<PathBuf>,
}

/// Subcommands of `vedette incidents`.
#[derive(Debug, Subcommand)]
pub enum IncidentsCommand {
    /// List incidents, the worst first, of these the newest.
    List {
        /// Only in this state: open, closed, merged, all.
        #[arg(long, default_value = "open")]
        state: String,
        /// Only with findings of this level or worse.
        #[arg(long)]
        level: Option<Level>,
        /// At most this many.
        #[arg(long, short = 'n', default_value = "100")]
        limit: usize,
    },
    /// Show one incident with its time line and history.
    Show {
        /// The incident's number.
        id: i64,
    },
    /// Give an incident to somebody, or to nobody.
    Assign {
        /// The incident's number.
        id: i64,
        /// A user's name.
        to: Option<String>,
    },
    /// Write a note into an incident's history.
    Note {
        /// The incident's number.
        id: i64,
        /// The text.
        text: String,
    },
    /// Close an incident with a verdict: its findings add no points any more.
    Close {
        /// The incident's number.
        id: i64,
        /// true_positive, false_positive or benign.
        #[arg(long)]
        verdict: String,
        /// Why.
        #[arg(long, default_value = "")]
        note: String,
    },
}

/// `vedette cases`.
#[derive(Debug, Args)]
pub struct CasesArgs {
    /// What to do (default: list).
    #[command(subcommand)]
    pub command: Option<CasesCommand>,
    /// Output format.
    #[arg(long, short, value_enum, default_value = "table", global = true)]
    pub output: Format,
    /// The data folder [default: ~/.local/share/vedette, for root /var/lib/vedette].
    #[arg(long, value_name = "DIR", env = "VEDETTE_DATA_DIR", global = true)]
    pub data: Option<PathBuf>,
}

/// Subcommands of `vedette cases`.
#[derive(Debug, Subcommand)]
pub enum CasesCommand {
    /// List cases, those that changed last first.
    List {
        /// Only in this state: open, closed, all.
        #[arg(long, default_value = "open")]
        state: String,
        /// At most this many.
        #[arg(long, short = 'n', default_value = "100")]
        limit: usize,
    },
    /// Show one case with all that is in it.
    Show {
        /// The case's number.
        id: i64,
    },
    /// Open a case; prints its number.
    Open {
        /// What it is about.
        title: String,
        #[command(flatten)]
        members: Members,
    },
    /// Put incidents and alerts into a case.
    Add {
        /// The case's number.
        id: i64,
        #[command(flatten)]
        members: Members,
    },
    /// Take incidents and alerts out of a case.
    Remove {
        /// The case's number.
        id: i64,
        #[command(flatten)]
        members: Members,
    },
    /// Give a case to somebody, or to nobody.
    Assign {
        /// The case's number.
        id: i64,
        /// A user's name.
        to: Option<String>,
    },
    /// Add a note.
    Note {
        /// The case's number.
        id: i64,
        /// The text.
        text: String,
    },
    /// Add a task.
    Task {
        /// The case's number.
        id: i64,
        /// What is to be done.
        text: String,
    },
    /// Say that a task is done.
    Done {
        /// The case's number.
        id: i64,
        /// The task's number.
        task: i64,
        /// It is not done after all.
        #[arg(long)]
        undo: bool,
    },
    /// Add evidence: an event, or a bundle that `vedette evidence export` made.
    Evidence {
        /// The case's number.
        id: i64,
        #[command(flatten)]
        item: EvidenceArg,
        /// What it shows.
        #[arg(long)]
        comment: Option<String>,
    },
    /// Close a case with a verdict, and with it its open incidents.
    Close {
        /// The case's number.
        id: i64,
        /// true_positive, false_positive or benign.
        #[arg(long)]
        verdict: String,
        /// What it turned out to be.
        #[arg(long)]
        summary: String,
    },
    /// Open a closed case again.
    Reopen {
        /// The case's number.
        id: i64,
    },
}

/// What is in a case.
#[derive(Debug, Args)]
pub struct Members {
    /// An incident's number; may be given several times.
    #[arg(long = "incident", value_name = "ID")]
    pub incidents: Vec<i64>,
    /// An alert's number; may be given several times.
    #[arg(long = "alert", value_name = "ID")]
    pub alerts: Vec<i64>,
}

/// One piece of evidence.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct EvidenceArg {
    /// An event's id, such as 3-1042.
    #[arg(long, value_name = "ID")]
    pub event: Option<EventId>,
    /// The bundle's file; its name and its BLAKE3 hash are kept.
    #[arg(long, value_name = "FILE")]
    pub bundle: Option<PathBuf>,
}
