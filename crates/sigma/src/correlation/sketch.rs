//! Percentiles of many numbers: exact up to a cap, then a sketch of fixed size.
//!
//! The sketch is DDSketch (Masson, Rim, Lee: *DDSketch*, VLDB 2019): numbers are counted in buckets whose bounds
//! grow by a constant factor, so that what it answers is within 1 % of a number of that rank (and numbers nearer
//! to zero than 10⁻⁹ are zero). If numbers lie so far apart that there would be too many buckets, those nearest
//! to zero are joined, and only answers from among them are worse.

use std::collections::BTreeMap;

use super::snapshot::{Reader, Snapshot, Writer};

/// Most numbers that are kept as they are.
pub(super) const MAX_EXACT: usize = 1024;
const MAX_BUCKETS: usize = 2048;
const ACCURACY: f64 = 0.01;
const NEAR_ZERO: f64 = 1e-9;

/// Numbers whose percentiles are asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Values {
    Exact(Vec<f64>),
    Sketch(Box<Sketch>),
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Sketch {
    negative: BTreeMap<i32, u64>,
    zero: u64,
    positive: BTreeMap<i32, u64>,
}

fn growth() -> f64 {
    ((1.0 + ACCURACY) / (1.0 - ACCURACY)).ln()
}

impl Values {
    /// Adds a finite number. True if from now on they are no longer exact.
    pub(super) fn add(&mut self, value: f64) -> bool {
        match self {
            Values::Exact(values) if values.len() < MAX_EXACT => {
                values.push(value);
                false
            }
            Values::Exact(values) => {
                let mut sketch = Box::<Sketch>::default();
                values.iter().chain([&value]).for_each(|value| sketch.add(*value));
                *self = Values::Sketch(sketch);
                true
            }
            Values::Sketch(sketch) => {
                sketch.add(value);
                false
            }
        }
    }

    /// The percentile: between the two numbers next to its rank `percent / 100 × (count − 1)`, linearly, as long
    /// as they are exact; then the number of that rank rounded down, as the sketch knows it.
    pub(super) fn percentile(&self, percent: f64) -> f64 {
        match self {
            Values::Exact(values) => {
                let mut sorted = values.clone();
                sorted.sort_unstable_by(f64::total_cmp);
                let rank = percent / 100.0 * sorted.len().saturating_sub(1) as f64;
                let below = sorted.get(rank.floor() as usize).copied().unwrap_or(0.0);
                let above = sorted.get(rank.ceil() as usize).copied().unwrap_or(below);
                if below == above { below } else { below + (above - below) * rank.fract() }
            }
            Values::Sketch(sketch) => sketch.percentile(percent),
        }
    }

    pub(super) fn cost(&self) -> usize {
        match self {
            Values::Exact(values) => values.len() * 16,
            Values::Sketch(sketch) => 64 + (sketch.negative.len() + sketch.positive.len()) * 24,
        }
    }

