//! How many points an entity has at a moment. Pure, and in whole numbers, so that no order of adding up can matter.

use std::collections::BTreeMap;

use crate::RiskOptions;

/// So many findings of a rule count; the strongest in full, the next half, the next a third. A rule that only repeats
/// itself brings at most 3.38 times its points.
pub const MAX_REPEATS: u64 = 16;

/// ATT&CK's tactics as Sigma writes them (Enterprise with the split of `defense-evasion`, Mobile, ICS). The place is
/// the bit; only ever appended to.
const TACTICS: [&str; 20] = [
    "reconnaissance",
    "resource-development",
    "initial-access",
    "execution",
    "persistence",
    "privilege-escalation",
    "defense-evasion",
    "credential-access",
    "discovery",
    "lateral-movement",
    "collection",
    "command-and-control",
    "exfiltration",
    "impact",
    "stealth",
    "defense-impairment",
    "evasion",
    "inhibit-response-function",
    "impair-process-control",
    "network-effects",
];

/// The tactics as bits. Sigma has written them with `_` and with `-`; a name that ATT&CK does not know is no tactic.
pub(crate) fn tactics_of(names: &[String]) -> u32 {
    let known = |name: &String| {
        let name = name.to_ascii_lowercase().replace('_', "-");
        TACTICS.iter().position(|tactic| *tactic == name)
    };
    names.iter().filter_map(known).fold(0, |bits, at| bits | 1 << at)
}

/// The names of tactics.
pub(crate) fn tactic_names(bits: u32) -> Vec<&'static str> {
    TACTICS.iter().enumerate().filter(|(at, _)| bits >> at & 1 == 1).map(|(_, name)| *name).collect()
}

/// What one step gives an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dose {
    pub(crate) hour: i64,
    pub(crate) rule: i64,
    pub(crate) level: usize,
    pub(crate) tactics: u32,
    pub(crate) count: u64,
}

/// What one rule brings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Share {
    /// Thousandths of points, before the tactics multiply.
    pub(crate) milli: u64,
    pub(crate) findings: u64,
}

/// The score.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Score {
    /// Thousandths of points.
    pub(crate) milli: u64,
    pub(crate) tactics: u32,
    pub(crate) percent: u64,
    pub(crate) rules: BTreeMap<i64, Share>,
}

/// The score at an hour. Doses of later hours, and of earlier ones than the window reaches, are not looked at.
pub(crate) fn score(doses: &[Dose], hour: i64, options: &RiskOptions) -> Score {
    let mut by_rule: BTreeMap<i64, Vec<(u64, u64)>> = BTreeMap::new();
    let mut tactics = 0;
    for dose in doses {
        let age = hour - dose.hour;
        let points = options.points.get(dose.level).copied().unwrap_or_default();
        if !(0..=i64::from(options.window_hours)).contains(&age) || points == 0 {
            continue;
        }
        tactics |= dose.tactics;
        by_rule.entry(dose.rule).or_default().push((decayed(points, age, options), dose.count));
    }
    let mut score = Score { tactics, percent: percent(tactics, options), ..Score::default() };
    let mut sum = 0;
    for (rule, mut strengths) in by_rule {
        strengths.sort_unstable_by(|a, b| b.cmp(a));
        let mut share = Share::default();
        let mut rank = 0;
        for (milli, count) in strengths {
            share.findings = share.findings.saturating_add(count);
            let counting = count.min(MAX_REPEATS - rank);
            share.milli += (rank..rank + counting).map(|before| milli / (1 + before)).sum::<u64>();
            rank += counting;
        }
        sum += share.milli;
        score.rules.insert(rule, share);
    }
    score.milli = multiplied(sum, tactics, options);
    score
}

/// The most that an entity has in any hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Peak {
    /// Thousandths of points.
    pub(crate) milli: u64,
    /// The same before the tactics multiply.
    pub(crate) sum: u64,
    /// Every tactic of the time.
    pub(crate) tactics: u32,
}

/// The most from one hour to another: it rises only where something happened.
pub(crate) fn peak_in(doses: &[Dose], from: i64, to: i64, options: &RiskOptions) -> Peak {
    let mut hours: Vec<i64> = doses.iter().map(|dose| dose.hour).filter(|hour| (from..=to).contains(hour)).collect();
    hours.sort_unstable();
    hours.dedup();
    let mut peak = Peak::default();
    for hour in hours {
        let score = score(doses, hour, options);
        let sum = score.rules.values().map(|share| share.milli).sum();
        peak =
            Peak { milli: peak.milli.max(score.milli), sum: peak.sum.max(sum), tactics: peak.tactics | score.tactics };
    }
    peak
}

/// Points after the tactics have multiplied.
pub(crate) fn multiplied(sum: u64, tactics: u32, options: &RiskOptions) -> u64 {
    sum.saturating_mul(percent(tactics, options)) / 100
}

fn decayed(points: u32, age: i64, options: &RiskOptions) -> u64 {
    let halvings = age as f64 / f64::from(options.half_life_hours);
    (f64::from(points) * 1000.0 * (-halvings).exp2()).round() as u64
}

