//! The command line: commands, options and their defaults are an outer contract.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

mod cases;

pub use cases::{CasesArgs, CasesCommand, EvidenceArg, IncidentsArgs, IncidentsCommand, Members};

/// A security monitoring platform in one binary.
#[derive(Debug, Parser)]
#[command(version, about, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    /// More log lines on standard error (-v: debug, -vv: trace).
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// What Vedette can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the monitor on this machine: local sources, receivers, detection, API and page.
    Up(UpArgs),
    /// Detect offline over EVTX, NDJSON and log files: one finding per line.
    Detect(DetectArgs),
    /// Check and test Sigma rules and parsers.
    Rules(RulesArgs),
    /// Bring files into the store, as source `import:<job>`.
    Import(ImportArgs),
    /// Search: a search box, or pipes (`sshd failed | summarize n=count() by source.ip`).
    #[command(after_help = HUNT_HELP)]
    Hunt(QueryArgs),
    /// Search with SQL over the table `events`.
    Sql(QueryArgs),
    /// Indicators of compromise: check feeds, or ask them for a value.
    Indicators(IndicatorsArgs),
    /// Stored history through the rules again: those in force must find what was found when it happened; with others, what
    /// they would have found.
    #[command(after_help = REPLAY_HELP)]
    Replay(ReplayArgs),
    /// The inbox: list, show, acknowledge and close alerts.
    Alerts(AlertsArgs),
    /// Findings that belong together: list, show, assign and close incidents.
    Incidents(IncidentsArgs),
    /// Investigations: incidents with notes, tasks and evidence under one title, until a verdict.
    Cases(CasesArgs),
    /// The loss ledger: received = stored + refused + shed, for every source.
    Sources(SourcesArgs),
    /// Live search: shows events of the running monitor as they arrive.
    #[command(after_help = TAIL_HELP)]
    Tail(TailArgs),
    /// Live view of the running monitor: rates, losses, alerts, and what the rules cost.
    Top(TopArgs),
    /// What this machine allows and what stands in the way, with advice; exit 1 if something fails.
    Doctor(DoctorArgs),
    /// Export events with everything that proves them, to be checked far from here.
    Evidence(EvidenceArgs),
    /// Erase events for good (GDPR): of each only its hash is left, and every other event's proof stays whole.
    Erase(EraseArgs),
    /// Copy the data folder as it is at one moment, while a monitor may work on it.
    Backup(BackupArgs),
    /// Make a data folder of a backup, and verify it.
    Restore(RestoreArgs),
    /// Legal holds: what they cover is neither deleted nor erased.
    Hold(HoldArgs),
    /// Check a data folder or an evidence bundle against what was signed; names everything that was changed, removed or forged.
    Verify(VerifyArgs),
    /// Cosign the checkpoints of other monitors' logs (C2SP tlog-witness).
    Witness(WitnessArgs),
    /// Check a configuration, its parsers and its rules without starting.
    Check(CheckArgs),
    /// The documented figures: make a corpus, measure.
    Bench(BenchArgs),
    /// The process that has the ledger's keys; `up` starts it, with the other end of its standard input.
    #[command(hide = true)]
    Sealer(SealerArgs),
    /// Print a shell completion script.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Write the man pages, one for each command, into a folder.
    Man {
        /// The folder; it is made if it is not there.
        dir: PathBuf,
    },
}

const TAIL_HELP: &str = "Examples:
  vedette tail                                        every event
  vedette tail 'sshd failed -event.module:vedette'    a search without pipes
  vedette tail -n 1 'event.kind:alert'                waits for one
What was not shown because this reader was too slow, or while the monitor was away, is said on standard error, and is found by
`vedette hunt`.";

const HUNT_HELP: &str = "Examples:
  vedette hunt 'failed password'
  vedette hunt 'source.ip:192.0.2.0/24 and event.outcome:failure' --from -24h
  vedette hunt 'event.dataset:linux.sshd | summarize n=count() by source.ip | sort n desc | take 10'
The language is described in docs/query.md.";

const REPLAY_HELP: &str = "Examples:
  vedette replay                              are findings as they were recorded?
  vedette replay -r new-rule.yml --from -7d   what would this rule have found?
Exit code 1: the rules in force and the records do not agree. See docs/sigma.md.";

/// How results are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Columns for people.
    #[default]
    Table,
    /// One JSON object per line.
    Json,
    /// Comma-separated values with a header.
    Csv,
}

