//! Input that was made to hurt: bounded work, no panic, nothing lost.

use proptest::prelude::*;
use vedette_event::Value;

use super::parse::{derive, parsers, samples, source};

#[test]
fn hostile_records_are_bounded() {
    let source = source("test:1");
    let big = 10 << 20;
    let many_fields = format!("{{{}}}", (0..1_000_000).map(|n| format!("\"k{n}\":{n}")).collect::<Vec<_>>().join(","));
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("empty", Vec::new()),
        ("only NULs", vec![0; 1000]),
        ("NUL inside", b"<13>Nov 21 04:11:52 h sshd[1]: Failed password for \0 from 192.0.2.7 port 1 ssh2".to_vec()),
        ("10 MB line", vec![b'a'; big]),
        ("10 MB of spaces", vec![b' '; big]),
        ("10 MB sshd", [b"<13>Nov 21 04:11:52 h sshd[1]: Failed password for ".as_slice(), &vec![b'x'; big]].concat()),
        ("10 MB access log", [b"192.0.2.7 - - [".as_slice(), &vec![b'"'; big], b" HTTP/1.1"].concat()),
        ("10 MB of ={", b"={".repeat(big / 2)),
        ("10 MB of brackets", [b"{\"a\":".as_slice(), &vec![b'['; big]].concat()),
        ("closed brackets", [b"{\"a\":".to_vec(), vec![b'['; big / 2], vec![b']'; big / 2], b"}".to_vec()].concat()),
        ("deep objects", [b"{\"a\":".repeat(100_000), b"1".to_vec(), vec![b'}'; 100_000]].concat()),
        ("a million fields", many_fields.into_bytes()),
        ("a million escapes", [b"{\"a\":\"".to_vec(), b"\\u0041".repeat(1_000_000), b"\"}".to_vec()].concat()),
        (
            "long keys, nested",
            [format!("{{\"{}\":", "k".repeat(1000)).repeat(31).into_bytes(), b"1".to_vec(), vec![b'}'; 31]].concat(),
        ),
        ("million audit pairs", [b"type=EXECVE msg=audit(1.0:1): ".to_vec(), b"a1=41 ".repeat(1_000_000)].concat()),
        (
            "audit, all keys",
            (0..2000).fold(b"type=EXECVE msg=audit(1.0:1): ".to_vec(), |mut line, n| {
                line.extend(format!("a{n}=\"x\" ").bytes());
                line
            }),
        ),
        ("leef pairs", [b"LEEF:2.0|a|b|c|d|^|".to_vec(), b"k=v^".repeat(1_000_000)].concat()),
        ("leef spaces", [b"LEEF:1.0|a|b|c|d|".to_vec(), b"k=v ".repeat(1_000_000)].concat()),
        ("leef header", [b"LEEF:2.0|".to_vec(), vec![b'a'; big]].concat()),
        (
            "a million entries",
            [
                b"{\"id\":{\"applicationName\":\"x\",\"uniqueQualifier\":\"1\"},\"events\":[{\"name\":\"n\",\"parameters\":[".to_vec(),
                b"{\"name\":\"a\",\"value\":\"b\"},".repeat(1_000_000),
                b"{}]}]}".to_vec(),
            ]
            .concat(),
        ),
        ("logfmt quotes", [b"level=info msg=\"".to_vec(), b"\\\"".repeat(1_000_000)].concat()),
        ("logfmt pairs", [b"level=info msg=x ".to_vec(), b"a=\"b\\n\" ".repeat(1_000_000)].concat()),
        ("fortinet pairs", [b"date=2026-11-21 time=04:11:52 devid=FG logid=0000000013 type=traffic ".to_vec(), b"a=\"b\" ".repeat(1_000_000)].concat()),
        ("palo alto cells", [b"1,2026/11/21 04:11:52,1,TRAFFIC,".to_vec(), b"a,".repeat(1_000_000)].concat()),
        ("asa", [b"%ASA-6-302013: Built inbound TCP connection 1 for ".to_vec(), b"a:1/1 ".repeat(1_000_000)].concat()),
        ("postgresql", [b"2026-11-21 04:11:52 UTC [1] LOG:  ".to_vec(), b"LOG:  ".repeat(1_000_000)].concat()),
        ("cef pairs", [b"CEF:0|a|b|c|d|e|5|".to_vec(), b"k=v ".repeat(1_000_000)].concat()),
        (
            "xml elements",
            [
                b"<Event><EventData>".to_vec(),
                b"<Data Name='a'>b</Data>".repeat(100_000),
                b"</EventData></Event>".to_vec(),
            ]
            .concat(),
        ),
        ("xml depth", b"<Event>".repeat(100_000)),
        ("structured data", [b"<13>1 - h a p m ".to_vec(), b"[a b=\"c\"]".repeat(500_000)].concat()),
        ("netfilter", [b"<4>Nov 21 04:11:52 h kernel: IN=a OUT=b ".to_vec(), b"A=B ".repeat(1_000_000)].concat()),
        ("invalid UTF-8", (0..=255).collect()),
        ("half a syslog", b"<13>Nov 21 04:1".to_vec()),
        (
            "journald bytes",
            [b"{\"__REALTIME_TIMESTAMP\":\"1\",\"MESSAGE\":[".to_vec(), b"255,".repeat(100_000), b"1]}".to_vec()]
                .concat(),
        ),
        (
            "huge numbers",
            b"{\"a\":99999999999999999999999999,\"b\":1e999,\"c\":-1e-999,\"ts\":1e300,\"time\":9223372036854775807}"
                .to_vec(),
        ),
        ("huge dates", b"<13>Nov 99 99:99:99 h a: b".to_vec()),
    ];
    for (name, raw) in cases {
        let batch = derive(parsers(), &source, &raw);
        let event = batch.event(0);
        assert_eq!(event.raw(), raw, "{name}: the original stays");
        assert!(event.fields().len() <= 2100, "{name}: {} fields", event.fields().len());
    }
}

