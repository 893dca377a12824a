//! Events against sets.

use vedette_event::{Level, Time};
use vedette_indicator::{Feed, Indicator, Indicators, Options, Sighting};

use crate::support::{builder, event, event_at, findings, indicator, now, of, set};

#[test]
fn fields_of_every_kind_are_found() {
    let set = set(&[
        "198.51.100.7",
        "203.0.113.0/24",
        "2001:db8:5::/48",
        "evil.example",
        "http://bad.example/payload.zip?id=1",
        "other.example/schemeless",
        "900150983cd24fb0d6963f7d28e17f72",
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "bob@phish.example",
    ]);
    for (fields, want) in [
        (&[("source.ip", "198.51.100.7")][..], Some("198.51.100.7")),
        (&[("destination.ip", "::ffff:198.51.100.7")], Some("198.51.100.7")),
        (&[("winlog.event_data.DestinationIp", "203.0.113.200")], Some("203.0.113.0/24")),
        (&[("client.ip", "2001:DB8:5::1")], Some("2001:db8:5::/48")),
        (&[("client.ip", "2001:db8:6::1")], None),
        (&[("dns.question.name", "a.b.EVIL.example.")], Some("evil.example")),
        (&[("dns.question.name", "notevil.example")], None),
        (&[("dns.question.name", "evil.example.com")], None),
        (&[("winlog.event_data.QueryName", "evil.example")], Some("evil.example")),
        (&[("destination.domain", "203.0.113.9")], Some("203.0.113.0/24")),
        (&[("url.full", "HTTP://BAD.example:80/payload.zip?id=1#x")], Some("http://bad.example/payload.zip?id=1")),
        (&[("url.full", "http://bad.example/payload.zip?id=2")], None),
        (&[("url.full", "http://bad.example/PAYLOAD.zip?id=1")], None),
        (&[("url.full", "https://www.evil.example/anything")], Some("evil.example")),
        (&[("url.original", "https://other.example/schemeless")], Some("//other.example/schemeless")),
        (&[("http.request.referrer", "http://203.0.113.5/x")], Some("203.0.113.0/24")),
        (
            &[("url.domain", "bad.example"), ("url.original", "/payload.zip?id=1")],
            Some("http://bad.example/payload.zip?id=1"),
        ),
        (
            &[("url.domain", "bad.example"), ("url.path", "/payload.zip"), ("url.query", "id=1")],
            Some("http://bad.example/payload.zip?id=1"),
        ),
        (&[("url.domain", "bad.example"), ("url.path", "/payload.zip"), ("url.scheme", "https")], None),
        (
            &[("winlog.event_data.Hashes", "SHA1=AA,MD5=900150983CD24FB0D6963F7D28E17F72,IMPHASH=0")],
            Some("900150983cd24fb0d6963f7d28e17f72"),
        ),
        (
            &[("process.hash.sha256", "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD")],
            Some("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ),
        (&[("email.from.address", "Bob B. <BOB@phish.example>")], Some("bob@phish.example")),
        (&[("email.to.address", "<x@mail.evil.example>")], Some("evil.example")),
        (&[("message", "198.51.100.7 evil.example")], None),
        (&[("user.domain", "evil.example")], None),
        (&[("vedette.source.ip", "198.51.100.7")], None),
    ] {
        let found = findings(&set, &event(fields));
        let values: Vec<String> = found.iter().filter_map(Sighting::of).map(|sighting| sighting.value).collect();
        assert_eq!(values, want.into_iter().map(str::to_owned).collect::<Vec<_>>(), "{fields:?}");
    }
}

#[test]
fn a_finding_says_who_knows_what() {
    let sure = Feed { confidence: 90, ..Feed::new("sure") };
    let unsure = Feed { confidence: 30, ..Feed::new("unsure") };
    let mut first = of(&unsure, "evil.example");
    first.name = "Old name".into();
    let mut second = of(&sure, "evil.example");
    second.reference = "indicator--1".into();
    second.labels = vec!["tlp:amber".into(), "attack.t1071.001".into(), "mitre-attack:command-and-control".into()];
    let set = Indicators::compile([first, second]);
    let batch =
        event(&[("host.name", "ws1"), ("dns.question.name", "www.evil.example"), ("url.domain", "evil.example")]);
    let found = findings(&set, &batch);
    expect_test::expect![[r#"
        [
          {
            "id": "ID",
            "rule": {
              "id": "indicator:sure",
              "title": "Domain known to sure, unsure: Old name",
              "level": "high",
              "techniques": [
                "T1071.001"
              ],
              "tactics": [
                "command-and-control"
              ]
            },
            "time": 1795000000000000,
            "events": [
              "1-7"
            ],
            "entities": [
              {
                "kind": "host",
                "value": "ws1"
              },
              {
                "kind": "domain",
                "value": "www.evil.example"
              }
            ],
            "matched": [
              {
                "field": "dns.question.name",
                "value": "www.evil.example"
              },
              {
                "field": "url.domain",
                "value": "evil.example"
              },
              {
                "field": "threat.indicator.kind",
                "value": "domain"
              },
              {
                "field": "threat.indicator.name",
                "value": "evil.example"
              },
              {
                "field": "threat.indicator.type",
                "value": "domain-name"
              },
              {
                "field": "threat.indicator.confidence",
                "value": "90"
              },
              {
                "field": "threat.feed.name",
                "value": "sure"
              },
              {
                "field": "threat.feed.name",
                "value": "unsure"
              },
              {
                "field": "threat.indicator.reference",
                "value": "indicator--1"
              },
              {
                "field": "threat.indicator.description",
                "value": "Old name"
              },
              {
                "field": "threat.indicator.marking.tlp",
                "value": "AMBER"
              },
              {
                "field": "threat.indicator.labels",
                "value": "attack.t1071.001"
              },
              {
                "field": "threat.indicator.labels",
                "value": "mitre-attack:command-and-control"
              }
            ]
          }
        ]"#]]
    .assert_eq(&serde_json::to_string_pretty(&found).unwrap().replace(&found[0].id.to_string(), "ID"));
    let sighting = Sighting::of(&found[0]).unwrap();
    assert_eq!(
        (sighting.feeds.join(" "), sighting.references.join(" ")),
        ("sure unsure".into(), "indicator--1".into())
    );

    // The id is the observable's: with one feed fewer it is the same finding.
    let fewer = Indicators::compile([of(&unsure, "evil.example")]);
    let again = findings(&fewer, &batch);
    assert_eq!((again[0].id, again[0].rule.level), (found[0].id, Level::Low));
    assert_eq!(again[0].rule.id, "indicator:unsure");
}

#[test]
fn different_observables_of_one_event_are_different_findings() {
    let set = set(&["evil.example", "www.evil.example", "198.51.100.0/24", "198.51.100.7"]);
    let found =
        findings(&set, &event(&[("dns.question.name", "www.evil.example"), ("dns.resolved_ip", "198.51.100.7")]));
    let values: Vec<String> = found.iter().filter_map(Sighting::of).map(|sighting| sighting.value).collect();
    assert_eq!(values, ["www.evil.example", "evil.example", "198.51.100.7", "198.51.100.0/24"]);
    let mut ids: Vec<_> = found.iter().map(|finding| finding.id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 4);
}

#[test]
fn an_indicator_holds_in_event_time() {
    let at = |secs: i64| Time::from_secs(1_795_000_000 + secs);
    let timed = Indicator { valid_from: Some(at(0)), valid_until: Some(at(100)), ..indicator("evil.example") };
    let set = Indicators::compile([timed.clone()]);
    for (secs, want) in [(-1, 0), (0, 1), (99, 1), (100, 0)] {
        assert_eq!(findings(&set, &event_at(at(secs), &[("dns.question.name", "evil.example")])).len(), want, "{secs}");
    }
    let mut early = vedette_indicator::Builder::new(Options { lookback: 50_000_000, ..Options::default() });
    early.push(&timed);
    let (set, _) = early.finish();
    for (secs, want) in [(-51, 0), (-50, 1), (99, 1), (100, 0)] {
        assert_eq!(findings(&set, &event_at(at(secs), &[("dns.question.name", "evil.example")])).len(), want, "{secs}");
    }
}

#[test]
fn a_port_counts_where_the_event_names_one() {
    let set = set(&["198.51.100.7:443"]);
    for (fields, want) in [
        (&[("destination.ip", "198.51.100.7"), ("destination.port", "443")][..], 1),
        (&[("destination.ip", "198.51.100.7"), ("destination.port", "80")], 0),
        (&[("destination.ip", "198.51.100.7"), ("source.port", "80")], 1),
        (&[("destination.ip", "198.51.100.7")], 1),
        (&[("winlog.event_data.DestinationIp", "198.51.100.7"), ("winlog.event_data.DestinationPort", "80")], 0),
        (&[("source.ip", "198.51.100.7"), ("source.port", "443"), ("destination.port", "80")], 1),
    ] {
        assert_eq!(findings(&set, &event(fields)).len(), want, "{fields:?}");
    }
}

#[test]
fn levels_come_from_confidence_unless_they_are_given() {
    for (confidence, level, want) in [
        (100, None, Level::High),
        (80, None, Level::High),
        (79, None, Level::Medium),
        (50, None, Level::Medium),
        (49, None, Level::Low),
        (20, None, Level::Low),
        (19, None, Level::Informational),
        (10, Some(Level::Critical), Level::Critical),
    ] {
        let one = Indicator { confidence, level, ..indicator("evil.example") };
        let found = findings(&Indicators::compile([one]), &event(&[("dns.question.name", "evil.example")]));
        assert_eq!(found[0].rule.level, want, "{confidence} {level:?}");
    }
}

#[test]
fn nothing_is_found_in_nothing() {
    let empty = builder().finish().0;
    assert!(empty.is_empty());
    assert!(findings(&empty, &event(&[("source.ip", "198.51.100.7")])).is_empty());
    assert!(findings(&set(&["evil.example"]), &event(&[])).is_empty());
    assert_eq!(now().to_string(), "2026-11-18T11:06:40.000000Z");
}