/// Which data folder, with which configuration.
#[derive(Clone, Debug, Args)]
pub struct DataArgs {
    /// The data folder [default: the configuration's, else ~/.local/share/vedette, for root /var/lib/vedette].
    #[arg(long, value_name = "DIR", env = "VEDETTE_DATA_DIR")]
    pub data: Option<PathBuf>,
    /// Configuration file (YAML) [default: what `up` last ran with on this data folder].
    #[arg(long, short, value_name = "FILE", env = "VEDETTE_CONFIG")]
    pub config: Option<PathBuf>,
}

/// `vedette sealer`.
#[derive(Debug, Args)]
pub struct SealerArgs {
    /// The folder with the keys.
    #[arg(long)]
    pub keys: PathBuf,
    /// Name of a log that is new.
    #[arg(long)]
    pub origin: String,
}

/// `vedette up`.
#[derive(Debug, Args)]
pub struct UpArgs {
    #[command(flatten)]
    pub data: DataArgs,
    /// A folder with the built console, instead of the one in the binary.
    #[arg(long, value_name = "DIR")]
    pub console_dir: Option<PathBuf>,
}

/// `vedette verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The data folder [default: as for `up`], or an evidence bundle.
    #[arg(value_name = "PATH")]
    pub path: Option<PathBuf>,
    /// Keys to believe, kept outside of the folder: `log VKEY`, `epoch0 HEX`, `witness VKEY`, `quorum N`, `tsa BASE64` lines.
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// How the result is printed.
    #[arg(long, short, value_enum, default_value = "table")]
    pub output: Format,
}

/// Which events.
#[derive(Debug, Args)]
pub struct SelectionArgs {
    /// A search without pipes, as for `hunt`.
    #[arg(long)]
    pub query: String,
    /// Only events from this time on: RFC 3339, a date, or back from now (`-24h`, `-30m`, `-7d`).
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub from: Option<String>,
    /// Only events before this time.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub to: Option<String>,
    #[command(flatten)]
    pub data: DataArgs,
}

/// `vedette evidence`.
#[derive(Debug, Args)]
pub struct EvidenceArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: EvidenceCommand,
}

/// Subcommands of `vedette evidence`.
#[derive(Debug, Subcommand)]
pub enum EvidenceCommand {
    /// Write a bundle: original events, the paths from them to a signed checkpoint, the keys. `vedette verify` checks it offline.
    Export {
        #[command(flatten)]
        selection: SelectionArgs,
        /// Of every source with a found event, all events from the first found to the last: proves that none was left out.
        #[arg(long)]
        whole: bool,
        /// The file to write.
        #[arg(long, short, value_name = "FILE")]
        output: PathBuf,
    },
}

/// `vedette erase`.
#[derive(Debug, Args)]
pub struct EraseArgs {
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// Why; it is journalled, and so is who did it.
    #[arg(long)]
    pub reason: String,
    /// Do it; otherwise it is only said what would be erased.
    #[arg(long)]
    pub yes: bool,
    /// How the result is printed.
    #[arg(long, short, value_enum, default_value = "table")]
    pub output: Format,
}

/// `vedette backup`.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The folder to make.
    #[arg(long, value_name = "DIR")]
    pub to: PathBuf,
    /// Put the ledger's keys into this folder instead, to be kept elsewhere: who has them can sign in the monitor's name.
    #[arg(long, value_name = "DIR")]
    pub keys: Option<PathBuf>,
    #[command(flatten)]
    pub data: DataArgs,
}

/// `vedette restore`.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The backup.
    #[arg(value_name = "BACKUP")]
    pub from: PathBuf,
    /// The folder with the ledger's keys, if `backup` put them elsewhere. Without keys the folder can be verified, not continued.
    #[arg(long, value_name = "DIR")]
    pub keys: Option<PathBuf>,
    /// The data folder to make [default: as for `up`].
    #[arg(long, value_name = "DIR", env = "VEDETTE_DATA_DIR")]
    pub data: Option<PathBuf>,
    /// Verify what was restored; exit 1 if anything is not as it was signed.
    #[arg(long)]
    pub verify: bool,
    /// Keys to believe: see `vedette verify`.
    #[arg(long, value_name = "FILE", requires = "verify")]
    pub policy: Option<PathBuf>,
}

/// `vedette hold`.
#[derive(Debug, Args)]
pub struct HoldArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: HoldCommand,
}