fn percent(tactics: u32, options: &RiskOptions) -> u64 {
    let further = u64::from(tactics.count_ones().saturating_sub(1));
    (100 + further * u64::from(options.tactic_percent)).min(u64::from(options.max_percent))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn dose(hour: i64, rule: i64, level: usize, tactics: u32, count: u64) -> Dose {
        Dose { hour, rule, level, tactics, count }
    }

    fn milli(doses: &[Dose], hour: i64) -> u64 {
        score(doses, hour, &RiskOptions::default()).milli
    }

    #[test]
    fn the_formula() {
        for (doses, hour, expected, why) in [
            (vec![], 0, 0, "nothing"),
            (vec![dose(0, 1, 0, 1, 9)], 0, 0, "informational adds nothing"),
            (vec![dose(0, 1, 3, 0, 1)], 0, 40_000, "one finding in full"),
            (vec![dose(0, 1, 3, 0, 1)], 24, 20_000, "half after the half-life"),
            (vec![dose(0, 1, 3, 0, 1)], 72, 5_000, "an eighth at the window's end"),
            (vec![dose(0, 1, 3, 0, 1)], 73, 0, "nothing beyond"),
            (vec![dose(5, 1, 3, 0, 1)], 4, 0, "nothing before it happened"),
            (vec![dose(0, 1, 3, 0, 3)], 0, 40_000 + 20_000 + 13_333, "again adds less"),
            (vec![dose(0, 1, 3, 0, 16)], 0, 135_225, "sixteen are all that count"),
            (vec![dose(0, 1, 3, 0, u64::MAX)], 0, 135_225, "so a million is no more"),
            (vec![dose(0, 1, 3, 0, 1), dose(24, 1, 3, 0, 1)], 24, 40_000 + 10_000, "the strongest first"),
            (vec![dose(0, 1, 3, 0, 1), dose(0, 2, 3, 0, 1)], 0, 80_000, "another rule in full"),
            (vec![dose(0, 1, 3, 1, 1), dose(0, 2, 3, 2, 1)], 0, 100_000, "another tactic: a quarter more"),
            (vec![dose(0, 1, 3, 1, 1), dose(0, 2, 3, 1, 1)], 0, 80_000, "the same tactic"),
            (vec![dose(0, 1, 3, 0xf_ffff, 1)], 0, 120_000, "tactics triple at most"),
        ] {
            assert_eq!(milli(&doses, hour), expected, "{why}");
        }
        let doses = [dose(0, 1, 4, 1, 1), dose(24, 2, 3, 2, 1)];
        let peak = peak_in(&doses, 0, 24, &RiskOptions::default());
        assert_eq!(peak, Peak { milli: 100_000, sum: 80_000, tactics: 3 });
        assert_eq!(peak_in(&doses, 0, 23, &RiskOptions::default()).milli, 80_000);
        assert_eq!(peak_in(&doses, 25, 99, &RiskOptions::default()), Peak::default());
    }

    #[test]
    fn tactics_by_name() {
        let names = ["Lateral_Movement", "lateral-movement", "nonsense", "impact"].map(str::to_owned);
        assert_eq!(tactic_names(tactics_of(&names)), ["lateral-movement", "impact"]);
    }

    proptest! {
        #[test]
        fn more_is_never_less_and_order_does_not_matter(
            draws in prop::collection::vec((0..200_i64, 0..4_i64, 0..5_usize, 0..20_u32, 1..40_u64), 0..30),
            further in (0..200_i64, 0..4_i64, 0..5_usize, 0..20_u32, 1..40_u64),
            at in 0..300_i64,
        ) {
            let of = |(hour, rule, level, bit, count): (i64, i64, usize, u32, u64)| dose(hour, rule, level, 1 << bit, count);
            let mut doses: Vec<Dose> = draws.into_iter().map(of).collect();
            let before = score(&doses, at, &RiskOptions::default());
            doses.reverse();
            prop_assert_eq!(&score(&doses, at, &RiskOptions::default()), &before);
            doses.push(Dose { count: 1, ..of(further) });
            prop_assert!(milli(&doses, at) >= before.milli);
            // What `calm` relies on: a finding brings its own points at most.
            let sum = |score: Score| score.rules.values().map(|share| share.milli).sum::<u64>();
            let points = u64::from(RiskOptions::default().points[further.2]) * 1000;
            prop_assert!(sum(score(&doses, at, &RiskOptions::default())) <= sum(before) + points);
        }

        #[test]
        fn it_only_decays_when_nothing_happens(
            draws in prop::collection::vec((0..50_i64, 0..4_i64, 0..5_usize, 0..20_u32, 1..40_u64), 0..30),
        ) {
            let of = |(hour, rule, level, bit, count): (i64, i64, usize, u32, u64)| dose(hour, rule, level, 1 << bit, count);
            let doses: Vec<Dose> = draws.into_iter().map(of).collect();
            let later: Vec<u64> = (50..130).map(|hour| milli(&doses, hour)).collect();
            prop_assert!(later.is_sorted_by(|a, b| a >= b));
            prop_assert_eq!(later.last(), Some(&0));
        }
    }
}
