//! Whether an entity is over the threshold, mostly without adding up its points.
//!
//! After adding up, what came out is kept: *from this hour on it has never more than so many points, of these tactics*. A
//! further finding raises that by its own points at most. Only when so much could be over the threshold is it added up
//! again. Steps that are in an incident are left out: whoever shares them is found by the link.

use std::collections::BTreeMap;

use super::{
    memory::Memory,
    points::{self, Dose, MAX_REPEATS, Peak},
    steps::Step,
};
use crate::{AlertError, schema::Writing};

/// See the module; it holds for the hours of which the memory has the steps.
#[derive(Debug)]
pub(super) struct Calm {
    from: i64,
    milli: u64,
    tactics: u32,
}

/// Whether the entity is over the threshold in any hour, now that the step has another finding.
pub(super) fn is_over(
    writing: &Writing<'_>,
    memory: &mut Memory,
    entity: i64,
    step: &Step,
) -> Result<bool, AlertError> {
    let options = writing.risk;
    let threshold = u64::from(options.threshold) * 1000;
    let nearby = memory.near(writing, entity, step.hour)?;
    if let Some(calm) = &mut nearby.calm
        && calm.from <= step.hour
    {
        calm.milli = calm.milli.saturating_add(step.brings);
        calm.tactics |= step.tactics;
        if points::multiplied(calm.milli, calm.tactics, options) < threshold {
            return Ok(false);
        }
    }
    let ((from, to), end) = (options.window(step.hour), nearby.to);
    let doses = alike_together(memory.doses(entity, from, end));
    let peak = points::peak_in(&doses, step.hour, to, options);
    let beyond = points::peak_in(&doses, to + 1, end, options);
    let Peak { sum, tactics, .. } = peak;
    let calm = Calm { from: step.hour, milli: sum.max(beyond.sum), tactics: tactics | beyond.tactics };
    memory.near(writing, entity, step.hour)?.calm = Some(calm);
    Ok(peak.milli >= threshold)
}

/// One dose for all of an hour of one rule and level; more findings than count make no difference.
fn alike_together(doses: Vec<Dose>) -> Vec<Dose> {
    let mut alike: BTreeMap<(i64, i64, usize), Dose> = BTreeMap::new();
    for dose in doses {
        let all = alike.entry((dose.hour, dose.rule, dose.level)).or_insert(Dose { count: 0, tactics: 0, ..dose });
        all.count = all.count.saturating_add(dose.count).min(MAX_REPEATS);
        all.tactics |= dose.tactics;
    }
    alike.into_values().collect()
}