/// Subcommands of `vedette hold`.
#[derive(Debug, Subcommand)]
pub enum HoldCommand {
    /// Set a hold, on everything or on what the options say.
    Set {
        /// Its name, such as the number of a case.
        name: String,
        /// Why.
        #[arg(long, default_value = "")]
        reason: String,
        /// Only events of this source, by name.
        #[arg(long)]
        source: Option<String>,
        /// Only events received from this time on: RFC 3339, a date, or back from now (`-24h`).
        #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
        from: Option<String>,
        /// Only events received before this time.
        #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
        to: Option<String>,
        #[command(flatten)]
        data: DataArgs,
    },
    /// Lift a hold.
    Lift {
        /// Its name.
        name: String,
        #[command(flatten)]
        data: DataArgs,
    },
    /// List the holds.
    List {
        /// Output format.
        #[arg(long, short, value_enum, default_value = "table")]
        output: Format,
        #[command(flatten)]
        data: DataArgs,
    },
}

/// `vedette witness`.
#[derive(Debug, Args)]
pub struct WitnessArgs {
    /// Address to listen on (plain HTTP: what it receives is signed, what it answers too).
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8440")]
    pub listen: SocketAddr,
    /// The folder with its key and what it has seen.
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Name of a key that is made anew, such as `witness.example.org/w1`.
    #[arg(long, value_name = "NAME", default_value = "vedette-witness")]
    pub name: String,
    /// Keys of the logs that it cosigns, or files with them: a monitor's is `ledger/log.vkey` in its data folder.
    #[arg(long = "log", value_name = "VKEY", required = true, num_args = 1..)]
    pub logs: Vec<String>,
}

/// `vedette check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Configuration file (YAML).
    #[arg(long, short, value_name = "FILE", env = "VEDETTE_CONFIG")]
    pub config: Option<PathBuf>,
}

/// `vedette detect`.
#[derive(Debug, Args)]
pub struct DetectArgs {
    /// Rule files or folders (default: the built-in rules).
    #[arg(long, short, value_name = "PATH", num_args = 1..)]
    pub rules: Vec<PathBuf>,
    /// A processing pipeline of pySigma (YAML) that the rules go through first; may be given again.
    #[arg(long = "pipeline", value_name = "FILE")]
    pub pipelines: Vec<PathBuf>,
    /// Value table for `expand` placeholders: YAML, `name: [value, …]`.
    #[arg(long, value_name = "FILE")]
    pub placeholders: Option<PathBuf>,
    /// Files or folders to read.
    #[arg(required = true, value_name = "INPUT")]
    pub inputs: Vec<PathBuf>,
    /// Output format.
    #[arg(long, short, value_enum, default_value = "table")]
    pub output: Format,
}

/// `vedette rules`.
#[derive(Debug, Args)]
pub struct RulesArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: RulesCommand,
}

/// Subcommands of `vedette rules`.
#[derive(Debug, Subcommand)]
pub enum RulesCommand {
    /// Which rules load, and which are refused with file, line and reason; exit 1 if any is refused.
    Check {
        /// Rule files or folders (default: the built-in rules).
        rules: Vec<PathBuf>,
        /// A processing pipeline of pySigma (YAML) that the rules go through first; may be given again.
        #[arg(long = "pipeline", value_name = "FILE")]
        pipelines: Vec<PathBuf>,
        /// Value table for `expand` placeholders: YAML, `name: [value, …]`.
        #[arg(long, value_name = "FILE")]
        placeholders: Option<PathBuf>,
        /// Output format.
        #[arg(long, short, value_enum, default_value = "table")]
        output: Format,
    },
    /// What the rules in force cover of ATT&CK, and which log sources no source feeds.
    Coverage {
        #[command(flatten)]
        data: DataArgs,
        /// Write a layer for the ATT&CK Navigator to this file.
        #[arg(long, value_name = "FILE")]
        navigator: Option<PathBuf>,
        /// Output format: a line for each log source, or with `json` all there is.
        #[arg(long, short, value_enum, default_value = "table")]
        output: Format,
    },
    /// What rules would have found in stored history; without rules, what retro-hunts came to of late.
    Hunt(RetrohuntArgs),
    /// Convert rules of another engine into Sigma; exit 1 if any rule could not be converted.
    Import {
        /// Whose rules.
        #[command(subcommand)]
        from: RulesImport,
    },
    /// Why a rule matches an event, or which part of it failed and what the event had instead; exit 1 if it does not match.
    Why(WhyArgs),
    /// Run the tests that lie beside rules (`*.test.yml`) and inside parsers; exit 1 if any fails.
    Test {
        /// Rule or parser files or folders (default: the built-in ones).
        paths: Vec<PathBuf>,
        /// Output format.
        #[arg(long, short, value_enum, default_value = "table")]
        output: Format,
    },
}

