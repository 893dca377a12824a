//! Millions of groups within a fixed budget.

use vedette_event::{BatchBuilder, Finding, FindingId, Level, RuleRef, Source, SourceId, Time, Value};
use vedette_sigma::{Correlations, Options};

use crate::correlations::{Engine, RULES};

/// Memory of this process, in bytes.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * 4096
}

/// So many hits, each of a group of its own, a millisecond apart.
fn fill(correlations: &mut Correlations, count: u64) -> Vec<Finding> {
    let finding = |event| Finding {
        id: FindingId::of("a", &[event]),
        rule: RuleRef {
            id: "id-a".into(),
            title: "A".into(),
            level: Level::Low,
            author: None,
            techniques: Vec::new(),
            tactics: Vec::new(),
        }
        .into(),
        time: Time::MIN,
        events: vec![event],
        entities: Vec::new(),
        matched: Vec::new(),
    };
    let mut out = Vec::new();
    for start in (0..count).step_by(1_000) {
        let mut batch = BatchBuilder::new(Source::new(SourceId(1), "test:1", "test"));
        for seq in start..count.min(start + 1_000) {
            batch.begin(seq, Time::from_micros(seq as i64 * 1_000), b"");
            batch.push("User", Value::Int(seq as i64));
        }
        let batch = batch.finish();
        let mut now = Time::MIN;
        for event in batch.events() {
            let hit = correlations.hit(&finding(event.id()), event).unwrap();
            correlations.push(hit);
            now = event.time();
        }
        correlations.observe(SourceId(1), now);
        correlations.advance(now, &mut out);
    }
    correlations.finish(&mut out);
    out
}

#[test]
fn many_groups_fit_the_budget() {
    // Ten million take 20 s and 0.8 GB: `VEDETTE_GROUPS=10000000`.
    let count: u64 = std::env::var("VEDETTE_GROUPS").ok().map_or(300_000, |count| count.parse().unwrap());
    let text = format!(
        "{RULES}---\ntitle: X\ncorrelation: {{type: event_count, rules: [a], group-by: [User], timespan: 30d, condition: {{gte: 5}}}}\n"
    );
    let budget = count as usize * 95;
    let before = resident();
    let mut engine = Engine::with(&text, Options { budget, ..Options::default() });
    let started = std::time::Instant::now();
    let out = fill(&mut engine.correlations, count);
    let elapsed = started.elapsed();
    let taken = resident().saturating_sub(before);
    let report = engine.correlations.reports().next().unwrap();
    println!(
        "{count} groups: {} bytes by the account, {:.1} a group; {:.1} a group by the system; {:.1} µs a hit",
        engine.correlations.bytes(),
        engine.correlations.bytes() as f64 / count as f64,
        taken as f64 / count as f64,
        elapsed.as_secs_f64() * 1e6 / count as f64
    );
    assert_eq!((out.len(), report.groups as u64, report.counts.evicted), (0, count, 0));
    assert!(engine.correlations.bytes() <= budget);
    drop(engine);
    // With half of the budget, half of them stay, and it is said.
    let mut engine = Engine::with(&text, Options { budget: budget / 2, ..Options::default() });
    fill(&mut engine.correlations, count);
    let report = engine.correlations.reports().next().unwrap();
    assert_eq!(report.groups as u64 + report.counts.evicted, count);
    assert!(report.groups as u64 >= count * 2 / 5 && report.counts.is_degraded(), "{}", report.groups);
    assert!(engine.correlations.bytes() <= budget / 2);
}