    pub(super) fn write(&self, out: &mut Writer) {
        match self {
            Values::Exact(values) => {
                out.u8(0);
                out.count(values.len());
                values.iter().for_each(|value| out.f64(*value));
            }
            Values::Sketch(sketch) => {
                out.u8(1);
                out.u64(sketch.zero);
                for side in [&sketch.negative, &sketch.positive] {
                    out.count(side.len());
                    for (index, count) in side {
                        out.u32(index.cast_unsigned());
                        out.u64(*count);
                    }
                }
            }
        }
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Snapshot<Self> {
        match from.u8()? {
            0 => {
                let count = from.count(8)?;
                if count > MAX_EXACT {
                    return from.damaged();
                }
                Ok(Values::Exact((0..count).map(|_| from.f64()).collect::<Snapshot<_>>()?))
            }
            1 => {
                let mut sketch = Sketch { zero: from.u64()?, ..Sketch::default() };
                for side in [&mut sketch.negative, &mut sketch.positive] {
                    for _ in 0..from.count(12)? {
                        let index = from.u32()?.cast_signed();
                        side.insert(index, from.u64()?);
                    }
                }
                if sketch.negative.len() + sketch.positive.len() > MAX_BUCKETS {
                    return from.damaged();
                }
                Ok(Values::Sketch(Box::new(sketch)))
            }
            _ => from.damaged(),
        }
    }
}

impl Sketch {
    fn add(&mut self, value: f64) {
        let size = value.abs();
        if size < NEAR_ZERO {
            self.zero = self.zero.saturating_add(1);
            return;
        }
        let side = if value < 0.0 { &mut self.negative } else { &mut self.positive };
        let count = side.entry((size.ln() / growth()).ceil() as i32).or_default();
        *count = count.saturating_add(1);
        if self.negative.len() + self.positive.len() > MAX_BUCKETS {
            let longer =
                if self.negative.len() > self.positive.len() { &mut self.negative } else { &mut self.positive };
            if let Some((_, count)) = longer.pop_first()
                && let Some(mut next) = longer.first_entry()
            {
                let joined = next.get().saturating_add(count);
                next.insert(joined);
            }
        }
    }

    fn percentile(&self, percent: f64) -> f64 {
        let buckets = || {
            let middle = |index: i32| {
                let edge = (f64::from(index) * growth()).exp();
                edge * (1.0 - ACCURACY)
            };
            let negative = self.negative.iter().rev().map(move |(index, count)| (-middle(*index), *count));
            let positive = self.positive.iter().map(move |(index, count)| (middle(*index), *count));
            negative.chain([(0.0, self.zero)]).chain(positive).filter(|(_, count)| *count > 0)
        };
        let total = buckets().fold(0_u64, |total, (_, count)| total.saturating_add(count));
        let rank = (percent / 100.0 * total.saturating_sub(1) as f64).floor() as u64;
        let mut seen = 0_u64;
        for (value, count) in buckets() {
            seen = seen.saturating_add(count);
            if seen > rank {
                return value;
            }
        }
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sketch_is_as_near_as_it_says() {
        let mut values = Values::Exact(Vec::new());
        let mut all: Vec<f64> = Vec::new();
        let mut state = 1_u64;
        for number in 0..50_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let unit = (state >> 11) as f64 / (1_u64 << 53) as f64;
            let value = (unit * 20.0).exp() * if number % 3 == 0 { -1.0 } else { 1.0 };
            let left = values.add(value);
            assert_eq!(left, number == MAX_EXACT);
            all.push(value);
        }
        all.sort_by(f64::total_cmp);
        for percent in [0.0, 1.0, 10.0, 33.0, 50.0, 90.0, 99.0, 99.9, 100.0] {
            let exact = all[(percent / 100.0 * (all.len() - 1) as f64).floor() as usize];
            let answer = values.percentile(percent);
            assert!((answer - exact).abs() <= exact.abs() * 0.0101, "{percent}: {answer} instead of {exact}");
        }
    }

    #[test]
    fn few_numbers_are_exact() {
        let mut values = Values::Exact(Vec::new());
        for value in [4.0, 1.0, 3.0, 2.0, 5.0] {
            values.add(value);
        }
        for (percent, want) in [(0.0, 1.0), (25.0, 2.0), (50.0, 3.0), (90.0, 4.6), (100.0, 5.0)] {
            assert!((values.percentile(percent) - want).abs() < 1e-12, "{percent}");
        }
    }

    #[test]
    fn buckets_are_bounded() {
        let mut values = Values::Sketch(Box::default());
        for exponent in -300..300 {
            for digit in 1..100 {
                values.add(f64::from(digit) * 10_f64.powi(exponent));
            }
        }
        let Values::Sketch(sketch) = &values else { panic!("it is a sketch") };
        assert!(sketch.positive.len() <= MAX_BUCKETS);
        assert!((values.percentile(100.0) / 9.9e300 - 1.0).abs() < 0.02);
    }
}
