//! The configuration: one YAML file, strict.
//!
//! An unknown key is an error with its line; a receiver beyond loopback without TLS and a token or
//! client certificates is refused.

use std::{
    collections::HashSet,
    ffi::OsString,
    fmt, io,
    net::SocketAddr,
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
    time::Duration,
};

use hyper::Uri;
use serde::{Deserialize, de::DeserializeOwned};
use vedette_behaviour::Patience;
use vedette_event::{Diagnostic, Fault};
use vedette_ledger::{
    FormatError,
    note::{KeyKind, VerifierKey},
};
use vedette_notify::config::Secret;

use crate::{Usage, cli::DataArgs};

mod place;
mod receivers;
mod risk;

pub use receivers::{Files, Fluent, GelfTransport, Http, Listener, Receivers, Switch, Transport, WebhookConfig};
pub use risk::Risk;

/// All settings, with the defaults of a machine that watches itself.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The file that it was read from.
    #[serde(skip)]
    pub file: Option<FileRead>,
    /// The data folder.
    pub data: Option<PathBuf>,
    /// The API and the page.
    pub console: Console,
    /// Where records come in.
    pub receivers: Receivers,
    /// Parsers and rules.
    pub detection: Detection,
    /// Who is told of alerts.
    pub notifications: vedette_notify::Config,
    /// How history is proved.
    pub ledger: LedgerConfig,
    /// Limits of the store.
    pub storage: Storage,
}

/// A configuration file as it was read.
#[derive(Clone)]
pub struct FileRead {
    /// Where it is.
    pub path: PathBuf,
    /// BLAKE3 of its bytes, in hexadecimal.
    pub hash: String,
    text: String,
}

impl FileRead {
    /// A section of it as YAML; empty if it has none. It may hold secrets.
    pub fn section(&self, key: &str) -> String {
        let parsed: Result<serde_norway::Mapping, _> = serde_norway::from_str(&self.text);
        let section = parsed.ok().and_then(|mut file| file.remove(key));
        section.and_then(|section| serde_norway::to_string(&section).ok()).unwrap_or_default()
    }
}

impl fmt::Debug for FileRead {
    /// Without the text, which may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileRead").field("path", &self.path).field("hash", &self.hash).finish_non_exhaustive()
    }
}

/// The API and the page.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Console {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// Certificate chain (PEM); a self-made one if absent.
    pub certificate: Option<PathBuf>,
    /// Its private key (PEM).
    pub key: Option<PathBuf>,
    /// The built console, instead of the one in the binary.
    pub dir: Option<PathBuf>,
}

impl Default for Console {
    fn default() -> Self {
        Console { listen: SocketAddr::from(([127, 0, 0, 1], 8443)), certificate: None, key: None, dir: None }
    }
}

/// Parsers and rules.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Detection {
    /// Use the built-in rules.
    pub builtin_rules: bool,
    /// More rule files or folders; watched for changes.
    pub rules: Vec<PathBuf>,
    /// More parser folders; a parser of the same name replaces the built-in one.
    pub parsers: Vec<PathBuf>,
    /// Processing pipelines of pySigma that `rules` and the data folder's own rules go through; watched for changes.
    pub pipelines: Vec<PathBuf>,
    /// Value table for `expand` placeholders.
    pub placeholders: Option<PathBuf>,
    /// Rules over several matches.
    pub correlations: CorrelationOptions,
    /// Indicators of compromise.
    pub indicators: IndicatorOptions,
    /// New and changed rules over stored history.
    pub retrohunt: RetrohuntOptions,
    /// New alerts a day that people can look at; more is a warning. 0: no budget.
    pub alerts_per_day: u64,
    /// Sources that stop sending.
    pub quiet_sources: QuietSources,
    /// Points of users, hosts and addresses; incidents.
    pub risk: Risk,
}

/// Which indicators of compromise are looked for.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IndicatorOptions {
    /// Feeds, or folders of them; watched for changes.
    pub files: Vec<PathBuf>,
    /// How many days before its `valid_from` an indicator also holds: feeds mostly say when they learnt of something.
    pub lookback_days: u32,
    /// Servers that indicators are fetched from.
    pub taxii: Vec<TaxiiServer>,
}