/// `vedette rules hunt`.
#[derive(Debug, Args)]
pub struct RetrohuntArgs {
    /// Rule files or folders. Nothing is saved, and no alert is made.
    pub rules: Vec<PathBuf>,
    /// Events that were received in the last so many days.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub days: u32,
    #[command(flatten)]
    pub data: DataArgs,
    /// Output format: a line for each rule, or with `json` all there is of it.
    #[arg(long, short, value_enum, default_value = "table")]
    pub output: Format,
}

/// `vedette rules why`.
#[derive(Debug, Args)]
pub struct WhyArgs {
    /// The rule's id, name or title.
    #[arg(value_name = "RULE")]
    pub rule: String,
    /// An event of the store by its id (`3-1042`), a file of records, or `-` for one record from standard input.
    #[arg(value_name = "EVENT")]
    pub event: String,
    /// Rule files or folders (default: the built-in rules).
    #[arg(long, short, value_name = "PATH", num_args = 1..)]
    pub rules: Vec<PathBuf>,
    /// A processing pipeline of pySigma (YAML) that the rules go through first; may be given again.
    #[arg(long = "pipeline", value_name = "FILE")]
    pub pipelines: Vec<PathBuf>,
    /// Value table for `expand` placeholders: YAML, `name: [value, …]`.
    #[arg(long, value_name = "FILE")]
    pub placeholders: Option<PathBuf>,
    #[command(flatten)]
    pub data: DataArgs,
    /// Output format: lines to read, or with `json` all that was asked and answered.
    #[arg(long, short, value_enum, default_value = "table")]
    pub output: Format,
}

/// Subcommands of `vedette rules import`.
#[derive(Debug, Subcommand)]
pub enum RulesImport {
    /// Wazuh 4 rules (XML).
    Wazuh {
        /// Rule files, or folders of them (`*.xml`).
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// The folder for the Sigma files; it is made if it is not there.
        #[arg(long = "out", short = 'o', value_name = "DIR")]
        out: PathBuf,
        /// Rules that are read only as parents of those, such as Wazuh's own ruleset.
        #[arg(long, value_name = "PATH", num_args = 1..)]
        parents: Vec<PathBuf>,
        /// CDB lists in their text form, or folders of them.
        #[arg(long, value_name = "PATH", num_args = 1..)]
        lists: Vec<PathBuf>,
        /// How the report is printed.
        #[arg(long, value_enum, default_value = "table")]
        report: Format,
    },
}

/// `vedette import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// Files or folders: NDJSON, EVTX, plain logs, CloudTrail, Suricata EVE, Zeek; gzip and zstd are unpacked.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The job's name; its source is `import:<job>` (default: the file's name).
    #[arg(long, value_name = "NAME")]
    pub job: Option<String>,
    /// Skip as many records as the job has stored before: the same files go on where an interrupted import ended.
    #[arg(long)]
    pub resume: bool,
    #[command(flatten)]
    pub data: DataArgs,
}

/// `vedette hunt` and `vedette sql`.
#[derive(Debug, Args)]
pub struct QueryArgs {
    /// The query.
    pub query: String,
    /// Only events from this time on: RFC 3339, a date, or back from now (`-24h`, `-30m`, `-7d`).
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub from: Option<String>,
    /// Only events before this time.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub to: Option<String>,
    /// At most this many results; 0: no limit.
    #[arg(long, short = 'n', default_value = "1000")]
    pub limit: usize,
    /// Output format.
    #[arg(long, short, value_enum, default_value = "table")]
    pub output: Format,
    #[command(flatten)]
    pub data: DataArgs,
}

/// `vedette indicators`.
#[derive(Debug, Args)]
pub struct IndicatorsArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: IndicatorsCommand,
}

/// What `vedette indicators` does.
#[derive(Debug, Subcommand)]
pub enum IndicatorsCommand {
    /// What becomes of every indicator in these feeds; exit 1 if one is refused.
    Check {
        /// Feeds (lists, CSV, STIX, MISP), or folders of them.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Output format.
        #[arg(long, short, value_enum, default_value = "table")]
        output: Format,
    },
    /// What these feeds know of an address, network, domain, URL, hash or mail address; exit 1 if nothing.
    Find {
        /// The value, as it is or written so that nobody clicks it (`evil[.]example`).
        value: String,
        /// Feeds (lists, CSV, STIX, MISP), or folders of them.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Output format.
        #[arg(long, short, value_enum, default_value = "table")]
        output: Format,
    },
}

