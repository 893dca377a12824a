//! Correlations by brute force: all hits in order, every window looked at from the definition.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use vedette_event::Finding;

use crate::correlations::{Engine, Seen, seen, shown};

const SPAN: i64 = 20;

/// What is computed, as `docs/sigma.md` says it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum What {
    Count,
    Distinct,
    Sum,
    Average,
    Percentile(u32),
    Temporal,
    Ordered,
    /// `a and b and not c`
    Without,
    OrderedWithout,
}

#[derive(Clone, Copy, Debug)]
enum Bound {
    AtLeast(i64),
    Below(i64),
    Exactly(i64),
    Not(i64),
    Between(i64, i64),
}

impl Bound {
    fn holds(self, value: f64) -> bool {
        match self {
            Bound::AtLeast(least) => value >= least as f64,
            Bound::Below(most) => value < most as f64,
            Bound::Exactly(number) => value == number as f64,
            Bound::Not(number) => value != number as f64,
            Bound::Between(least, most) => value > least as f64 && value <= most as f64,
        }
    }

    fn written(self) -> String {
        match self {
            Bound::AtLeast(least) => format!("gte: {least}"),
            Bound::Below(most) => format!("lt: {most}"),
            Bound::Exactly(number) => format!("eq: {number}"),
            Bound::Not(number) => format!("neq: {number}"),
            Bound::Between(least, most) => format!("gt: {least}, lte: {most}"),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Rule {
    what: What,
    bound: Bound,
    grouped: bool,
}

impl Rule {
    fn yaml(self) -> String {
        let bound = self.bound.written();
        let group = if self.grouped { "group-by: [User], " } else { "" };
        let body = match self.what {
            What::Count => format!("type: event_count, rules: [a, b], condition: {{{bound}}}"),
            What::Distinct => format!("type: value_count, rules: [a, b], condition: {{field: [v, w], {bound}}}"),
            What::Sum => format!("type: value_sum, rules: [a, b], condition: {{field: v, {bound}}}"),
            What::Average => format!("type: value_avg, rules: [a, b], condition: {{field: v, {bound}}}"),
            What::Percentile(50) => format!("type: value_median, rules: [a, b], condition: {{field: v, {bound}}}"),
            What::Percentile(percent) => format!(
                "type: value_percentile, rules: [a, b], condition: {{field: v, percentile: {percent}, {bound}}}"
            ),
            What::Temporal => "type: temporal, rules: [a, b, c]".to_owned(),
            What::Ordered => "type: temporal_ordered, rules: [a, b, c]".to_owned(),
            What::Without => "type: temporal, rules: [a, b, c], condition: a and b and not c".to_owned(),
            What::OrderedWithout => "type: temporal_ordered, rules: [a, b, c], condition: a and b and not c".to_owned(),
        };
        format!("title: X\ncorrelation: {{{body}, {group}timespan: {SPAN}s}}\n")
    }

    /// Whether it decides with each hit, over the time before it.
    fn at_once(self) -> bool {
        match self.what {
            What::Temporal | What::Ordered => true,
            What::Count | What::Distinct | What::Sum => matches!(self.bound, Bound::AtLeast(_)),
            _ => false,
        }
    }

    fn holds(self, hits: &[&Seen]) -> bool {
        let numbers = || hits.iter().map(|hit| field(hit, "v").parse::<f64>().unwrap()).collect::<Vec<_>>();
        let kinds: Vec<&str> = hits.iter().map(|hit| field(hit, "k")).collect();
        let in_order = |wanted: &[&str]| {
            let mut wanted = wanted.iter().peekable();
            for kind in &kinds {
                wanted.next_if(|next| *next == kind);
            }
            wanted.peek().is_none()
        };
        match self.what {
            What::Count => self.bound.holds(hits.len() as f64),
            What::Distinct => {
                let values: BTreeSet<(&str, &str)> =
                    hits.iter().map(|hit| (field(hit, "v"), field(hit, "w"))).collect();
                self.bound.holds(values.len() as f64)
            }
            What::Sum => self.bound.holds(numbers().iter().sum()),
            What::Average => self.bound.holds(numbers().iter().sum::<f64>() / hits.len() as f64),
            What::Percentile(percent) => {
                let mut numbers = numbers();
                numbers.sort_by(f64::total_cmp);
                let rank = f64::from(percent) / 100.0 * (numbers.len() - 1) as f64;
                let (below, above) = (numbers[rank.floor() as usize], numbers[rank.ceil() as usize]);
                self.bound.holds(below + (above - below) * rank.fract())
            }
            What::Temporal => ["a", "b", "c"].iter().all(|kind| kinds.contains(kind)),
            What::Ordered => in_order(&["a", "b", "c"]),
            What::Without => kinds.contains(&"a") && kinds.contains(&"b") && !kinds.contains(&"c"),
            What::OrderedWithout => in_order(&["a", "b"]) && !kinds.contains(&"c"),
        }
    }

    /// Time and group of every finding.
    fn brute_force(self, events: &[Seen]) -> Vec<(i64, String)> {
        let members: &[&str] = match self.what {
            What::Temporal | What::Ordered | What::Without | What::OrderedWithout => &["a", "b", "c"],
            _ => &["a", "b"],
        };
        let mut sorted: Vec<&Seen> = events.iter().filter(|event| members.contains(&field(event, "k"))).collect();
        sorted.sort_by_key(|event| (event.time, event.source, event.seq));
        let mut groups: BTreeMap<String, Vec<&Seen>> = BTreeMap::new();
        for event in sorted {
            let group = if self.grouped { field(event, "User").to_owned() } else { String::new() };
            groups.entry(group).or_default().push(event);
        }
        let mut found = Vec::new();
        for (group, hits) in groups {
            let mut first = 0;
            let within = |from: usize, time: i64| {
                let hits: &[&Seen] = &hits[from..];
                hits.iter().take_while(|hit| hit.time <= time).copied().collect::<Vec<_>>()
            };
            if self.at_once() {
                for last in 0..hits.len() {
                    let window: Vec<&Seen> =
                        hits[first..=last].iter().filter(|hit| hit.time >= hits[last].time - SPAN).copied().collect();
                    if self.holds(&window) {
                        found.push((hits[last].time, group.clone()));
                        first = last + 1;
                    }
                }
                continue;
            }
            let waits = matches!(self.what, What::Without | What::OrderedWithout);
            while first < hits.len() {
                let window = within(first, hits[first].time + SPAN);
                let holds = self.holds(&window);
                if holds {
                    found.push((hits[first].time + SPAN, group.clone()));
                }
                first += if holds || !waits { window.len() } else { 1 };
            }
        }
        found.sort();
        found
    }
}

fn field<'a>(event: &'a Seen, name: &str) -> &'a str {
    event.fields.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value)
}

