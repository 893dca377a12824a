//! A server over rooms that answer from memory.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{Seek, Write},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Request, StatusCode},
};
use futures::{
    FutureExt, StreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use serde_json::{Map, Value, json};
use tower::ServiceExt;
use vedette_alert::{Alerts, Sighting};
use vedette_event::{
    Batch, Diagnostic, Entity, Event, EventId, Finding, FindingId, Level, Losses, Matched, Reason, RuleRef, Source,
    SourceId, Time,
};
use vedette_query::{FileFormat, TopValue};
use vedette_server::{
    Action, Activity, AlertBudget, App, Ask, Bins, Check, CheckedParser, CheckedRules, Console, Cosigned, Counters,
    Custody, CustodyError, Disabled, DiskStatus, Erased, Explained, ExplainedLine, FileName, Gates, HealthView, Hold,
    HuntedRule, IndicatorStatus, IndicatorsView, Journal, KnownIndicator, LedgerStatus, LiveFilter, LiveTail,
    LoadedRule, Logsource, NewRetrohunt, NoisyRule, ParsedLine, ParsersView, Peer, Piece, Progress, Receiver,
    RefusedRule, Retention, Retrohunt, RetrohuntError, RetrohuntState, Retrohunts, Rooms, RulesOf, RulesView,
    SaveError, SearchError, Searches, Section, SectionText, Selection, SettingsError, SettingsView, SpoolStatus,
    Status, StoreStatus, Summary, WitnessStatus, Witnessed, accounts::Accounts,
};

pub const HOSTILE: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\u{0}\u{202e}";
pub const PASSWORD: &str = "correct horse battery";

#[derive(Default)]
pub struct FakeRooms {
    pub rows: Mutex<Vec<Map<String, Value>>>,
    pub columns: Mutex<Vec<String>>,
    pub asked: Mutex<Vec<Ask>>,
    pub batches: Mutex<Vec<Batch>>,
    pub values: Mutex<Vec<TopValue>>,
    /// The query never ends.
    pub endless: AtomicBool,
}

impl Rooms for FakeRooms {
    fn ledger(&self) -> Vec<(Arc<Source>, Losses)> {
        let losses = Losses {
            stored: 1000,
            refused: BTreeMap::from([(Reason::TooLarge, 2)]),
            shed: BTreeMap::from([(Reason::KernelDrop, 3), (Reason::Busy, 4)]),
        };
        vec![
            (Source::new(SourceId(1), "syslog-udp:192.0.2.7", "syslog-udp"), losses),
            (Source::new(SourceId(2), &format!("bulk:{HOSTILE}\n\\"), "bulk"), Losses::default()),
        ]
    }

    fn spool(&self) -> SpoolStatus {
        SpoolStatus { unreleased_bytes: 5, segments: 1, disk_free_bytes: 1 << 30, ..Default::default() }
    }

    fn store(&self) -> StoreStatus {
        StoreStatus { segments: 2, events: 990, tail_events: 10, ..Default::default() }
    }

    fn search(&self, ask: Ask) -> BoxStream<'static, Result<Piece, SearchError>> {
        self.asked.lock().unwrap().push(ask.clone());
        if ask.query.contains("wrong") {
            let diagnostic = Diagnostic::new("", 1, 3, "nothing follows `|`").hint("write a stage");
            return stream::iter([Err(SearchError::Refused(vec![diagnostic]))]).boxed();
        }
        let rows = self.rows.lock().unwrap().clone();
        let summary = Summary { rows: rows.len() as u64, matched: 1000, elapsed_ms: 1, ..Default::default() };
        let columns = stream::iter([
            Ok(Piece::Progress(Progress { done: 1, total: 2, ..Default::default() })),
            Ok(Piece::Columns(self.columns.lock().unwrap().clone())),
        ]);
        let rows = stream::iter(rows.into_iter().map(|row| Ok(Piece::Row(row))));
        if ask.query.contains("breaks") {
            return columns.chain(rows).chain(stream::iter([Err(SearchError::Failed("disk".into()))])).boxed();
        }
        if self.endless.load(Ordering::Relaxed) {
            return columns.chain(rows).chain(stream::pending()).boxed();
        }
        columns.chain(rows).chain(stream::iter([Ok(Piece::Done(summary))])).boxed()
    }

    fn events(&self, ask: Ask) -> BoxStream<'static, Result<Batch, SearchError>> {
        self.asked.lock().unwrap().push(ask);
        let batches = stream::iter(self.batches.lock().unwrap().clone()).map(Ok);
        match self.endless.load(Ordering::Relaxed) {
            true => batches.chain(stream::pending()).boxed(),
            false => batches.boxed(),
        }
    }

    fn histogram(&self, ask: Ask, _: u32) -> BoxFuture<'static, Result<Option<Bins>, SearchError>> {
        let (from, to) = (ask.from, ask.to);
        self.asked.lock().unwrap().push(ask);
        let bins =
            from.zip(to).map(|(from, to)| Bins { from, to, start: from, step: 60_000_000, counts: vec![2, 0, 1] });
        async move { Ok(bins) }.boxed()
    }

    fn top_values(&self, ask: Ask, _: String, _: String) -> BoxFuture<'static, Result<Vec<TopValue>, SearchError>> {
        self.asked.lock().unwrap().push(ask);
        let values = self.values.lock().unwrap().clone();
        async move { Ok(values) }.boxed()
    }

    fn export(
        &self,
        ask: Ask,
        columns: Option<Vec<String>>,
        format: FileFormat,
    ) -> BoxStream<'static, Result<Vec<u8>, SearchError>> {
        let failed = ask.query.contains("breaks").then(|| Err(SearchError::Failed("disk".into())));
        if ask.query.contains("wrong") {
            return stream::iter([Err(SearchError::Refused(vec![Diagnostic::new("", 1, 3, "nothing follows")]))])
                .boxed();
        }
        self.asked.lock().unwrap().push(ask);
        let head = format!("{format:?} {columns:?}\n");
        stream::iter([Ok(head.into_bytes()), Ok(b"rows".to_vec())]).chain(stream::iter(failed)).boxed()
    }

    fn live_filter(&self, query: &str) -> Result<LiveFilter, SearchError> {
        if query.contains('|') {
            return Err(SearchError::Refused(vec![Diagnostic::new("", 1, 1, "the live tail has no pipes")]));
        }
        let query = query.to_owned();
        Ok(Arc::new(move |event: &Event<'_>| String::from_utf8_lossy(event.raw()).contains(&query)))
    }
}

#[derive(Default)]
pub struct FakeJournal {
    pub actions: Mutex<Vec<Action>>,
    pub full: AtomicBool,
}

impl FakeJournal {
    /// What was done, as `who what target (failure)`.
    pub fn lines(&self) -> Vec<String> {
        let line = |action: &Action| {
            let failed = action.failure.as_ref().map_or("", |_| " failed");
            format!("{} {} {}{failed}", action.who, action.what, action.target.as_deref().unwrap_or("-"))
        };
        self.actions.lock().unwrap().iter().map(line).collect()
    }
}

impl Journal for FakeJournal {
    fn record(&self, action: &Action) -> Result<(), String> {
        if self.full.load(Ordering::Relaxed) {
            return Err("disk full".into());
        }
        self.actions.lock().unwrap().push(action.clone());
        Ok(())
    }
}

pub fn rule(id: &str, title: &str) -> RuleRef {
    RuleRef {
        id: id.into(),
        title: title.into(),
        level: Level::High,
        author: Some(HOSTILE.into()),
        techniques: vec!["T1110".into()],
        tactics: vec![],
    }
}

/// Knows one rule. A text is the id of a rule, which finds events with that id in them.
#[derive(Default)]
pub struct FakeRules {
    pub files: Mutex<BTreeMap<String, String>>,
    pub disabled: Mutex<Option<Disabled>>,
}

impl RulesView for FakeRules {
    fn loaded(&self) -> Vec<LoadedRule> {
        vec![LoadedRule {
            rule: rule("r1", HOSTILE),
            file: "builtin:r1.yml".into(),
            status: Some("test".into()),
            description: Some(HOSTILE.into()),
            false_positives: vec!["backups".into()],
            references: vec!["https://rule.example".into()],
            logsource: Logsource { product: Some("linux".into()), ..Logsource::default() },
            correlation: None,
            silent: false,
            builtin: true,
            own_file: None,
            replaces: None,
            disabled: self.disabled.lock().unwrap().clone(),
            tried: 11,
            source_seen: Some(Time::from_secs(1_789_999_000)),
        }]
    }

    fn refused(&self) -> Vec<RefusedRule> {
        let reason = format!("unknown modifier {HOSTILE}");
        vec![RefusedRule { file: "x.yml".into(), line: 3, id: None, title: Some(HOSTILE.into()), reason }]
    }

    fn text(&self, id: &str) -> Option<String> {
        (id == "r1").then(|| "title: r1".to_owned())
    }

    fn why(&self, rules: &RulesOf, event: &Event<'_>) -> Result<Vec<Explained>, Vec<Diagnostic>> {
        let id = match rules {
            RulesOf::Text(text) if text.contains("wrong") => {
                return Err(vec![Diagnostic::new("", 2, 3, "no detection").hint("write one")]);
            }
            RulesOf::Id(id) if id != "r1" => return Err(vec![]),
            RulesOf::Id(id) | RulesOf::Text(id) => id,
        };
        let matched = String::from_utf8_lossy(event.raw()).contains(id);
        let line = ExplainedLine { depth: 1, passed: Some(matched), text: event.id().to_string() };
        Ok(vec![Explained { rule: rule(id, id), matched, lines: vec![line], detail: serde_json::Value::Null }])
    }

    fn check(&self, text: &str) -> CheckedRules {
        let wrong = text.contains("wrong");
        let known = rule(text, text);
        let matches = move |batch: &Batch, found: &mut Vec<Finding>| {
            for event in batch.events().filter(|event| String::from_utf8_lossy(event.raw()).contains(&known.id)) {
                found.push(Finding {
                    id: FindingId::of(&known.id, &[event.id()]),
                    rule: known.clone().into(),
                    time: event.time(),
                    events: vec![event.id()],
                    entities: vec![],
                    matched: ["a", "b"].map(|value| Matched { field: "".into(), value: value.into() }).to_vec(),
                });
            }
        };
        let diagnostic = Diagnostic::new("", 2, 3, "no detection").hint("write one");
        CheckedRules {
            rules: if wrong { vec![] } else { vec![rule(text, text)] },
            diagnostics: if wrong { vec![diagnostic] } else { vec![] },
            trial: Box::new(matches),
        }
    }

    fn save(&self, name: &FileName, text: &str) -> Result<Vec<RuleRef>, SaveError> {
        if text.contains("taken") {
            return Err(SaveError::Refused(vec![Diagnostic::new("", 0, 0, "the id is taken")]));
        }
        self.files.lock().unwrap().insert(name.yml(), text.to_owned());
        Ok(vec![rule(text, text)])
    }

    fn remove(&self, name: &FileName) -> Result<bool, SaveError> {
        Ok(self.files.lock().unwrap().remove(&name.yml()).is_some())
    }

    fn disable(&self, id: &str, disabled: Disabled) -> Result<bool, SaveError> {
        if id == "r1" {
            *self.disabled.lock().unwrap() = Some(disabled);
        }
        Ok(id == "r1")
    }

    fn enable(&self, id: &str) -> Result<bool, SaveError> {
        Ok(id == "r1" && self.disabled.lock().unwrap().take().is_some())
    }
}

/// A parser says which lines it understands.
#[derive(Default)]
pub struct FakeParsers {
    pub files: Mutex<BTreeMap<String, String>>,
}

impl ParsersView for FakeParsers {
    fn check(&self, text: &str, lines: &[String]) -> CheckedParser {
        if text.contains("wrong") {
            return CheckedParser { diagnostics: vec![Diagnostic::new("", 2, 0, "no steps")], results: vec![] };
        }
        let parse = |line: &String| ParsedLine {
            parser: line.contains(text).then(|| "own@1".to_owned()),
            fields: json!({ "message": line }).as_object().unwrap().clone(),
        };
        CheckedParser { diagnostics: vec![], results: lines.iter().map(parse).collect() }
    }

    fn save(&self, name: &FileName, text: &str) -> Result<(), SaveError> {
        self.files.lock().unwrap().insert(name.yml(), text.to_owned());
        Ok(())
    }
}

pub struct FakeSettings {
    retention: Mutex<Retention>,
    notifications: Mutex<Option<String>>,
}

impl Default for FakeSettings {
    fn default() -> Self {
        let retention = Mutex::new(Retention { max_age_days: 90, max_bytes: None, max_disk_percent: 80 });
        FakeSettings { retention, notifications: Mutex::default() }
    }
}

impl SettingsView for FakeSettings {
    fn retention(&self) -> Retention {
        self.retention.lock().unwrap().clone()
    }

    fn set_retention(&self, retention: &Retention) -> Result<(), SettingsError> {
        if retention.max_age_days == 0 {
            return Err(SettingsError::Refused("nothing would be kept".into()));
        }
        *self.retention.lock().unwrap() = retention.clone();
        Ok(())
    }

    fn section(&self, section: Section) -> SectionText {
        let changed = (section == Section::Notifications).then(|| self.notifications.lock().unwrap().clone()).flatten();
        SectionText { is_changed: changed.is_some(), text: changed.unwrap_or_default() }
    }

    fn check_section(&self, _: Section, text: &str) -> Vec<Diagnostic> {
        let wrong = || Diagnostic::new("", 2, 3, "no such key").hint("docs");
        text.contains("wrong").then(wrong).into_iter().collect()
    }

    fn set_section(&self, section: Section, text: Option<&str>) -> Result<(), SettingsError> {
        if section == Section::Receivers {
            return Err(SettingsError::Refused("cannot receive relp on 127.0.0.1:1: it is taken".into()));
        }
        match self.check_section(section, text.unwrap_or_default()) {
            wrong if wrong.is_empty() => *self.notifications.lock().unwrap() = text.map(str::to_owned),
            wrong => return Err(SettingsError::Wrong(wrong)),
        }
        Ok(())
    }

    fn receivers(&self) -> Vec<Receiver> {
        vec![Receiver { kind: "syslog-tls".into(), address: "0.0.0.0:6514".into(), tls: true }]
    }

    fn config_file(&self) -> Option<String> {
        None
    }
}

struct FakeHealth;

impl HealthView for FakeHealth {
    fn checks(&self) -> Vec<Check> {
        vec![Check { name: "receiver:syslog-udp".into(), status: Status::Ok, detail: Some(HOSTILE.into()) }]
    }

    fn quiet(&self, _: vedette_event::SourceId) -> (Option<Time>, Option<Time>) {
        (None, None)
    }

    fn alert_budget(&self) -> AlertBudget {
        let noisy = NoisyRule { id: "r1".into(), title: HOSTILE.into(), alerts: 2 };
        AlertBudget { budget: 5, opened: 3, noisiest: vec![noisy] }
    }

    fn disk(&self) -> DiskStatus {
        DiskStatus { free_bytes: 1, total_bytes: 3, used_bytes: 2 }
    }

    fn activity(&self, source: SourceId) -> Activity {
        match source.0 {
            1 => Activity { last_seen: Some(Time::from_secs(1_789_999_990)), rate_per_minute: 1.5 },
            _ => Activity::default(),
        }
    }

    fn ledger(&self) -> LedgerStatus {
        let witness = |name: &str, cosigned| WitnessStatus { name: name.into(), cosigned, complaint: None };
        let cosigned = Cosigned { entries: 1233, time: Time::from_secs(1_789_999_997), seconds_ago: 3 };
        LedgerStatus {
            entries: 1234,
            sealed_seconds_ago: 1,
            required_witnesses: 1,
            witnessed: Some(Witnessed { entries: 1233, seconds_ago: 3, by: 1 }),
            witnesses: vec![witness("w.example/1", Some(cosigned)), witness(HOSTILE, None)],
        }
    }
}

/// One indicator, `evil.example`.
pub struct FakeIndicators;

impl IndicatorsView for FakeIndicators {
    fn status(&self) -> IndicatorStatus {
        IndicatorStatus { indicators: 1, values: 1, ..IndicatorStatus::default() }
    }

    fn find(&self, value: &str) -> Result<Vec<KnownIndicator>, String> {
        match value {
            "evil.example" => {
                Ok(vec![KnownIndicator { value: value.into(), name: HOSTILE.into(), ..Default::default() }])
            }
            "good.example" => Ok(vec![]),
            _ => Err(format!("`{value}` is nothing that is looked for")),
        }
    }
}

/// They wait for ever; a text of `busy` finds no place.
#[derive(Default)]
pub struct FakeRetrohunts(Mutex<Vec<Retrohunt>>);

impl Retrohunts for FakeRetrohunts {
    fn begin(&self, hunt: NewRetrohunt) -> Result<Retrohunt, RetrohuntError> {
        if hunt.text == "busy" {
            return Err(RetrohuntError::Busy);
        }
        let mut hunts = self.0.lock().unwrap();
        let told = Retrohunt {
            id: hunts.len() as u64 + 1,
            state: RetrohuntState::Waiting,
            automatic: false,
            by: hunt.by,
            begun: Time::from_secs(1),
            from: hunt.from,
            done: 0,
            total: 0,
            events_read: 0,
            elapsed_ms: 0,
            failure: None,
            rules: vec![HuntedRule {
                id: hunt.text,
                title: "A rule".into(),
                level: Level::High,
                findings: 0,
                alerts: 0,
                first: None,
                last: None,
                entities: Vec::new(),
                samples: Vec::new(),
            }],
        };
        hunts.push(told.clone());
        Ok(told)
    }

    fn list(&self) -> Vec<Retrohunt> {
        self.0.lock().unwrap().iter().rev().cloned().collect()
    }

    fn cancel(&self, id: u64) -> bool {
        let mut hunts = self.0.lock().unwrap();
        let waiting = hunts.iter_mut().find(|hunt| hunt.id == id && hunt.state == RetrohuntState::Waiting);
        waiting.map(|hunt| hunt.state = RetrohuntState::Cancelled).is_some()
    }
}

/// Holds are kept; a bundle is its query, and what is erased is one event.
#[derive(Default)]
pub struct FakeCustody(Mutex<Vec<Hold>>);

impl Custody for FakeCustody {
    fn export(&self, selection: &Selection, _: bool, _: Action) -> Result<File, CustodyError> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(selection.query.as_bytes()).unwrap();
        file.rewind().unwrap();
        Ok(file)
    }

    fn erasable(&self, _: &Selection) -> Result<Erased, CustodyError> {
        Ok(Erased { events: 1, ..Erased::default() })
    }

    fn erase(&self, selection: &Selection, _: &str, _: Action) -> Result<Erased, CustodyError> {
        let held = || CustodyError::Conflict("event 1-1 is on legal hold".into());
        if self.holds().is_empty() { self.erasable(selection) } else { Err(held()) }
    }

    fn back_up(&self, _: &Path, _: &Path, _: Action) -> Result<u64, CustodyError> {
        Ok(7)
    }

    fn holds(&self) -> Vec<Hold> {
        self.0.lock().unwrap().clone()
    }

    fn hold(&self, hold: Hold, _: Action) -> Result<(), CustodyError> {
        self.0.lock().unwrap().push(hold);
        Ok(())
    }

    fn lift(&self, name: &str, _: Action) -> Result<(), CustodyError> {
        let mut holds = self.0.lock().unwrap();
        let before = holds.len();
        holds.retain(|hold| hold.name != name);
        if holds.len() < before { Ok(()) } else { Err(CustodyError::Conflict(format!("there is no hold `{name}`"))) }
    }
}