impl IndicatorOptions {
    fn check(&self) -> Result<(), Fault> {
        let mut names = HashSet::new();
        for (index, server) in self.taxii.iter().enumerate() {
            let wrong = |what: String| Fault::from(what).at(index).at("taxii");
            server.check().map_err(wrong)?;
            if !names.insert(&server.name) {
                return Err(wrong(format!("there are two of the name `{}`", server.name)));
            }
        }
        Ok(())
    }
}

/// A TAXII 2.1 server.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaxiiServer {
    /// The feed's name: letters, digits, `.`, `_` and `-`.
    pub name: String,
    /// The address of the discovery, of an API root, or of a collection.
    pub url: String,
    /// The collection's id, alias or title; not needed if the address is one's, or there is only one.
    #[serde(default)]
    pub collection: String,
    /// For basic authentication.
    pub user: Option<String>,
    /// For basic authentication: a value, `file:/path` or `env:NAME`.
    pub password: Option<Secret>,
    /// A bearer token: a value, `file:/path` or `env:NAME`.
    pub token: Option<Secret>,
    /// Certificates (PEM) that are trusted beside the system's.
    pub ca: Option<PathBuf>,
    /// How often new objects are asked for.
    #[serde(default = "sixty")]
    pub every_minutes: u32,
    /// How many objects are asked for at once; 0 leaves it to the server.
    #[serde(default = "a_thousand")]
    pub page: u32,
}

fn a_thousand() -> u32 {
    1000
}

fn sixty() -> u32 {
    60
}

impl TaxiiServer {
    fn check(&self) -> Result<(), String> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let is_name =
            (1..=64).contains(&self.name.len()) && self.name.bytes().all(plain) && !self.name.starts_with('.');
        if !is_name {
            return Err(format!("`{}` is no name: at most 64 letters, digits, `.`, `_` and `-`", self.name));
        }
        let url: Uri = self.url.parse().map_err(|_| format!("{}: `{}` is no address", self.name, self.url))?;
        if !matches!(url.scheme_str(), Some("http" | "https")) || url.host().is_none() {
            return Err(format!("{}: `{}` is not an http or https address", self.name, self.url));
        }
        let has_credentials = self.user.is_some() || self.password.is_some() || self.token.is_some();
        if has_credentials && url.scheme_str() == Some("http") && !is_loopback(&url) {
            return Err(format!("{}: credentials would go to {} in the clear; use https", self.name, self.url));
        }
        match (self.user.is_some(), self.password.is_some(), self.token.is_some()) {
            _ if self.every_minutes == 0 => Err(format!("{}: `every_minutes` is at least 1", self.name)),
            (false, false, _) | (true, true, false) => Ok(()),
            _ => Err(format!("{}: credentials are `user` and `password`, or a `token`", self.name)),
        }
    }
}

fn is_loopback(url: &Uri) -> bool {
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl Default for IndicatorOptions {
    fn default() -> Self {
        IndicatorOptions { files: Vec::new(), lookback_days: 30, taxii: Vec::new() }
    }
}

/// What of history new and changed rules are run over.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetrohuntOptions {
    /// Whether it is done without being asked for.
    pub automatic: bool,
    /// What was received in the last so many days.
    pub days: u32,
}

impl Default for RetrohuntOptions {
    fn default() -> Self {
        RetrohuntOptions { automatic: true, days: 30 }
    }
}

/// How correlations wait, and what they may take.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CorrelationOptions {
    /// How much later than a later event of its source an event may come and still be correlated. So long findings wait.
    pub lateness_seconds: u32,
    /// How long a source may say nothing before the others no longer wait for it.
    pub idle_seconds: u32,
    /// For the groups of all correlations; matches that wait may take a quarter of it beside.
    pub memory_bytes: u64,
}

impl Default for CorrelationOptions {
    fn default() -> Self {
        CorrelationOptions { lateness_seconds: 300, idle_seconds: 30, memory_bytes: 128 << 20 }
    }
}

