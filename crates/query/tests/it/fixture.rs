//! Small stores of JSON lines.

use std::sync::Arc;

use serde_json::{Map, Value as Json, json};
use tempfile::TempDir;
use vedette_event::{Batch, BatchBuilder, Derive, Source, SourceId, Time, Value};
use vedette_query::{Cancel, Engine, Options, Progress, QueryError, Request};
use vedette_store::Store;

/// Flat JSON objects; `@timestamp` in microseconds, arrays as several values.
pub struct JsonLines;

impl Derive for JsonLines {
    fn derive(&self, _: &Source, seq: u64, received: Time, raw: &[u8], batch: &mut BatchBuilder) {
        batch.begin(seq, received, raw);
        let Ok(Json::Object(object)) = serde_json::from_slice(raw) else {
            batch.push("message", Value::Str(&String::from_utf8_lossy(raw)));
            return;
        };
        batch.parser(&"json@1".into());
        for (name, value) in &object {
            if name == "@timestamp" {
                batch.time(Time::from_micros(value.as_i64().unwrap_or(0)));
                continue;
            }
            match value {
                Json::Array(values) => values.iter().for_each(|value| push(batch, name, value)),
                value => push(batch, name, value),
            }
        }
    }
}

fn push(batch: &mut BatchBuilder, name: &str, value: &Json) {
    match value {
        Json::Null => batch.push(name, Value::Null),
        Json::Bool(value) => batch.push(name, Value::Bool(*value)),
        Json::Number(value) if value.is_i64() => batch.push(name, Value::Int(value.as_i64().unwrap())),
        Json::Number(value) => batch.push(name, Value::Float(value.as_f64().unwrap())),
        Json::String(value) => batch.push(name, Value::Str(value)),
        other => batch.push(name, Value::Str(&other.to_string())),
    }
}

/// 2026-11-21T00:00:00Z.
pub const START: i64 = 1_795_219_200_000_000;

pub struct World {
    pub store: Store,
    pub engine: Engine,
    next: u64,
    _dir: TempDir,
}

impl World {
    pub fn new() -> World {
        World::with(Options::default())
    }

    pub fn with(options: Options) -> World {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(|| Time::from_micros(START));
        let store =
            Store::open(dir.path(), vedette_store::Options { keep: None, clock, ..Default::default() }).unwrap();
        let engine = Engine::new(store.clone(), Arc::new(JsonLines), options).unwrap();
        World { store, engine, next: 0, _dir: dir }
    }

    pub fn batch(&mut self, lines: &[Vec<u8>]) -> Batch {
        let source = Source::new(SourceId(1), "test:1", "test");
        let mut batch = BatchBuilder::new(source.clone());
        for line in lines {
            JsonLines.derive(&source, self.next, Time::from_micros(START), line, &mut batch);
            self.next += 1;
        }
        batch.finish()
    }

    pub fn add(&mut self, lines: &[Vec<u8>]) -> Vec<Batch> {
        lines
            .chunks(1024)
            .map(|lines| {
                let batch = self.batch(lines);
                self.store.append(&batch, self.next).unwrap();
                batch
            })
            .collect()
    }

    pub fn seal(&self) {
        self.store.seal().unwrap();
    }

    pub async fn rows(&self, request: Request) -> Result<Vec<Map<String, Json>>, QueryError> {
        self.engine.run(request, &Progress::default(), &Cancel::default()).await?.collect().await
    }

    /// The answer to a hunt, a line for each row; errors as they are rendered.
    pub fn hunt(&self, text: &str) -> String {
        self.show(Request { now: Some(Time::from_micros(START + 3_600_000_000)), ..Request::hunt(text) })
    }

    pub fn sql(&self, text: &str) -> String {
        self.show(Request::sql(text))
    }

    pub fn show(&self, request: Request) -> String {
        let text = request.text.clone();
        match run(self.rows(request)) {
            Ok(rows) => rows.iter().map(|row| serde_json::to_string(row).unwrap() + "\n").collect(),
            Err(QueryError::Text(errors)) => errors.iter().map(|error| error.render(&text)).collect(),
            Err(error) => format!("{error}\n"),
        }
    }
}

pub fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Logins and processes: eight events, half of them sealed.
pub fn office() -> World {
    let mut world = World::new();
    let lines = [
        json!({"@timestamp": START, "event.dataset": "linux.sshd", "event.outcome": "failure", "event.category": ["authentication", "session"],
            "user.name": "root", "source.ip": "192.0.2.7", "source.port": 4711, "host.name": "web1", "message": "Failed password for root", "ssh.method": "password"}),
        json!({"@timestamp": START + 60_000_000, "event.dataset": "linux.sshd", "event.outcome": "failure", "event.category": ["authentication"],
            "user.name": "Alice", "source.ip": "192.0.2.7", "source.port": 4712, "host.name": "web1", "message": "Failed password for Alice", "ssh.method": "password"}),
        json!({"@timestamp": START + 120_000_000, "event.dataset": "linux.sshd", "event.outcome": "success", "event.category": ["authentication"],
            "user.name": "alice", "source.ip": "10.1.2.3", "source.port": 22, "host.name": "web2", "message": "Accepted publickey for alice", "ssh.method": "publickey", "ssh.key.bits": 4096}),
        json!({"@timestamp": START + 180_000_000, "event.dataset": "windows.sysmon_operational", "event.code": "1", "user.name": "bob", "host.name": "pc1",
            "process.name": "cmd.exe", "process.executable": "C:\\Windows\\System32\\cmd.exe", "process.command_line": "cmd.exe /c whoami", "process.pid": 100,
            "winlog.event_data.IntegrityLevel": "High"}),
    ];
    world.add(&lines.map(|line| line.to_string().into_bytes()));
    world.seal();
    let lines = [
        json!({"@timestamp": START + 600_000_000, "event.dataset": "windows.sysmon_operational", "event.code": "1", "user.name": "bob", "host.name": "pc1",
            "process.name": "powershell.exe", "process.command_line": "powershell -enc AAAA", "process.pid": 101, "winlog.event_data.IntegrityLevel": "Medium",
            "tags": ["one", "two"]}),
        json!({"@timestamp": START + 660_000_000, "event.dataset": "linux.sudo", "user.name": "alice", "host.name": "web2", "message": "sudo: alice : COMMAND=/bin/ls", "source.bytes": 10}),
        json!({"@timestamp": START + 720_000_000, "event.dataset": "nginx.access", "source.ip": "2001:db8::7", "host.name": "web1", "url.path": "/login", "http.response.status_code": 500, "source.bytes": 30}),
        json!({"@timestamp": START + 780_000_000, "event.dataset": "nginx.access", "source.ip": "10.1.2.3", "host.name": "web1", "url.path": "/a?b=1*2", "http.response.status_code": 200}),
    ];
    world.add(&lines.map(|line| line.to_string().into_bytes()));
    world
}
