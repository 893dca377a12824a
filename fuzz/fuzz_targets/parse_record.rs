//! The whole parser set on one record.
//!
//! Two bytes choose the source and when it was received. The record stays as it was; deriving is a function of the
//! record alone (twice, and after another record, it gives the same); fields are bounded in number and bytes; a
//! core column that holds one value gets one of its type; nobody but us names `vedette.*` fields; the event can be
//! shown as JSON. A record that serde_json reads as an object is never left unparsed.

#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use vedette_event::{Batch, BatchBuilder, Derive, Event, Source, SourceId, Time, Value, ecs};
use vedette_fuzz::take;
use vedette_intake::parse::Parsers;

static PARSERS: LazyLock<Parsers> = LazyLock::new(|| {
    let (parsers, diagnostics) = Parsers::load(&[]);
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    parsers
});

static SOURCES: LazyLock<Vec<Arc<Source>>> = LazyLock::new(|| {
    let named = |name: &str, receiver: &str, parser: Option<&str>| {
        let source = Source { id: SourceId(1), name: name.into(), receiver: receiver.into(), parser: parser.map(Into::into) };
        Arc::new(source)
    };
    let mut sources = vec![
        named("test:1", "test", None),
        named("syslog-udp:192.0.2.7", "syslog-udp", None),
        named("file:/var/log/auth.log", "file", None),
        named("file:/var/log/nginx/access.log", "file", None),
        named("file:/var/log/nginx/error.log", "file", None),
        named("file:/var/log/apache2/access.log", "file", None),
        named("file:/var/log/apache2/error.log", "file", None),
        named("file:/var/log/audit/audit.log", "file", None),
        named("file:/opt/zeek/logs/current/conn.log", "file", None),
        named("journald:local", "journald", None),
        named("bulk:192.0.2.9", "bulk", None),
        named("vedette:self", "vedette", None),
        named("test:1", "test", Some("no-such-parser")),
    ];
    let parsers = PARSERS.names().map(|name| name.split('@').next().unwrap_or(name).to_owned()).collect::<Vec<_>>();
    sources.extend(parsers.iter().map(|parser| named("test:1", "test", Some(parser))));
    sources
});

fn derive(source: &Arc<Source>, received: Time, records: &[&[u8]]) -> Batch {
    let mut batch = BatchBuilder::new(source.clone());
    for (seq, raw) in records.iter().enumerate() {
        PARSERS.derive(source, seq as u64, received, raw, &mut batch);
    }
    batch.finish()
}

/// Everything that an event says but its number.
fn told<'a>(event: &Event<'a>) -> (Vec<(&'a str, String)>, Time, Option<&'a Arc<str>>) {
    let fields = event.fields().map(|field| (field.name, format!("{:?}", field.value))).collect();
    (fields, event.time(), event.parser())
}

fuzz_target!(|data: &[u8]| {
    let mut raw = data;
    let [source, time] = take(&mut raw);
    let source = &SOURCES[usize::from(source) % SOURCES.len()];
    let received = match time {
        0 => Time::MIN,
        255 => Time::MAX,
        time => Time::from_secs(1_795_233_112 + i64::from(time) * 86_400 * 3),
    };
    let other = b"<13>Nov 21 04:11:52 web1 sshd[811]: Failed password for root from 192.0.2.7 port 4711 ssh2";
    let batch = derive(source, received, &[raw, other, raw]);
    let event = batch.event(0);
    assert_eq!(batch.len(), 3);
    assert_eq!(event.raw(), raw);
    assert_eq!(event.received(), received);
    assert_eq!(told(&event), told(&batch.event(2)));

    let mut bytes = 0;
    let mut filled = Vec::new();
    for field in event.fields() {
        bytes += field.name.len() + field.value.as_str().map_or(8, str::len);
        assert!(!field.name.is_empty() || raw.contains(&b'{'), "a field without a name");
        assert!(field.name.len() <= 2048, "a name of {} bytes", field.name.len());
        if field.name.starts_with("vedette.") && &*source.receiver != "vedette" {
            let ours = field.name == "vedette.limits" || field.name.starts_with("vedette.misfit.");
            assert!(ours, "the record named {}", field.name);
        }
        let Some(column) = ecs::core(field.name) else { continue };
        let right = match column.kind {
            ecs::Kind::Keyword | ecs::Kind::Keywords => matches!(field.value, Value::Str(_)),
            ecs::Kind::Long => matches!(field.value, Value::Int(_)),
            ecs::Kind::Ip => field.value.as_str().is_some_and(|text| text.parse::<std::net::IpAddr>().is_ok()),
        };
        assert!(right, "{} is {:?}", field.name, field.value);
        if column.kind != ecs::Kind::Keywords {
            assert!(!filled.contains(&column.name), "{} twice", column.name);
            filled.push(column.name);
        }
    }
    assert!(event.fields().len() <= 4096, "{} fields", event.fields().len());
    assert!(bytes <= 16 * raw.len() + (2 << 20), "{bytes} bytes of fields from {} of the record", raw.len());
    assert!(!serde_json::to_string(&event.to_json()).expect("maps of JSON values can be written").is_empty());

    let is_object = matches!(serde_json::from_slice(raw), Ok(serde_json::Value::Object(_)));
    if is_object {
        assert!(event.parser().is_some(), "an object without a parser");
    }
});