impl CorrelationOptions {
    /// As the engine wants them.
    pub fn engine(&self) -> vedette_sigma::Options {
        let micros = |seconds: u32| i64::from(seconds) * 1_000_000;
        let budget = usize::try_from(self.memory_bytes).unwrap_or(usize::MAX);
        vedette_sigma::Options {
            lateness: micros(self.lateness_seconds),
            idle: micros(self.idle_seconds),
            budget,
            waiting: budget / 4,
            ..Default::default()
        }
    }
}

/// When a source that stops sending is missed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QuietSources {
    /// Whether silence is watched for at all.
    pub on: bool,
    /// No silence shorter than this is unusual.
    pub shortest_seconds: u32,
    /// The same on a source's first day, when it has shown no night yet.
    pub first_day_seconds: u32,
    /// Only sources that sent something in so many different minutes are missed.
    pub active_minutes: u32,
}

impl Default for QuietSources {
    fn default() -> Self {
        QuietSources { on: true, shortest_seconds: 300, first_day_seconds: 3600, active_minutes: 20 }
    }
}

impl QuietSources {
    /// How much patience is had with silent sources; none if nobody watches.
    pub fn patience(&self) -> Option<Patience> {
        let micros = |seconds: u32| i64::from(seconds) * 1_000_000;
        self.on.then(|| Patience {
            shortest: micros(self.shortest_seconds),
            first_day: micros(self.first_day_seconds),
            active_minutes: self.active_minutes,
        })
    }
}

impl Default for Detection {
    fn default() -> Self {
        Detection {
            builtin_rules: true,
            rules: Vec::new(),
            parsers: Vec::new(),
            pipelines: Vec::new(),
            placeholders: None,
            correlations: CorrelationOptions::default(),
            indicators: IndicatorOptions::default(),
            retrohunt: RetrohuntOptions::default(),
            alerts_per_day: 0,
            quiet_sources: QuietSources::default(),
            risk: Risk::default(),
        }
    }
}

/// How history is proved.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LedgerConfig {
    /// Name of a log that is new, such as `soc.example.org/node-1`; otherwise the host's name and random digits.
    pub origin: Option<String>,
    /// How events are hashed: `blake3`, or `sha256` where only FIPS-approved algorithms may be used.
    pub algorithm: vedette_ledger::Algorithm,
    /// Who cosigns the checkpoints.
    pub witnesses: Vec<Witness>,
    /// How many of them must have; 0 requires none.
    pub required_witnesses: usize,
    /// Who puts a time on them.
    pub anchors: Vec<Anchor>,
}

impl LedgerConfig {
    fn check(&self) -> Result<(), Fault> {
        let mut names = HashSet::new();
        let mut keys = HashSet::new();
        for (index, witness) in self.witnesses.iter().enumerate() {
            let wrong = |what: String| Fault::from(what).at(index).at("witnesses");
            let (_, key) = witness.parse().map_err(wrong)?;
            // Whoever counts twice is no quorum.
            if !names.insert(key.name().to_owned()) || !keys.insert(*key.public()) {
                return Err(wrong(format!("ledger.witnesses: {} is there twice", key.name())));
            }
        }
        let (required, all) = (self.required_witnesses, self.witnesses.len());
        if required > all {
            let what = format!("ledger.required_witnesses is {required}, and there are {all} in ledger.witnesses");
            return Err(Fault::from(what).at("required_witnesses"));
        }
        if let Some(index) = self.anchors.iter().position(|anchor| anchor.every_seconds == 0) {
            let what = format!("ledger.anchors: {}: every_seconds is 0, without a pause", self.anchors[index].url);
            return Err(Fault::from(what).at("every_seconds").at(index).at("anchors"));
        }
        Ok(())
    }
}

/// A witness ([C2SP tlog-witness](https://c2sp.org/tlog-witness)).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Witness {
    /// What comes before `/add-checkpoint`.
    pub url: String,
    /// Its key, as a vkey.
    pub key: String,
}

