//! Batches are cut and handed in as it suits; what is found is the same.

use proptest::prelude::*;
use vedette_event::{BatchBuilder, Finding, Source, SourceId, Time, Value};
use vedette_sigma::{Counts, Options};

use crate::correlations::{Engine, RULES, SECOND, shown};

const CORRELATIONS: &str = "
title: Many
name: many
correlation: {type: event_count, rules: [a], group-by: [User], timespan: 30s, condition: {gte: 3}}
---
title: After
correlation: {type: temporal_ordered, rules: [many, b], group-by: [User], timespan: 60s, generate: true}
---
title: Without
correlation: {type: temporal, rules: [a, b, c], timespan: 20s, condition: a and b and not c}
";

/// When it was received and when it happened, in seconds.
#[derive(Clone, Debug)]
struct Event {
    source: u32,
    received: i64,
    time: i64,
    kind: &'static str,
    user: &'static str,
}

fn engine() -> Engine {
    let options = Options { lateness: 10 * SECOND, idle: 15 * SECOND, skew: 120 * SECOND, ..Options::default() };
    Engine::with(&format!("{RULES}---{CORRELATIONS}"), options)
}

/// Runs events, which are in the order they were received in. `cut` ends the open batches of all sources behind an event,
/// `idle` then says how much of the time until the next event passes in steps of its own, `stopped` goes on from a
/// snapshot.
fn run(
    events: &[Event],
    cut: impl Fn(usize) -> bool,
    idle: impl Fn(usize) -> bool,
    stopped: impl Fn(usize) -> bool,
) -> (Vec<String>, Vec<Counts>) {
    let mut engine = engine();
    let mut found = Vec::new();
    let mut seqs = [0; 4];
    let mut open: Vec<Option<BatchBuilder>> = vec![None, None, None, None];
    for (index, event) in events.iter().enumerate() {
        let source = event.source as usize;
        let batch = open[source]
            .get_or_insert_with(|| BatchBuilder::new(Source::new(SourceId(event.source), "test:1", "test")));
        batch.begin(seqs[source], Time::from_micros(event.received * SECOND + index as i64), b"");
        seqs[source] += 1;
        batch.time(Time::from_secs(event.time));
        batch.push("k", Value::Str(event.kind));
        batch.push("User", Value::Str(event.user));
        let next = events.get(index + 1);
        if !cut(index) && next.is_some() {
            continue;
        }
        for batch in open.iter_mut().filter_map(Option::take) {
            let batch = batch.finish();
            let mut matched = Vec::new();
            engine.program.run(&batch, &mut matched);
            engine.correlations.receive(&batch, &matched, 0);
        }
        engine.correlations.settle(Time::from_secs(event.received), &mut found);
        if idle(index)
            && let Some(next) = next
        {
            (event.received..=next.received)
                .for_each(|second| engine.correlations.settle(Time::from_secs(second), &mut found));
        }
        if stopped(index) {
            let snapshot = engine.correlations.snapshot();
            engine = self::engine();
            engine.correlations.restore(&snapshot).unwrap();
        }
    }
    engine.correlations.finish(&mut found);
    (shown(&found), engine.correlations.reports().map(|report| report.counts).collect())
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let pause = prop_oneof![12 => 0..3_i64, 1 => 10..60_i64];
    let delay = prop_oneof![12 => 0..12_i64, 1 => 10..40_i64, 1 => Just(-200_i64)];
    let one = (0..4_u32, pause, delay, 0..4_usize, 0..2_usize);
    prop::collection::vec(one, 1..120).prop_map(|list| {
        let mut now = 1_000;
        let event = |(source, pause, delay, kind, user): (u32, i64, i64, usize, usize)| {
            now += pause;
            Event { source, received: now, time: now - delay, kind: ["a", "a", "b", "c"][kind], user: ["u", "v"][user] }
        };
        list.into_iter().map(event).collect()
    })
}

proptest! {
    /// Also where hits come too late, too early, or a source is given up as idle.
    #[test]
    fn however_batches_are_cut_the_same_is_found(events in events(), seed in any::<u64>()) {
        let whole = run(&events, |_| false, |_| false, |_| false);
        let number = move |index: usize| (index as u64).wrapping_mul(2).wrapping_add(0x9E37_79B9_7F4A_7C15);
        let random = |salt: u64| {
            move |index: usize| (seed ^ salt).wrapping_mul(number(index)).rotate_left(17).is_multiple_of(3)
        };
        prop_assert_eq!(&run(&events, |_| true, |_| true, |_| false), &whole);
        prop_assert_eq!(&run(&events, random(1), random(2), |_| false), &whole);
        prop_assert_eq!(&run(&events, random(3), random(4), random(5)), &whole);
    }
}

#[test]
fn time_passes_also_when_nothing_is_received() {
    let mut engine = engine();
    let mut batch = BatchBuilder::new(Source::new(SourceId(1), "test:1", "test"));
    for second in [1_000, 1_001, 1_002] {
        batch.begin(second as u64, Time::from_secs(second), b"");
        batch.push("k", Value::Str("a"));
        batch.push("User", Value::Str("u"));
    }
    let batch = batch.finish();
    let (mut matched, mut found) = (Vec::<Finding>::new(), Vec::new());
    engine.program.run(&batch, &mut matched);
    engine.correlations.receive(&batch, &matched, 0);
    engine.correlations.settle(Time::from_secs(1_003), &mut found);
    assert_eq!(found, []);
    engine.correlations.settle(Time::from_secs(1_030), &mut found);
    assert_eq!(shown(&found), ["Many 1002: 1-1000 1-1001 1-1002 User=u"]);
}
