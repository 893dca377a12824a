//! Snapshots of correlations' state, as they are in a data folder.
//!
//! The input makes events, which make a snapshot; what follows changes its bytes, or stands behind its head in their
//! place. Whole, it goes on as if there had been no stop. Changed, it is refused and nothing has changed, or what it says
//! can be written, read and written again the same, and be worked with.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use vedette_event::{Batch, BatchBuilder, Finding, Source, SourceId, Time, Value};
use vedette_fuzz::take;
use vedette_sigma::{Correlation, Correlations, Mapping, Options, Program, load_str};

/// Magic, version, hash of the key.
const HEAD: usize = 8 + 2 + 32;
const BEGIN: i64 = 1_795_000_000;

static RULES: LazyLock<(Program, Vec<Correlation>, Mapping)> = LazyLock::new(|| {
    let loaded = load_str("correlations.yml", include_str!("correlations.yml"));
    assert_eq!(loaded.refused, []);
    let mapping = Mapping::parse("m.yml", "logsources: [{product: test, when: {event.dataset|exists: false}}]").expect("a mapping");
    let (program, refused) = Program::compile(loaded.rules, &mapping);
    assert_eq!(refused, []);
    (program, loaded.correlations, mapping)
});

fn engine() -> Correlations {
    let (program, correlations, mapping) = &*RULES;
    let options = Options { budget: 64 << 10, waiting: 64 << 10, ..Options::default() };
    let (engine, refused) = Correlations::compile(correlations.clone(), program, mapping, options);
    assert_eq!(refused, []);
    engine
}

/// One event of four bytes: source and kind, user, how much later, value.
fn event(number: u64, now: &mut i64, bytes: [u8; 4]) -> Batch {
    let [kind, user, later, value] = bytes;
    *now += i64::from(later) * 7;
    let source = SourceId(1 + u32::from(kind >> 6));
    let mut batch = BatchBuilder::new(Source::new(source, "test:1", "test"));
    batch.begin(number, Time::from_secs(*now), b"r");
    // Some come late, some too early.
    batch.time(Time::from_secs(*now - i64::from(value) * 3 + 60));
    batch.push("kind", Value::Str(["a", "b", "c", "d"][usize::from(kind & 3)]));
    batch.push("user.name", Value::Str(&format!("u{}", user & 15)));
    batch.push("n", Value::Int(i64::from(value)));
    batch.finish()
}

fn run(engine: &mut Correlations, batches: &[(Batch, i64)]) -> Vec<Finding> {
    let mut found = Vec::new();
    for (batch, now) in batches {
        let mut hits = Vec::new();
        RULES.0.run(batch, &mut hits);
        engine.receive(batch, &hits, 0);
        engine.settle(Time::from_secs(*now), &mut found);
    }
    found
}

fuzz_target!(|data: &[u8]| {
    let mut rest = data;
    let [before, after, how] = take(&mut rest);
    let mut now = BEGIN;
    let mut batches = |count: u8, from: u64, rest: &mut &[u8]| -> Vec<(Batch, i64)> {
        let one = |number| {
            let batch = event(number, &mut now, take(rest));
            (batch, now)
        };
        (from..from + u64::from(count & 63)).map(one).collect()
    };
    let (first, second) = (batches(before, 0, &mut rest), batches(after, 64, &mut rest));
    let mut engine = engine_that_saw(&first);
    let snapshot = engine.snapshot();
    let mut restored = self::engine();
    restored.restore(&snapshot).expect("it was just made");
    assert_eq!(restored.snapshot(), snapshot);
    assert_eq!(run(&mut restored, &second), run(&mut engine, &second));

    let mut changed = snapshot.clone();
    match how & 1 {
        0 => changed.splice(HEAD.., rest.iter().copied()).for_each(drop),
        _ => {
            for change in rest.chunks_exact(3) {
                let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % (changed.len() - HEAD).max(1);
                if let Some(byte) = changed.get_mut(HEAD + at) {
                    *byte ^= change[2];
                }
            }
        }
    }
    let mut engine = engine_that_saw(&first);
    match engine.restore(&changed) {
        Err(_) => assert_eq!(engine.snapshot(), snapshot, "what is refused changes nothing"),
        Ok(_) => {
            let said = engine.snapshot();
            let mut again = self::engine();
            again.restore(&said).expect("it was just made");
            assert_eq!(again.snapshot(), said);
            run(&mut engine, &second);
            engine.finish(&mut Vec::new());
        }
    }
});

fn engine_that_saw(batches: &[(Batch, i64)]) -> Correlations {
    let mut engine = engine();
    run(&mut engine, batches);
    engine
}