impl Witness {
    /// The address and the key.
    ///
    /// # Errors
    /// One of them is none, for people.
    pub fn parse(&self) -> Result<(Uri, VerifierKey), String> {
        let wrong = |what: &str| format!("ledger.witnesses: {}: {what}", self.url);
        let url: Uri = self.url.parse().map_err(|_| wrong("this is no URL"))?;
        if url.scheme_str() != Some("http") || url.host().is_none_or(str::is_empty) {
            return Err(wrong("only `http://` is spoken (checkpoints and cosignatures are signed themselves)"));
        }
        let key: VerifierKey = self.key.parse().map_err(|error: FormatError| wrong(&error.to_string()))?;
        if key.kind() != KeyKind::Cosignature {
            return Err(wrong("the key is of another type than a witness's; `vedette witness` prints its own"));
        }
        Ok((url, key))
    }
}

/// A time-stamping authority ([RFC 3161](https://www.rfc-editor.org/rfc/rfc3161)).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Anchor {
    /// Its address.
    pub url: String,
    /// Certificates (PEM), one of which its own must come from.
    pub ca: PathBuf,
    /// Seconds between two anchors.
    #[serde(default = "an_hour")]
    pub every_seconds: u64,
}

fn an_hour() -> u64 {
    3600
}

/// Limits of the store.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Storage {
    /// Days that events are kept.
    pub max_age_days: u32,
    /// Bytes that the data folder may take; otherwise `max_disk_percent` of its disk.
    pub max_bytes: Option<u64>,
    /// Share of the disk, in percent, that may be filled.
    pub max_disk_percent: u8,
    /// Intake refuses while less than this is free on the disk.
    pub min_free_bytes: u64,
    /// The longest record.
    pub max_record_bytes: usize,
    /// Seconds until a quiet tail is sealed into a segment.
    pub seal_after_seconds: u64,
}

impl Default for Storage {
    fn default() -> Self {
        Storage {
            max_age_days: 90,
            max_bytes: None,
            max_disk_percent: 80,
            min_free_bytes: 256 << 20,
            max_record_bytes: 1 << 20,
            seal_after_seconds: 60,
        }
    }
}

impl Storage {
    /// Refuses what would keep nothing.
    ///
    /// # Errors
    /// What is wrong, for people.
    pub fn check(&self) -> Result<(), String> {
        if !(1..=99).contains(&self.max_disk_percent) {
            return Err(format!("storage.max_disk_percent is {}, not 1 to 99", self.max_disk_percent));
        }
        if self.max_age_days == 0 {
            return Err("storage.max_age_days is 0: nothing would be kept".into());
        }
        if self.max_bytes == Some(0) {
            return Err("storage.max_bytes is 0: nothing would be kept".into());
        }
        Ok(())
    }

    /// How long a quiet tail may stay unsealed.
    pub fn seal_after(&self) -> Duration {
        Duration::from_secs(self.seal_after_seconds)
    }
}

/// Where to look when the configuration is wrong.
const BOOK: &str = "docs/configuration.md lists every key with its default";

impl Config {
    /// Reads and checks a configuration file; without one, the defaults.
    ///
    /// # Errors
    /// A diagnostic with file, line and hint.
    pub fn load(path: Option<&Path>) -> Result<Config, Diagnostic> {
        let Some(path) = path else { return Ok(Config::default()) };
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|error| Diagnostic::new(&name, 0, 0, format!("cannot read the configuration: {error}")))?;
        let hash = blake3::hash(text.as_bytes()).to_hex().to_string();
        let config = Config::parse(&name, &text)?;
        Ok(Config { file: Some(FileRead { path: path.to_owned(), hash, text }), ..config })
    }

    fn parse(name: &str, text: &str) -> Result<Config, Diagnostic> {
        let config: Config = read(name, text)?;
        config.check().map_err(|fault| refused(name, text, &fault))?;
        Ok(config)
    }

    fn check(&self) -> Result<(), Fault> {
        self.receivers.check().map_err(|fault| fault.at("receivers"))?;
        self.notifications.check().map_err(|fault| fault.at("notifications"))?;
        self.ledger.check().map_err(|fault| fault.at("ledger"))?;
        self.detection.risk.check().map_err(|what| Fault::from(what).at("risk").at("detection"))?;
        if self.console.certificate.is_some() != self.console.key.is_some() {
            return Err(Fault::from("the console needs both `certificate` and `key`, or neither").at("console"));
        }
        self.detection.indicators.check().map_err(|fault| fault.at("indicators").at("detection"))?;
        self.storage.check().map_err(|what| Fault::from(what).at("storage"))
    }
}

