use vedette_event::{BatchBuilder, Value};
use vedette_store::{Segment, Store, Term, TermQuery};

use crate::support::{Clock, HOUR, START, open, source};

/// Which granules a term selects.
fn find(segment: &Segment, term: impl Into<TermQuery>) -> Vec<usize> {
    segment.try_candidates(&term.into()).unwrap().iter().collect()
}

/// Nine thousand events, three granules; event 5000 is the one that everybody looks for.
fn needle(store: &Store) {
    let mut seq = 0;
    while seq < 9000 {
        let mut batch = BatchBuilder::new(source(1));
        while !batch.is_full() && seq < 9000 {
            let raw = format!(r#"{{"EventID":{},"Image":"C:\\Windows\\p{seq}.exe"}}"#, seq % 10);
            batch.begin(seq, START, raw.as_bytes());
            batch.push("process.executable", Value::Str(&format!(r"C:\Windows\p{seq}.exe")));
            batch.push("winlog.event_id", Value::Int((seq % 10) as i64));
            if seq == 5000 {
                batch.push("source.ip", Value::Str("2001:0DB8::0001"));
                batch.push("source.port", Value::Str("+8080"));
                batch.push("process.command_line", Value::Str("powershell -enc VwByAGkAdABlAA=="));
                batch.push("powershell.decoded", Value::Str("Write-Host Ärger"));
                batch.push("user.email", Value::Str("Eve@Example.org"));
            }
            seq += 1;
        }
        store.append(&batch.finish(), 0).unwrap();
    }
}

fn check_needle(segment: &Segment) {
    let value = |text: &str| Term::Value(text.into());
    let word = |text: &str| Term::Word(text.into());
    // In the original, in a decoded value, in the form that a column keeps, joined and split, without regard to case.
    for term in [
        word("P5000"),
        word("p5000.exe"),
        word(r"\\Windows\\p5000.exe"),
        value(r"c:\windows\p5000.EXE"),
        value("2001:0DB8::0001"),
        value("2001:db8::1"),
        value("8080"),
        value("+8080"),
        value("eve@example.org"),
        word("eve"),
        word("example.org"),
        word("WRITE-host ärger"),
        Term::Contains("vwbyagkad".into()),
        Term::Contains("t Ärg".into()),
        Term::ValueStart(r"C:\Windows\p5000.".into()),
        Term::ValueEnd("lAA==".into()),
        Term::WordStart("p5000".into()),
        Term::WordEnd("5000.exe".into()),
    ] {
        assert_eq!(find(segment, term.clone()), [1], "{term:?}");
    }
    // In every granule, or not worth telling apart.
    for term in [word("EventID"), word("windows"), value("3"), Term::Contains("exe".into()), Term::Contains(":".into())]
    {
        assert_eq!(find(segment, term.clone()), [0, 1, 2], "{term:?}");
    }
    for term in [word("p9000"), value("10.1.2.3"), Term::Contains("xyzzy".into()), Term::WordStart("zz".into())] {
        assert_eq!(find(segment, term.clone()), [0; 0], "{term:?}");
    }
    let term = |text| TermQuery::Term(word(text));
    assert_eq!(find(segment, TermQuery::Or(vec![term("p1"), term("p8999"), term("absent")])), [0, 2]);
    assert_eq!(find(segment, TermQuery::And(vec![term("p1"), term("p8999")])), [0; 0]);
    assert_eq!(find(segment, TermQuery::And(vec![TermQuery::Any, term("p1")])), [0]);
    assert_eq!(find(segment, TermQuery::Or(vec![TermQuery::Any, term("p1")])), [0, 1, 2]);
    assert_eq!(find(segment, TermQuery::And(vec![])), [0, 1, 2]);
    assert_eq!(find(segment, TermQuery::Or(vec![])), [0; 0]);
    assert!(segment.tokens().unwrap() > 9000);
}

#[test]
fn look_ups_select_granules() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    needle(&store);
    store.seal().unwrap();
    check_needle(&store.snapshot().segments[0]);
}

/// Compaction keeps every look-up as exact as it was; granules that fit together become one.
#[test]
fn look_ups_survive_compaction() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::new();
    let store = Store::open(dir.path(), clock.options()).unwrap();
    needle(&store);
    store.seal().unwrap();
    let mut more = BatchBuilder::new(source(2));
    more.begin(0, START, b"the last one: p9001");
    store.append(&more.finish(), 0).unwrap();
    store.seal().unwrap();
    clock.advance(2 * HOUR);
    store.compact().unwrap().unwrap();
    let segment = &store.snapshot().segments[0];
    assert_eq!(segment.granules().len(), 3);
    check_needle(segment);
    assert_eq!(find(segment, Term::Word("p9001".into())), [2]);
}