pub struct Server {
    pub router: Router,
    pub app: Arc<App>,
    pub rooms: Arc<FakeRooms>,
    pub journal: Arc<FakeJournal>,
    pub rules: Arc<FakeRules>,
    pub parsers: Arc<FakeParsers>,
    pub clock: Arc<AtomicI64>,
    pub dir: tempfile::TempDir,
}

pub fn server() -> Server {
    let rooms = Arc::new(FakeRooms::default());
    Server { rooms: rooms.clone(), ..server_over(rooms) }
}

/// A server over other rooms; its own `rooms` are not used then.
pub fn server_over(over: Arc<dyn Rooms>) -> Server {
    server_with(over, Console::Absent)
}

/// A server with a console.
pub fn server_with(over: Arc<dyn Rooms>, console: Console) -> Server {
    let dir = tempfile::tempdir().unwrap();
    let (rooms, journal) = (Arc::new(FakeRooms::default()), Arc::new(FakeJournal::default()));
    let (rules, parsers) = (Arc::new(FakeRules::default()), Arc::new(FakeParsers::default()));
    let clock = Arc::new(AtomicI64::new(1_790_000_000));
    let ticks = clock.clone();
    let mut gates = Gates::default();
    gates.trial = std::time::Duration::from_secs(1);
    let app = Arc::new(App {
        alerts: Alerts::open(&dir.path().join("alerts.db")).unwrap(),
        notifier: vedette_notify::Notifier::open(&dir.path().join("notify.db"), vedette_notify::Config::default())
            .unwrap(),
        accounts: Accounts::open(&dir.path().join("users.db")).unwrap(),
        searches: Searches::open(&dir.path().join("searches.db")).unwrap(),
        rooms: over,
        custody: Arc::new(FakeCustody::default()),
        rules: rules.clone(),
        indicators: Arc::new(FakeIndicators),
        retrohunts: Arc::new(FakeRetrohunts::default()),
        parsers: parsers.clone(),
        settings: Arc::new(FakeSettings::default()),
        journal: journal.clone(),
        health: Arc::new(FakeHealth),
        console,
        live: LiveTail::default(),
        clock: Arc::new(move || Time::from_secs(ticks.load(Ordering::Relaxed))),
        version: "0.1.0-test",
        counters: Counters::default(),
        gates,
    });
    Server { router: vedette_server::router(app.clone()), app, rooms, journal, rules, parsers, clock, dir }
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// The value of the cookie it sets.
    pub fn cookie(&self) -> Option<String> {
        let set = self.headers.get("set-cookie")?.to_str().unwrap();
        let (pair, rest) = set.split_once("; ").unwrap();
        assert_eq!(rest.split("; Max-Age=").next().unwrap(), "Path=/; Secure; HttpOnly; SameSite=Strict");
        Some(pair.strip_prefix("__Host-vedette=").unwrap().to_owned())
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self
    }
}