/// Reads a text of YAML without checking what it says; an empty one is the default.
///
/// # Errors
/// A diagnostic with line and hint.
pub fn read<T: DeserializeOwned + Default>(name: &str, text: &str) -> Result<T, Diagnostic> {
    let parsed: Result<Option<T>, _> = serde_norway::from_str(text);
    parsed.map(Option::unwrap_or_default).map_err(|error| {
        let (line, column) = error.location().map_or((1, 1), |place| (place.line() as u32, place.column() as u32));
        let message = error.to_string();
        // The diagnostic names the place itself, and first.
        let place = format!(" at line {line} column {column}");
        Diagnostic::new(name, line, column, message.strip_suffix(&place).unwrap_or(&message)).hint(BOOK)
    })
}

/// What is wrong with what a text says, with the place there.
pub fn refused(name: &str, text: &str, fault: &Fault) -> Diagnostic {
    let (line, column) = place::find(text, &fault.path);
    Diagnostic::new(name, line, column, &*fault.message).hint(BOOK)
}

/// Reads and checks the section `receivers` alone.
///
/// # Errors
/// A diagnostic with line and hint.
pub fn read_receivers(text: &str) -> Result<Receivers, Diagnostic> {
    let receivers: Receivers = read("receivers", text)?;
    receivers.check().map_err(|fault| refused("receivers", text, &fault))?;
    Ok(receivers)
}

/// Reads and checks the section `notifications` alone.
///
/// # Errors
/// A diagnostic with line and hint.
pub fn read_notifications(text: &str) -> Result<vedette_notify::Config, Diagnostic> {
    let notifications: vedette_notify::Config = read("notifications", text)?;
    notifications.check().map_err(|fault| refused("notifications", text, &fault))?;
    Ok(notifications)
}

/// In the data folder: the path of the configuration that `up` last ran with.
const RAN_WITH: &str = "configuration.path";

/// The data folder, and the configuration for a command on it: the one that is given, else the one that `up` last
/// ran with there, so that records are parsed and limited alike with and without a running server.
///
/// # Errors
/// The configuration cannot be read or is wrong.
pub fn open(args: &DataArgs) -> anyhow::Result<(PathBuf, Config)> {
    if let Some(path) = &args.config {
        let config = Config::load(Some(path))?;
        return Ok((data_dir(args.data.as_deref(), Some(&config)), config));
    }
    let dir = data_dir(args.data.as_deref(), None);
    let config = match std::fs::read(dir.join(RAN_WITH)) {
        Ok(path) => {
            let path = PathBuf::from(OsString::from_vec(path));
            Config::load(Some(&path)).map_err(|diagnostic| match path.exists() {
                true => diagnostic,
                false => diagnostic.hint("this folder's `up` ran with it; name another one with --config"),
            })?
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Config::default(),
        Err(error) => return Err(error.into()),
    };
    Ok((dir, config))
}

/// Refuses a data folder that is not there: a command that only looks must not make an empty one.
///
/// # Errors
/// There is no such folder.
pub fn must_exist(dir: &Path) -> Result<(), Usage> {
    if dir.is_dir() {
        Ok(())
    } else {
        Err(Usage(format!("there is no data folder at {}; give one with --data", dir.display())))
    }
}

/// Remembers in the data folder which configuration `up` runs with.
///
/// # Errors
/// The folder cannot be written.
pub fn remember(dir: &Path, config: Option<&Path>) -> io::Result<()> {
    let file = dir.join(RAN_WITH);
    match config {
        Some(path) => std::fs::write(file, std::path::absolute(path)?.into_os_string().into_vec()),
        None => match std::fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        },
    }
}

