//! Public data sets through the parsers: what share each one understands. Data: see docs/developing.md.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use vedette_event::Value;

use super::parse::{derive, parsers, source};

/// The unpacked archive, or `None` (and one line) where the data is absent.
fn data(archive: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let shared = std::env::var_os("VEDETTE_DATA").map_or_else(|| root.join("../shared/data"), PathBuf::from);
    let from = shared.join(format!("{archive}.tar.xz"));
    if !from.exists() {
        println!("skipped: no {archive} in the data folder");
        return None;
    }
    let folder = archive.split('/').next().unwrap_or(archive);
    let to = root.join("target/data").join(folder);
    if !to.exists() {
        let half = root.join("target/data").join(format!("{folder}.{}", std::process::id()));
        std::fs::create_dir_all(&half).ok()?;
        let done = std::process::Command::new("tar").arg("xJf").arg(&from).arg("-C").arg(&half).status().ok()?;
        assert!(done.success(), "tar could not unpack {}", from.display());
        // Another test may have been faster.
        if std::fs::rename(&half, &to).is_err() {
            std::fs::remove_dir_all(&half).ok()?;
        }
    }
    Some(to)
}

fn files(dir: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("a readable folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, extension, found);
        } else if path.extension().is_some_and(|own| own == extension) {
            found.push(path);
        }
    }
    found.sort();
}

/// Counts per parser; every record must give one event that keeps its bytes.
#[derive(Default)]
struct Coverage(BTreeMap<String, u64>);

impl Coverage {
    fn add(&mut self, name: &str, raw: &[u8]) -> vedette_event::Batch {
        let batch = derive(parsers(), &source(name), raw);
        let event = batch.event(0);
        assert_eq!(event.raw(), raw, "the original bytes stay");
        *self.0.entry(event.parser().map_or("unparsed".to_owned(), |id| id.to_string())).or_default() += 1;
        batch
    }

    fn print(&self, what: &str) {
        let total: u64 = self.0.values().sum();
        println!("{what}: {total} records, {:?}", self.0);
    }
}

#[test]
fn openssh_lines_are_understood() {
    let Some(dir) = data("loghub/loghub-2k") else { return };
    let text = std::fs::read(dir.join("loghub/OpenSSH/OpenSSH_2k.log")).expect("the log");
    let mut coverage = Coverage::default();
    let (mut total, mut understood, mut named) = (0, 0, 0);
    for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let batch = coverage.add("file:/var/log/auth.log", line);
        let event = batch.event(0);
        total += 1;
        let claimed = event.parser().is_some_and(|id| id.starts_with("sshd@") || id.starts_with("pam@"));
        understood += usize::from(claimed && event.get("event.action").is_some());
        let who = event.get("user.name").is_some()
            || event.get("source.ip").is_some()
            || event.get("source.domain").is_some();
        // `check pass; user unknown` and a few errors name neither a user nor an address.
        let anonymous = ["check pass", "ignoring max retries", "Write failed"];
        let message = event.get("message").and_then(Value::as_str).unwrap_or_default();
        named += usize::from(who || anonymous.iter().any(|text| message.contains(text)));
        if !who && !anonymous.iter().any(|text| message.contains(text)) {
            println!("names nobody: {message}");
        }
    }
    coverage.print("OpenSSH");
    assert!(understood * 100 >= total * 99, "{understood} of {total} understood");
    assert!(named * 100 >= total * 99, "{named} of {total} with a user or an address");
}

#[test]
fn linux_and_apache_lines_are_understood() {
    let Some(dir) = data("loghub/loghub-2k") else { return };
    for (file, name) in
        [("loghub/Linux/Linux_2k.log", "file:/var/log/messages"), ("loghub/Apache/Apache_2k.log", "file:/x.log")]
    {
        let text = std::fs::read(dir.join(file)).expect("the log");
        let mut coverage = Coverage::default();
        for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            coverage.add(name, line);
        }
        coverage.print(file);
        let total: u64 = coverage.0.values().sum();
        let unparsed = coverage.0.get("unparsed").copied().unwrap_or(0);
        assert!(unparsed * 100 <= total, "{file}: {unparsed} of {total} unparsed");
    }
}

#[test]
fn windows_events_as_winlogbeat_and_flat_json_are_understood() {
    let Some(dir) = data("otrf/events") else { return };
    let mut found = Vec::new();
    files(&dir, "json", &mut found);
    let mut coverage = Coverage::default();
    let (mut windows, mut complete) = (0_u64, 0_u64);
    for file in found {
        let text = std::fs::read(&file).expect("a file");
        // Every file, but not every line of the large ones: the parsers see each shape.
        for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).take(400) {
            let batch = coverage.add("import:otrf", line);
            let event = batch.event(0);
            if event.parser().is_some_and(|id| id.starts_with("windows@")) {
                windows += 1;
                let whole = ["event.code", "winlog.event_id", "winlog.channel", "host.name", "event.dataset"]
                    .iter()
                    .all(|name| event.get(name).is_some());
                complete += u64::from(whole && event.time() < event.received());
            }
        }
    }
    coverage.print("OTRF");
    assert!(windows > 10_000 || windows == coverage.0.values().sum::<u64>());
    assert!(complete * 1000 >= windows * 999, "{complete} of {windows} complete");
    assert_eq!(coverage.0.get("unparsed"), None);
}

#[test]
fn cloudtrail_records_are_understood() {
    let Some(dir) = data("cloudtrail/aws-attack-simulation") else { return };
    let mut found = Vec::new();
    files(&dir, "json", &mut found);
    let mut coverage = Coverage::default();
    for file in found {
        let text = std::fs::read(&file).expect("a file");
        let Ok(json) = serde_json::from_slice::<serde_json::Value>(&text) else { continue };
        for record in json.get("Records").and_then(serde_json::Value::as_array).into_iter().flatten() {
            let batch = coverage.add("import:cloudtrail", record.to_string().as_bytes());
            let event = batch.event(0);
            assert!(event.get("event.action").is_some() && event.get("cloud.region").is_some(), "{record}");
        }
    }
    coverage.print("CloudTrail");
    assert_eq!(coverage.0.len(), 1, "all of one parser");
}

#[test]
fn evtx_records_are_understood() {
    let Some(dir) = data("evtx/evtx-attack-samples") else { return };
    let mut found = Vec::new();
    files(&dir, "evtx", &mut found);
    let mut coverage = Coverage::default();
    let mut channels: BTreeMap<String, u64> = BTreeMap::new();
    for file in found {
        let Ok(parser) = evtx::EvtxParser::from_path(&file) else { continue };
        let settings = evtx::ParserSettings::default().num_threads(1).indent(false);
        let mut parser = parser.with_configuration(settings);
        for record in parser.records_json().take(200) {
            let Ok(record) = record else { continue };
            let batch = coverage.add("import:evtx", record.data.as_bytes());
            let event = batch.event(0);
            assert!(event.get("event.code").is_some(), "{}", record.data);
            let dataset = event.get("event.dataset").map_or("-".into(), |value| value.to_text().into_owned());
            *channels.entry(dataset).or_default() += 1;
            assert!(!event.fields().any(|field| field.name.starts_with("Event.")), "{}", record.data);
        }
    }
    coverage.print("EVTX");
    println!("{channels:?}");
    assert_eq!(coverage.0.len(), 1, "all of one parser");
}