fn times(findings: &[Finding]) -> Vec<(i64, String)> {
    let group = |finding: &Finding| finding.matched.first().map_or(String::new(), |matched| matched.value.clone());
    let mut times: Vec<_> =
        findings.iter().map(|finding| (finding.time.micros() / 1_000_000, group(finding))).collect();
    times.sort();
    times
}

fn bound() -> impl Strategy<Value = Bound> {
    prop_oneof![
        4 => (1..6_i64).prop_map(Bound::AtLeast),
        1 => (2..5_i64).prop_map(Bound::Below),
        1 => (1..4_i64).prop_map(Bound::Exactly),
        1 => (2..4_i64).prop_map(Bound::Not),
        1 => (1..3_i64, 1..3_i64).prop_map(|(least, more)| Bound::Between(least, least + more)),
    ]
}

fn rule() -> impl Strategy<Value = Rule> {
    let what = prop::sample::select(vec![
        What::Count,
        What::Distinct,
        What::Sum,
        What::Average,
        What::Percentile(50),
        What::Percentile(90),
        What::Temporal,
        What::Ordered,
        What::Without,
        What::OrderedWithout,
    ]);
    (what, bound(), any::<bool>()).prop_map(|(what, bound, grouped)| Rule { what, bound, grouped })
}

fn given() -> impl Strategy<Value = Vec<Seen>> {
    let event = (1..3_u32, 0..120_i64, prop::sample::select(vec!["a", "b", "c", "d"]), 0..2_u8, -2..4_i64, 0..2_u8);
    prop::collection::vec(event, 0..60).prop_map(|events| {
        events
            .into_iter()
            .enumerate()
            .map(|(seq, (source, time, kind, user, v, w))| {
                let (user, v, w) = (format!("u{user}"), v.to_string(), w.to_string());
                seen(source, seq as u64, time, &[("k", kind), ("User", &user), ("v", &v), ("w", &w)])
            })
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn correlations_find_what_brute_force_finds(rule in rule(), events in given()) {
        let found = Engine::new(&rule.yaml()).all(&events);
        prop_assert_eq!(times(&found), rule.brute_force(&events), "{}\n{:?}", rule.yaml(), shown(&found));
    }

    /// Any order within the lateness, batches cut anywhere: the same findings, ids and events included.
    #[test]
    fn the_order_of_arrival_does_not_matter(
        rules in prop::collection::vec(rule(), 1..4),
        events in given(),
        shuffle in any::<u64>(),
    ) {
        let text: Vec<String> =
            rules.iter().enumerate().map(|(n, rule)| rule.yaml().replace("title: X", &format!("title: X{n}"))).collect();
        let chain = "title: Y\ncorrelation: {type: event_count, rules: [X0], timespan: 1h, condition: {gte: 2}, generate: true}\n";
        let text = format!("{}---\n{chain}", text.join("---\n"));
        let mut sorted = events.clone();
        sorted.sort_by_key(|event| (event.time, event.source, event.seq));
        let in_order = Engine::new(&text).all(&sorted);
        // All times lie within the lateness of five minutes, so that any permutation is allowed.
        let mut state = shuffle;
        let mut shuffled = events;
        for at in (1..shuffled.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            shuffled.swap(at, (state >> 33) as usize % (at + 1));
        }
        let anyhow = Engine::new(&text).all(&shuffled);
        prop_assert_eq!(in_order, anyhow);
    }

    /// A stop at any point, with all that is known written down and read back.
    #[test]
    fn a_restart_does_not_matter(rules in prop::collection::vec(rule(), 1..4), events in given(), stop in 0..60_usize) {
        let text: Vec<String> =
            rules.iter().enumerate().map(|(n, rule)| rule.yaml().replace("title: X", &format!("title: X{n}"))).collect();
        let chain = "title: Y\ncorrelation: {type: temporal, rules: [X0, c], timespan: 1m, generate: true}\n";
        let text = format!("{}---\n{chain}", text.join("---\n"));
        // Time goes on fast enough for the watermark to pass hits while others wait.
        let mut events = events;
        events.iter_mut().for_each(|event| event.time *= 10);
        events.sort_by_key(|event| (event.time, event.source, event.seq));
        let whole = Engine::new(&text).all(&events);
        let stop = stop.min(events.len());
        let mut first = Engine::new(&text);
        let mut out = Vec::new();
        for event in &events[..stop] {
            first.take(event);
            first.advance(event.time, &mut out);
        }
        let bytes = first.correlations.snapshot();
        let mut second = Engine::new(&text);
        second.correlations.restore(&bytes).unwrap();
        prop_assert_eq!(second.correlations.bytes(), first.correlations.bytes());
        out.extend(second.all(&events[stop..]));
        prop_assert_eq!(out, whole);
    }
}