#[test]
fn what_was_left_out_is_said() {
    let source = source("test:1");
    let limits = |raw: &str| {
        let batch = derive(parsers(), &source, raw.as_bytes());
        batch.event(0).all("vedette.limits").map(|value| value.to_text().into_owned()).collect::<Vec<_>>()
    };
    let many = format!("{{{}}}", (0..3000).map(|n| format!("\"k{n}\":{n}")).collect::<Vec<_>>().join(","));
    assert_eq!(limits(&many), ["fields"]);
    let deep = format!("{}1{}", "{\"a\":".repeat(40), "}".repeat(40));
    assert_eq!(limits(&deep), ["depth"]);
    assert_eq!(limits(&format!("{{\"{}\":1}}", "k".repeat(600))), ["name"]);
    assert_eq!(limits("{\"a\":1}"), [""; 0]);
    let padded = format!(
        "<13>Nov 21 04:11:52 h sudo: eve : TTY=a ; PWD=/ ; USER=root ; COMMAND=/bin/sh {}",
        "x".repeat(1 << 20)
    );
    assert_eq!(limits(&padded), ["text"], "padding does not hide a command");
    let batch = derive(parsers(), &source, padded.as_bytes());
    assert_eq!(batch.event(0).get("user.name"), Some(Value::Str("eve")));
}

#[test]
fn every_truncation_of_every_sample_is_an_event() {
    let source = source("test:1");
    for line in samples() {
        let bytes = line.as_bytes();
        let step = (bytes.len() / 60).max(1);
        for len in (0..bytes.len()).step_by(step) {
            let batch = derive(parsers(), &source, &bytes[..len]);
            assert_eq!(batch.event(0).raw(), &bytes[..len]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn arbitrary_bytes_never_panic(raw in prop::collection::vec(any::<u8>(), 0..400)) {
        derive(parsers(), &source("test:1"), &raw);
    }

    #[test]
    fn mutated_samples_never_panic(
        which: prop::sample::Index,
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..4), 1..8),
    ) {
        let lines = samples();
        let mut raw = which.get(&lines).clone().into_bytes();
        for (at, byte, kind) in edits {
            if raw.is_empty() {
                break;
            }
            let at = at.index(raw.len());
            match kind {
                0 => raw[at] = byte,
                1 => raw.insert(at, byte),
                2 => drop(raw.remove(at)),
                _ => raw.extend_from_within(at..),
            }
        }
        let first = derive(parsers(), &source("test:1"), &raw);
        let again = derive(parsers(), &source("test:1"), &raw);
        prop_assert_eq!(first.event(0).to_json(), again.event(0).to_json());
        for column in vedette_event::ecs::CORE {
            if column.kind != vedette_event::ecs::Kind::Keywords {
                prop_assert!(first.event(0).all(column.name).count() <= 1, "{}", column.name);
            }
        }
    }
}
