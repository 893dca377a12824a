//! Correlation rules and filters: how they are read, and when they fire.

use std::fmt::Write;

use proptest::prelude::*;
use vedette_event::{BatchBuilder, Finding, Source, SourceId, Time, Value};
use vedette_sigma::{Correlations, Documents, Mapping, Options, Program, RestoreError, load_str};

pub const SECOND: i64 = 1_000_000;

/// Three rules: `a`, `b`, `c`, for events whose `k` says so.
pub const RULES: &str = "
title: A
name: a
id: id-a
logsource: {product: test}
detection: {s: {k: a}, condition: s}
---
title: B
name: b
logsource: {product: test}
detection: {s: {k: b}, condition: s}
---
title: C
name: c
logsource: {product: test}
detection: {s: {k: c}, condition: s}
";

pub fn mapping() -> Mapping {
    Mapping::parse("m.yml", "logsources: [{product: test, when: {event.dataset|exists: false}}]").unwrap()
}

/// One event: its source, its time in seconds, what it is, and its fields.
#[derive(Clone, Debug)]
pub struct Seen {
    pub source: u32,
    pub seq: u64,
    pub time: i64,
    pub fields: Vec<(&'static str, String)>,
}

pub fn seen(source: u32, seq: u64, time: i64, fields: &[(&'static str, &str)]) -> Seen {
    Seen { source, seq, time, fields: fields.iter().map(|(name, value)| (*name, (*value).to_owned())).collect() }
}

pub struct Engine {
    pub program: Program,
    pub correlations: Correlations,
}

impl Engine {
    pub fn with(text: &str, options: Options) -> Engine {
        let loaded = load_str("c.yml", text);
        assert_eq!(loaded.refused, [], "{text}");
        let (program, refused) = Program::compile(loaded.rules, &mapping());
        assert_eq!(refused, [], "{text}");
        let (correlations, refused) = Correlations::compile(loaded.correlations, &program, &mapping(), options);
        assert_eq!(refused, [], "{text}");
        Engine { program, correlations }
    }

    /// The three rules and these correlations.
    pub fn new(correlations: &str) -> Engine {
        Engine::with(&format!("{RULES}---\n{correlations}"), Options::default())
    }

    pub fn take(&mut self, event: &Seen) {
        let mut batch = BatchBuilder::new(Source::new(SourceId(event.source), "test:1", "test"));
        batch.begin(event.seq, Time::from_micros(event.time * SECOND), b"");
        for (name, value) in &event.fields {
            batch.push(name, Value::Str(value));
        }
        let batch = batch.finish();
        let mut found = Vec::new();
        self.program.run(&batch, &mut found);
        for finding in &found {
            if let Some(hit) = self.correlations.hit(finding, batch.event(0)) {
                self.correlations.push(hit);
            }
        }
        self.correlations.observe(SourceId(event.source), Time::from_micros(event.time * SECOND));
    }

    pub fn advance(&mut self, now: i64, out: &mut Vec<Finding>) {
        self.correlations.advance(Time::from_micros(now * SECOND), out);
    }

    /// Everything that these events come to, handed over in this order.
    pub fn all(&mut self, events: &[Seen]) -> Vec<Finding> {
        let mut out = Vec::new();
        let mut now = i64::MIN / SECOND;
        for event in events {
            self.take(event);
            now = now.max(event.time);
            self.advance(now, &mut out);
        }
        self.correlations.finish(&mut out);
        out
    }
}

/// `B 90: 1-0 1-3 [User=alice]`, a line for each finding.
pub fn shown(findings: &[Finding]) -> Vec<String> {
    let line = |finding: &Finding| {
        let mut line = format!("{} {}:", finding.rule.title, finding.time.micros() / SECOND);
        finding.events.iter().for_each(|event| write!(line, " {event}").unwrap());
        for matched in &finding.matched {
            write!(line, " {}={}", matched.field, matched.value).unwrap();
        }
        line
    };
    findings.iter().map(line).collect()
}

fn correlation(body: &str) -> String {
    format!("title: X\ncorrelation: {{{body}}}\n")
}

/// Events of one source: `time what`, with the user `u` if no other is named: `time what user`.
fn events(text: &str) -> Vec<Seen> {
    let event = |(seq, part): (usize, &str)| {
        let mut words = part.split_whitespace();
        let time = words.next().unwrap().parse().unwrap();
        let (kind, user) = (words.next().unwrap(), words.next().unwrap_or("u"));
        seen(1, seq as u64, time, &[("k", kind), ("User", user), ("n", &format!("{}", time % 7)), ("t", kind)])
    };
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).enumerate().map(event).collect()
}

#[test]
fn correlations_fire_when_they_should() {
    let count = "type: event_count, rules: [a], group-by: [User], timespan: 10s, condition: {gte: 3}";
    let count_two = "type: event_count, rules: [a, b], timespan: 10s, condition: {gt: 1}";
    let values = "type: value_count, rules: [a, b, c], timespan: 10s, condition: {field: t, gte: 3}";
    let temporal = "type: temporal, rules: [a, b], group-by: [User], timespan: 10s";
    let two_of_three = "type: temporal, rules: [a, b, c], timespan: 10s, condition: {gte: 2}";
    let ordered = "type: temporal_ordered, rules: [a, b, c], timespan: 10s";
    let without = "type: temporal, rules: [a, b, c], timespan: 10s, condition: a and b and not c";
    let ordered_without = "type: temporal_ordered, timespan: 10s, condition: a and b and not c";
    let few = "type: event_count, rules: [a], group-by: [User], timespan: 10s, condition: {lt: 3}";
    let range = "type: event_count, rules: [a], timespan: 10s, condition: {gt: 1, lte: 3}";
    let sum = "type: value_sum, rules: [a], timespan: 10s, condition: {field: n, gte: 9}";
    let average = "type: value_avg, rules: [a], timespan: 10s, condition: {field: n, gte: 2}";
    let median = "type: value_median, rules: [a], timespan: 10s, condition: {field: n, lte: 2}";
    for (body, given, want) in [
        // The window slides, and both its ends belong to it.
        (count, "0 a, 5 a, 10 a", &["X 10: 1-0 1-1 1-2 User=u"][..]),
        (count, "0 a, 5 a, 11 a", &[]),
        (count, "0 a, 5 a, 11 a, 15 a", &["X 15: 1-1 1-2 1-3 User=u"]),
        (count, "0 a, 1 a x, 2 a, 3 a y, 4 a", &["X 4: 1-0 1-2 1-4 User=u"]),
        // What made a finding is used up.
        (count, "0 a, 1 a, 2 a, 3 a, 4 a", &["X 2: 1-0 1-1 1-2 User=u"]),
        (count, "0 a,1 a,2 a,3 a,4 a,5 a", &["X 2: 1-0 1-1 1-2 User=u", "X 5: 1-3 1-4 1-5 User=u"]),
        (count, "0 b, 1 a, 2 b, 3 a", &[]),
        (count_two, "0 a, 1 c, 2 b", &["X 2: 1-0 1-2"]),
        (values, "0 a, 1 a, 2 b, 3 b, 4 c", &["X 4: 1-1 1-3 1-4"]),
        (values, "0 a, 1 b, 11 c", &[]),
        (temporal, "0 a, 3 b", &["X 3: 1-0 1-1 User=u"]),
        (temporal, "0 b, 3 a", &["X 3: 1-0 1-1 User=u"]),
        (temporal, "0 a, 3 b other", &[]),
        (temporal, "0 a, 11 b, 12 a", &["X 12: 1-1 1-2 User=u"]),
        (two_of_three, "0 a, 1 a, 2 c", &["X 2: 1-1 1-2"]),
        (ordered, "0 a, 1 b, 2 c", &["X 2: 1-0 1-1 1-2"]),
        (ordered, "0 a, 1 c, 2 b", &[]),
        (ordered, "0 a, 1 c, 2 b, 3 c", &["X 3: 1-0 1-2 1-3"]),
        (ordered, "0 a, 4 b, 8 a, 11 c", &[]),
        (ordered, "0 a, 4 a, 5 b, 13 c", &["X 13: 1-1 1-2 1-3"]),
        // `b` of a later start takes the place of the earlier one.
        (ordered, "0 a, 1 b, 6 a, 7 b, 15 c", &["X 15: 1-2 1-3 1-4"]),
        (without, "0 a, 1 b", &["X 10: 1-0 1-1"]),
        (without, "0 a, 1 b, 9 c", &[]),
        (without, "0 a, 1 b, 10 c", &[]),
        (without, "0 a, 1 b, 11 c", &["X 10: 1-0 1-1"]),
        // A window that begins behind the `c`.
        (without, "0 c, 1 a, 2 b", &["X 11: 1-1 1-2"]),
        // The first `a` has no `b` in its window, the second has.
        (without, "0 a, 8 a, 15 b", &["X 18: 1-1 1-2"]),
        (ordered_without, "0 a, 1 b", &["X 10: 1-0 1-1"]),
        (ordered_without, "0 b, 1 a", &[]),
        (ordered_without, "0 a, 1 c, 2 b", &[]),
        // From here on, windows begin with the first event, and decide at their end.
        (few, "0 a, 1 a", &["X 10: 1-0 1-1 User=u"]),
        (few, "0 a, 1 a, 2 a", &[]),
        (few, "0 a, 1 a, 2 a, 11 a", &["X 21: 1-3 User=u"]),
        (range, "0 a", &[]),
        (range, "0 a, 1 a, 10 a", &["X 10: 1-0 1-1 1-2"]),
        (range, "0 a, 1 a, 2 a, 3 a", &[]),
        (sum, "3 a, 6 a", &["X 6: 1-0 1-1"]),
        (sum, "3 a, 14 a, 6 b", &[]),
        (sum, "3 a, 13 a, 17 a", &["X 13: 1-0 1-1"]),
        (average, "0 a, 4 a", &["X 10: 1-0 1-1"]),
        (average, "0 a, 3 a", &[]),
        (median, "0 a, 1 a, 2 a, 3 a", &["X 10: 1-0 1-1 1-2 1-3"]),
        (median, "3 a, 4 a, 5 a", &[]),
    ] {
        let found = Engine::new(&correlation(body)).all(&events(given));
        assert_eq!(shown(&found), want, "{body} on {given}");
    }
}

#[test]
fn what_has_no_value_is_counted() {
    let mut engine = Engine::new(&correlation(
        "type: value_sum, rules: [a], group-by: [User], timespan: 10s, condition: {field: n, gte: 1}",
    ));
    let events = [
        seen(1, 0, 1, &[("k", "a"), ("User", "u"), ("n", "many")]),
        seen(1, 1, 2, &[("k", "a"), ("n", "7")]),
        seen(1, 2, 3, &[("k", "a"), ("User", "u"), ("n", " 7.5 ")]),
    ];
    assert_eq!(shown(&engine.all(&events)), ["X 3: 1-2 User=u"]);
    assert_eq!(engine.correlations.reports().next().unwrap().counts.unusable, 2);
}

#[test]
fn an_event_is_in_the_group_of_each_value() {
    let mut engine = Engine::new(&correlation(
        "type: event_count, rules: [a], group-by: [User], timespan: 10s, condition: {gte: 2}",
    ));
    let events = [
        seen(1, 0, 1, &[("k", "a"), ("User", "u"), ("User", "v")]),
        seen(1, 1, 2, &[("k", "a"), ("User", "v"), ("User", "u")]),
    ];
    let found = engine.all(&events);
    assert_eq!(shown(&found), ["X 2: 1-0 1-1 User=v", "X 2: 1-0 1-1 User=u"]);
    assert_ne!(found[0].id, found[1].id);
}

#[test]
fn aliases_and_chains() {
    let text = "
title: Many
name: many
correlation:
  {type: event_count, rules: [a], group-by: [who], timespan: 10s, condition: {gte: 2}, aliases: {who: {a: User}}}
---
title: Then
correlation:
  type: temporal_ordered
  rules: [many, b]
  group-by: [who]
  timespan: 60s
  aliases: {who: {many: who, b: Account}}
";
    let mut engine = Engine::new(text);
    let events = [
        seen(1, 0, 1, &[("k", "a"), ("User", "eve")]),
        seen(1, 1, 2, &[("k", "a"), ("User", "eve")]),
        seen(2, 0, 30, &[("k", "b"), ("Account", "adam")]),
        seen(2, 1, 31, &[("k", "b"), ("Account", "eve")]),
    ];
    assert_eq!(shown(&engine.all(&events)), ["Then 31: 1-0 1-1 2-1 who=eve"]);
    // `many` is only part of `Then`, and so is each rule.
    let silent = ["id-a", "B", "C", "Many", "Then"].map(|id| engine.correlations.is_silent(id));
    assert_eq!(silent, [true, true, false, true, false]);

    // With `generate`, the parts speak too.
    let mut engine = Engine::new(&text.replace("  timespan: 60s", "  timespan: 60s\n  generate: true"));
    assert_eq!(
        shown(&engine.all(&events)),
        ["Many 2: 1-0 1-1 who=eve", "Then 31: 1-0 1-1 2-1 who=eve"],
        "`a` is still only part of `Many`"
    );
    assert!(engine.correlations.is_silent("id-a") && !engine.correlations.is_silent("B"));
}

#[test]
fn late_hits_are_counted_and_left_out() {
    let mut engine = Engine::new(&correlation("type: event_count, rules: [a], timespan: 1000s, condition: {gte: 3}"));
    let found = engine.all(&events("0 a, 400 a, 99 a, 101 a"));
    // At 400 the watermark is at 100: the event of 99 is late, that of 101 is not.
    assert_eq!(shown(&found), ["X 400: 1-0 1-1 1-3"]);
    let counts = engine.correlations.reports().next().unwrap().counts;
    assert_eq!((counts.late, counts.is_degraded()), (1, false));
    // Too far ahead of the present.
    let mut engine = Engine::new(&correlation("type: event_count, rules: [a], timespan: 1000s, condition: {gte: 2}"));
    let mut out = Vec::new();
    engine.advance(1_000, &mut out);
    for event in events("900 a, 90000 a, 950 a") {
        engine.take(&event);
    }
    engine.correlations.finish(&mut out);
    assert_eq!(shown(&out), ["X 950: 1-0 1-2"]);
    assert_eq!(engine.correlations.reports().next().unwrap().counts.ahead, 1);
}

#[test]
fn correlations_are_refused_by_name() {
    let mut wrong = Vec::new();
    for (body, want) in [
        ("rules: [a], timespan: 1m", "c.yml:19:14: `type` is missing (X)"),
        (
            "type: events, rules: [a], timespan: 1m, condition: {gte: 1}",
            "c.yml:19:21: unknown type `events`; there are: event_count, value_count, temporal, temporal_ordered, \
             value_sum, value_avg, value_percentile, value_median (X)",
        ),
        ("type: event_count, timespan: 1m, condition: {gte: 1}", "c.yml:19:14: `rules` is missing (X)"),
        (
            "type: event_count, rules: [a], timespan: 1m, condition: {gte: 1}, limit: 3",
            "c.yml:19:81: unknown key `limit` in `correlation`; there are: type, rules, group-by, timespan, condition, \
             aliases, generate (X)",
        ),
        ("type: event_count, rules: [a], condition: {gte: 1}", "c.yml:19:14: `timespan` is missing (X)"),
        (
            "type: event_count, rules: [a], timespan: 1y, condition: {gte: 1}",
            "c.yml:19:56: `1y` is not a time span: a number and one of s, m, h, d, w, M, for example 90m (X)",
        ),
        ("type: event_count, rules: [a], timespan: 0s, condition: {gte: 1}", "c.yml:19:56: a time span of nothing (X)"),
        (
            "type: event_count, rules: [a], timespan: 99999999999999d, condition: {gte: 1}",
            "c.yml:19:56: a time span of more than ten years (X)",
        ),
        ("type: event_count, rules: [a], timespan: 1m", "c.yml:19:14: `condition` is missing (X)"),
        (
            "type: event_count, rules: [a], timespan: 1m, condition: {field: x}",
            "c.yml:19:72: unknown key `field` in `condition` of `event_count` (X)",
        ),
        (
            "type: event_count, rules: [a], timespan: 1m, condition: {}",
            "c.yml:19:71: `condition` compares with nothing: gt, gte, lt, lte, eq or neq is missing (X)",
        ),
        (
            "type: event_count, rules: [a], timespan: 1m, condition: {lt: 1}",
            "c.yml:19:71: it can never hold: a window begins with a match, so that its count is 1 at least (X)",
        ),
        (
            "type: event_count, rules: [a], timespan: 1m, condition: {gt: 5, lt: 6}",
            "c.yml:19:71: it can never hold: a window begins with a match, so that its count is 1 at least (X)",
        ),
        (
            "type: event_count, rules: [a], timespan: 1m, condition: {gte: 1.5}",
            "c.yml:19:77: `gte` takes a whole number from 0 on (X)",
        ),
        (
            "type: event_count, rules: [a], timespan: 1m, condition: {gte: 10000000}",
            "c.yml:19:71: a threshold above 1000000 (X)",
        ),
        (
            "type: event_count, rules: [a], timespan: 1m, condition: a",
            "c.yml:19:71: `condition` of `event_count` is a map, for example {gte: 10} (X)",
        ),
        (
            "type: value_count, rules: [a], timespan: 1m, condition: {gte: 1}",
            "c.yml:19:71: `field` is missing: `value_count` counts the values of one (X)",
        ),
        (
            "type: value_sum, rules: [a], timespan: 1m, condition: {gte: 1, field: [x, y]}",
            "c.yml:19:85: `value_sum` takes one field (X)",
        ),
        (
            "type: value_percentile, rules: [a], timespan: 1m, condition: {gte: 1, field: x}",
            "c.yml:19:76: `percentile` is missing: which one, from 0 to 100 (X)",
        ),
        (
            "type: value_percentile, rules: [a], timespan: 1m, condition: {gte: 1, field: x, percentile: 101}",
            "c.yml:19:107: `percentile` is a number from 0 to 100 (X)",
        ),
        (
            "type: temporal, rules: [a, b], timespan: 1m, condition: {gte: 3}",
            "c.yml:19:71: it can never hold: from 1 to 2 of its 2 rules are seen (X)",
        ),
        (
            "type: temporal_ordered, rules: [a, b, c], timespan: 1m, condition: {gte: 2}",
            "c.yml:19:82: an order is only defined for all 3 rules; leave `condition` out or ask for 3 (X)",
        ),
        (
            "type: temporal_ordered, rules: [a, b], timespan: 1m, condition: a or b",
            "c.yml:19:79: condition: an order is only defined for rules joined with `and`, and rules with `not` (X)",
        ),
        (
            "type: temporal, rules: [a, b], timespan: 1m, condition: a and not c",
            "c.yml:19:71: condition: `c` is not one of its rules: a, b (X)",
        ),
        (
            "type: temporal, rules: [a, b], timespan: 1m, condition: a",
            "c.yml:19:71: condition: says nothing of the rule `b` (X)",
        ),
        (
            "type: temporal, rules: [a, b], timespan: 1m, condition: a or not b",
            "c.yml:19:71: condition: holds where nothing was seen; a window begins with a match of a rule without \
             `not` (X)",
        ),
        (
            "type: temporal, rules: [a, b], timespan: 1m, condition: a and (b",
            "c.yml:19:71: condition: `)` is missing (X)",
        ),
        ("type: temporal, rules: [], timespan: 1m", "c.yml:19:38: `rules` names no rule (X)"),
        ("type: temporal, rules: [a, a], timespan: 1m", "c.yml:19:42: `a` is named twice (X)"),
        ("type: temporal, rules: [a, id-a], timespan: 1m", "c.yml:19:42: `id-a` is named twice (X)"),
        (
            "type: temporal, rules: [a, nowhere], timespan: 1m",
            "c.yml:19:42: no loaded rule has the id or name `nowhere` (X)",
        ),
        (
            "type: temporal, rules: [a, X], timespan: 1m",
            "c.yml:19:42: it is a correlation over itself, by way of `X` (X)",
        ),
        (
            "type: temporal, rules: [a], timespan: 1m, aliases: {u: {a: x}}",
            "c.yml:19:66: nothing is grouped by or computed of the alias `u` (X)",
        ),
        (
            "type: temporal, rules: [a, b], timespan: 1m, group-by: [u], aliases: {u: {a: x}}",
            "c.yml:19:84: the alias `u` has no field for the rule `b` (X)",
        ),
        (
            "type: temporal, rules: [a], timespan: 1m, group-by: [u], aliases: {u: {c: x}}",
            "c.yml:19:86: `c` is not one of its rules, as `rules` names them (X)",
        ),
        ("type: temporal, rules: [a], timespan: 1m, group-by: [u, u]", "c.yml:19:71: `group-by` names `u` twice (X)"),
        (
            "type: temporal, rules: [a], timespan: 1m, generate: often",
            "c.yml:19:67: `generate` takes true or false (X)",
        ),
    ] {
        let loaded = load_str("c.yml", &format!("{RULES}---\n{}", correlation(body)));
        let refused: Vec<String> = loaded.refused.iter().map(ToString::to_string).collect();
        assert_eq!((loaded.rules.len(), loaded.correlations.len()), (3, 0), "{body}");
        if refused != [want] {
            wrong.push((refused, want));
        }
    }
    assert_eq!(wrong, []);
}

#[test]
fn circles_and_chains_over_what_is_refused_are_refused() {
    let one = |title: &str, rules: &str| {
        format!("title: {title}\ncorrelation: {{type: temporal, rules: [{rules}], timespan: 1m}}\n")
    };
    let text = [RULES.to_owned(), one("P", "a, Q"), one("Q", "R"), one("R", "P"), one("S", "R, b"), one("T", "a")];
    let loaded = load_str("c.yml", &text.join("---\n"));
    let refused: Vec<String> = loaded.refused.iter().map(|refused| refused.reason.clone()).collect();
    assert_eq!(
        refused,
        [
            "it is a correlation over itself, by way of `P`",
            "correlation `R` is refused itself",
            "correlation `Q` is refused itself",
            "correlation `R` is refused itself",
        ]
    );
    assert_eq!(loaded.correlations.len(), 1);
    // Deep ones end.
    let deep: Vec<String> = (0..5_000).map(|number| one(&format!("D{number}"), &format!("D{}", number + 1))).collect();
    let loaded = load_str("c.yml", &deep.join("---\n"));
    assert_eq!((loaded.correlations.len(), loaded.refused.len()), (0, 5_000));
}

#[test]
fn a_correlation_needs_rules_that_run() {
    let text = format!("{RULES}---\n{}", correlation("type: temporal, rules: [a, b], timespan: 1m"));
    let mut loaded = load_str("c.yml", &text);
    loaded.rules.retain(|rule| rule.name.as_deref() != Some("b"));
    let (program, _) = Program::compile(loaded.rules, &mapping());
    let (correlations, refused) = Correlations::compile(loaded.correlations, &program, &mapping(), Options::default());
    assert!(correlations.is_empty() && !correlations.is_silent("id-a"));
    assert_eq!(refused[0].to_string(), "c.yml:19:42: its rule `b` is not among those that run (X)");
}

#[test]
fn filters_go_into_the_rules_they_name() {
    let rule = |id: &str, product: &str| {
        format!(
            "title: {id}\nid: {id}\nname: n-{id}\nlogsource: {{product: {product}}}\ndetection: {{s: {{k: a}}, condition: s}}\n"
        )
    };
    let filter = |rules: &str, condition: &str| {
        format!(
            "title: F\nlogsource: {{product: test}}\nfilter: {{rules: {rules}, s: {{u: root}}, condition: {condition}}}\n"
        )
    };
    let found = |filter: &str, user: &str| {
        // The filter stands before the rules; the order does not matter.
        let mut documents = Documents::default();
        documents.text("f.yml", filter);
        documents.text("r.yml", &[rule("one", "test"), rule("two", "test"), rule("other", "x")].join("---\n"));
        let loaded = documents.link();
        let refused: Vec<String> = loaded.refused.iter().map(ToString::to_string).collect();
        let filtered: Vec<String> =
            loaded.rules.iter().filter(|rule| !rule.filters.is_empty()).map(|rule| rule.reference.id.clone()).collect();
        let (program, _) = Program::compile(loaded.rules, &mapping());
        let batch = crate::cases::batch("{}", &[("k", Value::Str("a")), ("u", Value::Str(user))]);
        let mut findings = Vec::new();
        program.run(&batch, &mut findings);
        let ids: Vec<String> = findings.iter().map(|finding| finding.rule.id.clone()).collect();
        (ids.join(" "), filtered.join(" "), refused.join("\n"))
    };
    let of = |a: &str, b: &str, c: &str| (a.to_owned(), b.to_owned(), c.to_owned());
    assert_eq!(found(&filter("[one]", "not s"), "root"), of("two", "one", ""));
    assert_eq!(found(&filter("[one]", "not s"), "eve"), of("one two", "one", ""));
    assert_eq!(found(&filter("[n-two]", "s"), "eve"), of("one", "two", ""));
    assert_eq!(found(&filter("any", "not s"), "root"), of("", "one two", ""));
    assert_eq!(
        found(&filter("[one, three]", "not s"), "root"),
        of("two", "one", "f.yml:3:23: no loaded rule has the id or name `three` (F)"),
        "the rest of it holds"
    );
    assert_eq!(
        found(&filter("[other]", "not s"), "root"),
        of("one two", "", "f.yml:3:18: rule `other` reads product=x, the filter is for product=test (F)")
    );
    assert_eq!(
        found(&filter("any", "not s").replace("product: test", "product: y"), "root"),
        of("one two", "", "f.yml:3:9: no loaded rule reads product=y (F)")
    );
    for (text, want) in [
        ("title: F\nfilter: {rules: any, s: {a: b}, condition: s}", "f.yml:1:1: `logsource` is missing (F)"),
        (
            "title: F\nlogsource: {product: p}\nfilter: {s: {a: b}, condition: s}",
            "f.yml:3:9: `rules` is missing: a list of ids or names, or `any` (F)",
        ),
        ("title: F\nlogsource: {product: p}\nfilter: {rules: any, s: {a: b}}", "f.yml:3:9: `condition` is missing (F)"),
        (
            "title: F\nlogsource: {product: p}\nfilter: {rules: any, s: {a|b: b}, condition: s}",
            "f.yml:3:26: unknown modifier `b` in `a|b` (F)",
        ),
        (
            "title: F\nlogsource: {product: p}\nfilter: [s]",
            "f.yml:3:9: `filter` has a list where a map is expected (F)",
        ),
    ] {
        let refused: Vec<String> = load_str("f.yml", text).refused.iter().map(ToString::to_string).collect();
        assert_eq!(refused, [want], "{text}");
    }
}

#[test]
fn filters_and_placeholders_meet() {
    let mut mapping = mapping();
    mapping.placeholder("who", vec!["root".into()]);
    let text = |rule: &str, filter: &str| {
        format!(
            "title: R\nid: r\nlogsource: {{product: test}}\ndetection: {{s: {{{rule}}}, condition: s}}\n---\n\
             title: F\nlogsource: {{product: test}}\nfilter: {{rules: [r], s: {{{filter}}}, condition: not s}}\n"
        )
    };
    for (rule, filter) in [
        ("u: root", "k: b"),
        ("u|expand: '%who%'", "k: b"),
        ("u: root", "k|expand: '%who%'"),
        ("u|expand: '%who%'", "k|expand: '%who%'"),
    ] {
        let loaded = load_str("f.yml", &text(rule, filter));
        assert_eq!(loaded.refused, []);
        let (program, refused) = Program::compile(loaded.rules, &mapping);
        assert_eq!(refused, []);
        for (user, kind) in [("root", "a"), ("eve", "a"), ("root", "b"), ("root", "root"), ("eve", "b")] {
            let caught = if filter.contains("expand") { kind == "root" } else { kind == "b" };
            let want = usize::from(user == "root" && !caught);
            let batch = crate::cases::batch("{}", &[("u", Value::Str(user)), ("k", Value::Str(kind))]);
            let mut findings = Vec::new();
            program.run(&batch, &mut findings);
            assert_eq!(findings.len(), want, "{rule} without {filter} on {user} {kind}");
        }
    }
}

#[test]
fn filters_cannot_multiply_without_bound() {
    let values: Vec<String> = (0..9_999).map(|number| number.to_string()).collect();
    let rules: Vec<String> = (0..600)
        .map(|id| format!("title: r{id}\nlogsource: {{product: p}}\ndetection: {{s: {{F: a}}, condition: s}}\n"))
        .collect();
    let filter = format!(
        "title: F\nlogsource: {{product: p}}\nfilter: {{rules: any, s: {{F: [{}]}}, condition: not s}}\n",
        values.join(",")
    );
    let loaded = load_str("f.yml", &format!("{filter}---\n{}", rules.join("---\n")));
    assert_eq!(loaded.refused[0].reason, "it would add more than 5000000 values to 600 rules");
}

const MANY: &str = "
title: N
correlation: {type: event_count, rules: [a], group-by: [User], timespan: 1h, condition: {gte: 3}}
---
title: W
correlation: {type: value_count, rules: [a, b], group-by: [User], timespan: 1h, condition: {field: t, lt: 2}}
";

#[test]
fn beyond_the_budget_the_oldest_groups_are_given_up_and_counted() {
    let options = Options { budget: 40_000, ..Options::default() };
    let mut engine = Engine::with(&format!("{RULES}---\n{MANY}"), options);
    let mut out = Vec::new();
    for number in 0..1_000 {
        engine.take(&seen(1, number, number as i64, &[("k", "a"), ("User", &format!("user{number}")), ("t", "x")]));
        engine.advance(number as i64, &mut out);
        assert!(engine.correlations.bytes() <= 40_000 + 2_000, "{}", engine.correlations.bytes());
    }
    let reports: Vec<_> = engine.correlations.reports().collect();
    assert!(reports.iter().all(|report| report.counts.evicted > 0 && report.counts.is_degraded()));
    // What is left are the newest.
    let before = engine.correlations.reports().map(|report| report.groups).sum::<usize>();
    engine.correlations.finish(&mut out);
    let windows: Vec<i64> = out.iter().map(|finding| finding.time.micros() / SECOND - 3_600).collect();
    assert!(before > 50 && !windows.is_empty() && windows.iter().all(|start| *start > 300), "{windows:?}");
}

#[test]
fn too_many_that_wait_are_looked_at_early_and_counted() {
    let options = Options { waiting: 50_000, ..Options::default() };
    let mut engine = Engine::with(&format!("{RULES}---\n{MANY}"), options);
    let mut out = Vec::new();
    for number in 0..2_000 {
        engine.take(&seen(1, number, 100, &[("k", "a"), ("User", "u")]));
        engine.advance(100, &mut out);
    }
    assert!(engine.correlations.pending() < 400, "{}", engine.correlations.pending());
    assert!(engine.correlations.reports().next().unwrap().counts.hurried > 0);
}

#[test]
fn state_survives_a_change_of_other_rules() {
    let mut engine = Engine::new(MANY);
    let mut out = Vec::new();
    for event in events("0 a, 1 a, 400 a z, 500 c") {
        engine.take(&event);
        engine.advance(event.time, &mut out);
    }
    let bytes = engine.correlations.snapshot();
    // A rule before the others, a correlation more, and one of the two is another now.
    let text = format!(
        "title: New\nlogsource: {{product: test}}\ndetection: {{s: {{k: d}}, condition: s}}\n---\n{RULES}---\n{}---\n{}",
        correlation("type: event_count, rules: [New, b], group-by: [Host], timespan: 1m, condition: {gte: 2}"),
        MANY.replace("lt: 2", "lt: 3")
    );
    let mut engine = Engine::with(&text, Options::default());
    let restored = engine.correlations.restore(&bytes).unwrap();
    assert_eq!((restored.groups, restored.hits, restored.forgotten), (1, 1, vec!["W".to_owned()]));
    let mut next = events("600 a");
    next[0].seq = 9;
    let found = engine.all(&next);
    assert_eq!(shown(&found)[0], "N 600: 1-0 1-1 1-9 User=u");
}

#[test]
fn foreign_and_damaged_snapshots_are_refused() {
    let mut engine = Engine::new(MANY);
    let mut out = Vec::new();
    for event in events("0 a, 1 a, 2 b, 400 a z, 500 a") {
        engine.take(&event);
        engine.advance(event.time, &mut out);
    }
    let bytes = engine.correlations.snapshot();
    assert_eq!(engine.correlations.restore(b"something else"), Err(RestoreError::Foreign));
    let mut newer = bytes.clone();
    newer[8] = 9;
    assert_eq!(engine.correlations.restore(&newer), Err(RestoreError::Version(9)));
    for length in 10..bytes.len() {
        assert!(engine.correlations.restore(&bytes[..length]).is_err(), "{length} of {} bytes", bytes.len());
    }
    assert_eq!(engine.correlations.snapshot().len(), bytes.len(), "nothing has changed");
    let key = Options { key: [1; 32], ..Options::default() };
    let mut other = Engine::with(&format!("{RULES}---\n{MANY}"), key);
    assert_eq!(other.correlations.restore(&bytes), Err(RestoreError::Key));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// What is given up for the budget does not depend on the order of arrival either, nor on a restart.
    #[test]
    fn evictions_do_not_depend_on_arrival(
        given in prop::collection::vec((0..250_i64, 0..60_u8, any::<bool>()), 100..200),
        shuffle in any::<u64>(),
        stop in 0..200_usize,
    ) {
        let engine = || {
            let options = Options { budget: 5_000, ..Options::default() };
            Engine::with(&format!("{RULES}---\n{MANY}"), options)
        };
        let mut events: Vec<Seen> = given
            .iter()
            .enumerate()
            .map(|(seq, (time, user, b))| {
                let (kind, user) = (if *b { "b" } else { "a" }, format!("u{user}"));
                seen(1, seq as u64, *time, &[("k", kind), ("User", &user), ("t", kind)])
            })
            .collect();
        let mut whole = engine();
        let found = whole.all(&events);
        let reports = |engine: &Engine| engine.correlations.reports().map(|report| report.counts).collect::<Vec<_>>();
        let mut state = shuffle;
        for at in (1..events.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            events.swap(at, (state >> 33) as usize % (at + 1));
        }
        let mut first = engine();
        let stop = stop.min(events.len());
        let mut out = Vec::new();
        for event in &events[..stop] {
            first.take(event);
            first.advance(event.time, &mut out);
        }
        let mut second = engine();
        second.correlations.restore(&first.correlations.snapshot()).unwrap();
        out.extend(second.all(&events[stop..]));
        prop_assert_eq!(out, found);
        prop_assert_eq!(reports(&second), reports(&whole));
        prop_assert!(reports(&whole)[0].evicted > 0);
    }

    #[test]
    fn no_snapshot_makes_the_engine_panic(
        changes in prop::collection::vec((50_usize..4_000, any::<u8>()), 1..6),
        cut in 0_usize..4_000,
    ) {
        let all = format!("{MANY}---\n{}---\n{}---\n{}---\n{}---\n{}",
            "title: S\ncorrelation: {type: value_sum, rules: [a], timespan: 1h, condition: {field: n, gte: 999}}\n",
            "title: P\ncorrelation: {type: value_median, rules: [a], timespan: 1h, condition: {field: n, gte: 3}}\n",
            "title: T\ncorrelation: {type: temporal, timespan: 1h, condition: a and b and not c}\n",
            "title: O\ncorrelation: {type: temporal_ordered, rules: [a, b, c], timespan: 1h}\n",
            "title: V\ncorrelation: {type: value_count, rules: [a, b], timespan: 1h, condition: {field: [t, n], gte: 9}}\n",
        );
        let mut engine = Engine::new(&all);
        let mut out = Vec::new();
        for event in events("0 a, 1 a, 2 b, 3 a y, 400 a z, 500 a") {
            engine.take(&event);
            engine.advance(event.time, &mut out);
        }
        let mut bytes = engine.correlations.snapshot();
        for (at, value) in changes {
            let at = at % bytes.len();
            bytes[at] = value;
        }
        if cut > 2_000 {
            bytes.truncate(cut);
        }
        if engine.correlations.restore(&bytes).is_ok() {
            engine.all(&events("700 a, 701 b, 702 c, 8000 a"));
        }
    }
}