/// `vedette replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// Rule files or folders to replay with, instead of the rules in force.
    #[arg(long, short, value_name = "PATH")]
    pub rules: Vec<PathBuf>,
    /// Only what was received from this time on: RFC 3339, a date, or back from now (`-24h`, `-30m`, `-7d`).
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub from: Option<String>,
    /// Only what was received before this time.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub to: Option<String>,
    /// Output format.
    #[arg(long, short, value_enum, default_value = "table")]
    pub output: Format,
    #[command(flatten)]
    pub data: DataArgs,
}

/// `vedette alerts`.
#[derive(Debug, Args)]
pub struct AlertsArgs {
    /// What to do (default: list).
    #[command(subcommand)]
    pub command: Option<AlertsCommand>,
    /// Output format.
    #[arg(long, short, value_enum, default_value = "table", global = true)]
    pub output: Format,
    /// The data folder [default: ~/.local/share/vedette, for root /var/lib/vedette].
    #[arg(long, value_name = "DIR", env = "VEDETTE_DATA_DIR", global = true)]
    pub data: Option<PathBuf>,
}

/// Subcommands of `vedette alerts`.
#[derive(Debug, Subcommand)]
pub enum AlertsCommand {
    /// List alerts, the worst first, of these the newest.
    List {
        /// Only in this state: new, acknowledged, closed, open (new or acknowledged), all.
        #[arg(long, default_value = "open")]
        state: String,
        /// Only of this level or worse.
        #[arg(long)]
        level: Option<vedette_event::Level>,
        /// At most this many.
        #[arg(long, short = 'n', default_value = "100")]
        limit: usize,
    },
    /// Show one alert with its findings and history.
    Show {
        /// The alert's number.
        id: i64,
    },
    /// Acknowledge an alert: somebody is looking.
    Ack {
        /// The alert's number.
        id: i64,
    },
    /// Close an alert with a verdict.
    Close {
        /// The alert's number.
        id: i64,
        /// true_positive, false_positive or benign.
        #[arg(long)]
        verdict: String,
        /// Why.
        #[arg(long, default_value = "")]
        note: String,
    },
}

/// `vedette sources`.
#[derive(Debug, Args)]
pub struct SourcesArgs {
    /// Output format.
    #[arg(long, short, value_enum, default_value = "table")]
    pub output: Format,
    #[command(flatten)]
    pub data: DataArgs,
}

/// How lines that come one by one are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LineFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// `vedette tail`.
#[derive(Debug, Args)]
pub struct TailArgs {
    /// A search without pipes, as for `hunt` [default: every event].
    #[arg(default_value = "", hide_default_value = true, allow_hyphen_values = true)]
    pub query: String,
    /// End after so many events.
    #[arg(long, short = 'n', value_name = "COUNT")]
    pub count: Option<u64>,
    /// Output format.
    #[arg(long, short, value_enum, default_value = "text")]
    pub output: LineFormat,
    #[command(flatten)]
    pub data: DataArgs,
}

/// `vedette top`.
#[derive(Debug, Args)]
pub struct TopArgs {
    /// Print one frame of figures, taken one second apart, and end.
    #[arg(long)]
    pub once: bool,
    #[command(flatten)]
    pub data: DataArgs,
}

/// `vedette doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Output format.
    #[arg(long, short, value_enum, default_value = "text")]
    pub output: LineFormat,
    #[command(flatten)]
    pub data: DataArgs,
}

/// `vedette bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: BenchCommand,
}

/// Subcommands of `vedette bench`.
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Write the benchmark corpus: mixed NDJSON from a fixed seed.
    Gen {
        /// Number of events.
        #[arg(long, default_value = "1000000")]
        events: u64,
        /// The random seed.
        #[arg(long, default_value = "42")]
        seed: u64,
        /// Folder with real Windows and syslog lines as templates (`otrf`, `loghub` unpacked in it).
        #[arg(long, value_name = "DIR")]
        templates: PathBuf,
        /// The file to write.
        #[arg(long, short)]
        output: PathBuf,
    },
    /// Measure each stage of the way in on a corpus, one by one on one thread: CPU seconds.
    Stages {
        /// The corpus (NDJSON).
        corpus: PathBuf,
        /// A folder on the disk to be measured; what is written there is removed afterwards.
        #[arg(long, default_value = ".", value_name = "DIR")]
        scratch: PathBuf,
        /// Rule files or folders (default: the built-in rules).
        #[arg(long, short, num_args = 1..)]
        rules: Vec<PathBuf>,
    },
}
