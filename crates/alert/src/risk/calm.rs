//! Whether an entity is over the threshold, mostly without adding up its points.
//!
//! After adding up, what came out is kept with the entity: *from this hour on it has never more than so many points, of these
//! tactics*. A further finding raises that by its own points at most. Only when so much could be over the threshold is it
//! added up again. Steps that are in an incident are left out: whoever shares them is found by the link.

use rusqlite::{Connection, params};

use super::{
    RiskOptions,
    points::{self, Dose},
    steps::Step,
};
use crate::{AlertError, schema::Writing};

/// Whether the entity is over the threshold in any hour, now that the step has another finding.
pub(super) fn is_over(writing: &Writing<'_>, entity: i64, step: &Step) -> Result<bool, AlertError> {
    let (tx, options) = (writing.tx, writing.risk);
    let threshold = u64::from(options.threshold) * 1000;
    let known: (Option<i64>, u64, u32, i64) = tx
        .prepare_cached("SELECT calm_from, calm_milli, calm_tactics, calm_options FROM risk_entities WHERE id = ?1")?
        .query_row([entity], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs(), row.get(2)?, row.get(3)?)))?;
    let mut keep = tx.prepare_cached(
        "UPDATE risk_entities SET calm_from = ?2, calm_milli = ?3, calm_tactics = ?4, calm_options = ?5 WHERE id = ?1",
    )?;
    let marked = mark(options);
    if let (Some(from), milli, tactics, of) = known
        && from <= step.hour
        && of == marked
    {
        let (milli, tactics) = (milli.saturating_add(step.brings), tactics | step.tactics);
        if points::multiplied(milli, tactics, options) < threshold {
            keep.execute(params![entity, from, milli as i64, tactics, marked])?;
            return Ok(false);
        }
    }
    let (from, to) = options.window(step.hour);
    let doses = doses(tx, entity, (from, to), " AND s.incident IS NULL")?;
    let peak = points::peak_from(&doses, step.hour, options);
    // What lies beyond was not looked at, so nothing can be said of it.
    let is_latest = !tx
        .prepare_cached("SELECT 1 FROM step_entities WHERE entity = ?1 AND hour > ?2 LIMIT 1")?
        .exists([entity, to])?;
    keep.execute(params![entity, is_latest.then_some(step.hour), peak.sum as i64, peak.tactics, marked])?;
    Ok(peak.milli >= threshold)
}

/// What gives an entity points in some hours.
pub(super) fn doses(
    db: &Connection,
    entity: i64,
    (from, to): (i64, i64),
    further: &str,
) -> Result<Vec<Dose>, AlertError> {
    let mut rows = db.prepare_cached(&format!(
        "SELECT s.hour, s.rule, s.level, s.tactics, s.count FROM step_entities e JOIN steps s ON s.id = e.step
         WHERE e.entity = ?1 AND e.hour BETWEEN ?2 AND ?3 AND s.sealed = 0 AND s.void = 0{further}"
    ))?;
    let rows = rows.query_map([entity, from, to], |row| {
        Ok(Dose {
            hour: row.get(0)?,
            rule: row.get(1)?,
            level: row.get::<_, i64>(2)?.unsigned_abs() as usize,
            tactics: row.get(3)?,
            count: row.get::<_, i64>(4)?.unsigned_abs(),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// What was kept holds only for the numbers that it was found with.
fn mark(options: &RiskOptions) -> i64 {
    let mut hasher = blake3::Hasher::new();
    let further =
        [options.half_life_hours, options.window_hours, options.tactic_percent, options.max_percent, options.threshold];
    for number in options.points.into_iter().chain(further) {
        hasher.update(&number.to_le_bytes());
    }
    let mut mark = [0; 8];
    mark.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    i64::from_le_bytes(mark)
}