/// Who asks.
#[derive(Clone)]
pub enum As<'a> {
    /// A browser on our page, perhaps with a session.
    Browser(Option<&'a str>),
    /// A program with a token.
    Token(&'a str),
    /// A process of this machine.
    Local,
    /// Anybody, with these headers.
    Headers(Vec<(&'static str, String)>),
}

pub fn remote(address: &str) -> Peer {
    Peer::Remote { address: format!("{address}:4711").parse().unwrap(), tls: true }
}

impl Server {
    pub async fn send(&self, from: As<'_>, method: &str, path: &str, body: impl Into<String>) -> Answer {
        self.send_from(remote("192.0.2.1"), from, method, path, body).await
    }

    pub fn request(&self, from: As<'_>, method: &str, path: &str, body: impl Into<String>) -> Request<Body> {
        let body: String = body.into();
        let kind = if path.starts_with("/api/") { "application/json" } else { "application/x-www-form-urlencoded" };
        let mut request = Request::builder().method(method).uri(path).header("host", "vedette.test:8443");
        if !body.is_empty() {
            request = request.header("content-type", kind);
        }
        request = match from {
            As::Browser(cookie) => {
                let request =
                    request.header("origin", "https://vedette.test:8443").header("sec-fetch-site", "same-origin");
                match cookie {
                    Some(cookie) => request.header("cookie", format!("a=b; __Host-vedette={cookie}; c=d")),
                    None => request,
                }
            }
            As::Token(token) => request.header("authorization", format!("Bearer {token}")),
            As::Local => request,
            As::Headers(headers) => {
                headers.into_iter().fold(request, |request, (name, value)| request.header(name, value))
            }
        };
        request.body(Body::from(body)).unwrap()
    }

    pub async fn send_from(
        &self,
        peer: Peer,
        from: As<'_>,
        method: &str,
        path: &str,
        body: impl Into<String>,
    ) -> Answer {
        let peer = if matches!(from, As::Local) { Peer::Local { uid: 1000 } } else { peer };
        let mut request = self.request(from, method, path, body);
        request.extensions_mut().insert(peer);
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let text = match to_bytes(body, 16 << 20).await {
            Ok(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
            Err(error) => format!("broken off: {error}"),
        };
        Answer { status: parts.status, headers: parts.headers, text }
    }

    /// Makes the first account and logs in; gives the session's cookie.
    pub async fn log_in(&self) -> String {
        let now = (self.app.clock)();
        if let Some(link) = self.app.accounts.setup_link(now).unwrap() {
            self.app.accounts.redeem(link.reveal(), "ada", PASSWORD, now).unwrap();
        }
        let body = json!({"name": "ada", "password": PASSWORD}).to_string();
        let answer = self.send(As::Browser(None), "POST", "/api/v1/session", body).await.expect(200);
        answer.cookie().unwrap()
    }

    pub fn token(&self, scopes: &str) -> String {
        let now = (self.app.clock)();
        let made = self.app.accounts.create_token("ada", "test", scopes.parse().unwrap(), 1, now).unwrap();
        made.0.reveal().to_owned()
    }

    pub fn pass(&self, seconds: i64) {
        self.clock.fetch_add(seconds, Ordering::Relaxed);
    }

    /// Records a finding that opens (or joins) an alert.
    pub fn finding(&self, title: &str, entity: &str, seq: u64) -> vedette_alert::Recorded {
        let event = EventId { source: SourceId(1), seq };
        let finding = Finding {
            id: FindingId::of(title, &[event]),
            rule: rule(title, title).into(),
            time: Time::from_secs(1_789_999_000 + seq as i64),
            events: vec![event],
            entities: vec![Entity { kind: "ip".into(), value: entity.into() }],
            matched: vec![Matched { field: "message".into(), value: entity.into() }],
        };
        self.app.alerts.record(&[Sighting::from(&finding)], (self.app.clock)()).unwrap()
    }
}