/// The data folder: the argument, else the configuration's, else the user's usual place.
pub fn data_dir(argument: Option<&Path>, config: Option<&Config>) -> PathBuf {
    let configured = || config.and_then(|config| config.data.as_deref());
    if let Some(dir) = argument.or_else(configured) {
        return dir.to_owned();
    }
    if rustix::process::geteuid().is_root() {
        return "/var/lib/vedette".into();
    }
    let home = std::env::var_os("XDG_DATA_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share")))
        .unwrap_or_else(|| ".".into());
    home.join("vedette")
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn check(text: &str, expected: expect_test::Expect) {
        let shown = match Config::parse("vedette.yml", text) {
            Ok(_) => "fine".to_owned(),
            Err(diagnostic) => diagnostic.to_string(),
        };
        expected.assert_eq(&shown);
    }

    #[test]
    fn an_empty_file_is_the_default() {
        check("", expect_test::expect!["fine"]);
        check("# nothing\n", expect_test::expect!["fine"]);
    }

    #[test]
    fn unknown_keys_name_their_line() {
        check(
            "storage:\n  max_age: 3\n",
            expect_test::expect![
                "vedette.yml:2:3: storage: unknown field `max_age`, expected one of `max_age_days`, `max_bytes`, `max_disk_percent`, `min_free_bytes`, `max_record_bytes`, `seal_after_seconds` (docs/configuration.md lists every key with its default)"
            ],
        );
    }

    #[test]
    fn witnesses_are_checked() {
        use vedette_ledger::note::SigningKey;
        let key = |name: &str, kind| SigningKey::from_seed(name, kind, [7; 32]).expect("a name").verifier().to_string();
        let witness = |url: &str, key: &str| format!("{{url: \"{url}\", key: \"{key}\"}}");
        let (w1, w2) = (key("w.example/1", KeyKind::Cosignature), key("w.example/2", KeyKind::Cosignature));
        let ledger = |witnesses: &[&String], required: usize| {
            let witnesses = witnesses.iter().map(|witness| witness.as_str()).collect::<Vec<_>>().join(", ");
            format!("ledger: {{witnesses: [{witnesses}], required_witnesses: {required}}}")
        };
        let one = witness("http://w.example:8440", &w1);
        let cases = [
            ledger(&[&one], 1),
            ledger(&[&one], 2),
            ledger(&[&one, &witness("http://w.example:8441", &w1)], 1),
            // The same key by another name.
            ledger(&[&one, &witness("http://w.example:8441", &w2)], 1),
            ledger(&[&witness("https://w.example", &w1)], 0),
            ledger(&[&witness("no address", &w1)], 0),
            ledger(&[&witness("http://w.example", &w1.replace('1', "2"))], 0),
            ledger(&[&witness("http://w.example", &key("log", KeyKind::Ed25519))], 0),
        ];
        let said = cases.map(|text| Config::parse("c", &text).map_or_else(|said| said.message, |_| "fine".into()));
        expect_test::expect![[r#"
            fine
            ledger.required_witnesses is 2, and there are 1 in ledger.witnesses
            ledger.witnesses: w.example/1 is there twice
            ledger.witnesses: w.example/2 is there twice
            ledger.witnesses: https://w.example: only `http://` is spoken (checkpoints and cosignatures are signed themselves)
            ledger.witnesses: no address: this is no URL
            ledger.witnesses: http://w.example: not a verifier key (`name+id+base64`): the id is not of this name and key
            ledger.witnesses: http://w.example: the key is of another type than a witness's; `vedette witness` prints its own"#]].assert_eq(&said.join("\n"));
    }

    #[test]
    fn anchors_need_an_interval_and_an_authority() {
        check("ledger: {anchors: [{url: 'http://tsa.example/', ca: ca.pem}]}\n", expect_test::expect!["fine"]);
        check(
            "ledger: {anchors: [{url: 'http://tsa.example/', ca: ca.pem, every_seconds: 0}]}\n",
            expect_test::expect![
                "vedette.yml:1:61: ledger.anchors: http://tsa.example/: every_seconds is 0, without a pause (docs/configuration.md lists every key with its default)"
            ],
        );
        check(
            "ledger: {anchors: [{url: 'http://tsa.example/'}]}\n",
            expect_test::expect![
                "vedette.yml:1:20: ledger.anchors[0]: missing field `ca` (docs/configuration.md lists every key with its default)"
            ],
        );
    }
}
