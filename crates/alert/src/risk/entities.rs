//! Reading entities by their points.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
};

use rusqlite::{Connection, params};
use serde::Serialize;
use vedette_event::{Entity, Time};

use super::{
    memory::dose,
    points::{self, Dose},
    steps::{hour_of, number_of, rule_key},
};
use crate::{AlertError, Alerts, MAX_PAGE, RiskOptions};

/// A list of entities by their points reaches this far.
const MAX_REACH: usize = 10_000;

/// What one rule brings to an entity's points.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RuleRisk {
    /// The rule's id.
    pub rule_id: String,
    /// Its title, as one of its alerts quotes it.
    pub title: String,
    /// Points, before the tactics multiply.
    pub points: f64,
    /// Findings within the window.
    pub findings: u64,
}

/// An entity's risk at a moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EntityRisk {
    /// The entity.
    pub entity: Entity,
    /// Its points: the rules' sum times [`factor`](Self::factor).
    pub points: f64,
    /// What the tactics multiply by.
    pub factor: f64,
    /// The ATT&CK tactics of its findings.
    pub tactics: Vec<&'static str>,
    /// What brought them, most first.
    pub rules: Vec<RuleRisk>,
    /// True if it links nothing, because it was named together with too many others.
    pub is_hub: bool,
}

/// Which entities. The default is the first 100 with any points.
#[derive(Clone, Debug, PartialEq)]
pub struct RiskFilter {
    /// Of that kind: one of [`RISK_KINDS`].
    pub kind: Option<String>,
    /// With so many points at least.
    pub min_points: f64,
    /// Skip so many.
    pub offset: usize,
    /// At most so many; capped at [`MAX_PAGE`], and with the offset at 10,000.
    pub limit: usize,
}

impl Default for RiskFilter {
    fn default() -> Self {
        RiskFilter { kind: None, min_points: 0.0, offset: 0, limit: 100 }
    }
}

/// Entities, most points first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RiskPage {
    /// The entities.
    pub entities: Vec<EntityRisk>,
    /// How many the filter lets through on all pages.
    pub total: u64,
}

impl Alerts {
    /// An entity's points at a moment; none are as good as an entity that was never seen.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn risk_of(&self, entity: &Entity, at: Time) -> Result<EntityRisk, AlertError> {
        self.read(|db| match number_of(db, entity)? {
            Some(number) => self.entity_risk(db, number, entity.clone(), hour_of(at)),
            None => Ok(EntityRisk {
                entity: entity.clone(),
                points: 0.0,
                factor: 1.0,
                tactics: Vec::new(),
                rules: Vec::new(),
                is_hub: false,
            }),
        })
    }

    /// The entities with points at a moment, most first. Looks at every step of the window once.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn risk(&self, filter: &RiskFilter, at: Time) -> Result<RiskPage, AlertError> {
        let reach = filter.offset.saturating_add(filter.limit.min(MAX_PAGE)).min(MAX_REACH);
        let least = (filter.min_points.clamp(0.0, 1e12) * 1000.0).ceil().max(1.0) as u64;
        let hour = hour_of(at);
        self.read(|db| {
            let mut rows = db.prepare_cached(
                "SELECT e.entity, s.hour, s.rule, s.level, s.tactics, s.count
                 FROM risk_entities r CROSS JOIN step_entities e ON e.entity = r.id JOIN steps s ON s.id = e.step
                 WHERE e.hour BETWEEN ?1 AND ?2 AND s.sealed = 0 AND s.void = 0 AND (?3 IS NULL OR r.kind = ?3)
                 ORDER BY r.id",
            )?;
            let mut rows = rows.query(params![self.risk.window(hour).0, hour, filter.kind])?;
            let mut best: BinaryHeap<Reverse<(u64, Reverse<i64>)>> = BinaryHeap::new();
            let (mut total, mut doses, mut current) = (0, Vec::<Dose>::new(), None);
            loop {
                let row = rows.next()?;
                let entity = row.map(|row| row.get::<_, i64>(0)).transpose()?;
                if entity != current {
                    if let Some(done) = current {
                        let milli = points::score(&doses, hour, &self.risk).milli;
                        if milli >= least {
                            total += 1;
                            best.push(Reverse((milli, Reverse(done))));
                            if best.len() > reach {
                                best.pop();
                            }
                        }
                    }
                    doses.clear();
                    current = entity;
                }
                let Some(row) = row else { break };
                doses.push(dose(row, 2, row.get(1)?)?);
            }
            let mut entities = Vec::new();
            for Reverse((_, Reverse(number))) in best.into_sorted_vec().into_iter().skip(filter.offset) {
                let entity = db
                    .prepare_cached("SELECT kind, value FROM risk_entities WHERE id = ?1")?
                    .query_row([number], |row| Ok(Entity { kind: row.get(0)?, value: row.get(1)? }))?;
                entities.push(self.entity_risk(db, number, entity, hour)?);
            }
            Ok(RiskPage { entities, total })
        })
    }

    /// How much the limits of risk have cut, by the limit's name: `entities_of_finding`, `entities_beside_crowded`,
    /// `steps_of_incident`, `merges_of_incidents`.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn risk_cut(&self) -> Result<BTreeMap<String, u64>, AlertError> {
        self.read(|db| {
            let mut rows = db.prepare_cached("SELECT what, count FROM risk_cut")?;
            let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs())))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    fn entity_risk(&self, db: &Connection, number: i64, entity: Entity, hour: i64) -> Result<EntityRisk, AlertError> {
        let (from, to) = (self.risk.window(hour).0, hour);
        let score = points::score(&doses(db, number, from, to)?, hour, &self.risk);
        let mut titles = db.prepare_cached(
            "SELECT DISTINCT a.rule_id, a.rule ->> 'title' FROM step_entities e JOIN steps s ON s.id = e.step
                 JOIN alerts a ON a.id = s.alert
             WHERE e.entity = ?1 AND e.hour BETWEEN ?2 AND ?3 AND s.sealed = 0 AND s.void = 0 ORDER BY a.id",
        )?;
        let mut rules = BTreeMap::new();
        for title in titles.query_map([number, from, to], |row| Ok((row.get(0)?, row.get(1)?)))? {
            let (rule_id, title): (String, String) = title?;
            let Some(share) = score.rules.get(&rule_key(&rule_id)) else { continue };
            let (points, findings) = (share.milli as f64 / 1000.0, share.findings);
            rules.insert(rule_id.clone(), RuleRisk { rule_id, title, points, findings });
        }
        let mut rules: Vec<RuleRisk> = rules.into_values().collect();
        rules.sort_by(|a, b| b.points.total_cmp(&a.points));
        Ok(EntityRisk {
            entity,
            points: score.milli as f64 / 1000.0,
            factor: score.percent as f64 / 100.0,
            tactics: points::tactic_names(score.tactics),
            rules,
            is_hub: is_hub(db, &self.risk, number, hour)?,
        })
    }
}

/// What gives an entity points in some hours.
fn doses(db: &Connection, entity: i64, from: i64, to: i64) -> Result<Vec<Dose>, AlertError> {
    let mut rows = db.prepare_cached(
        "SELECT s.hour, s.rule, s.level, s.tactics, s.count FROM step_entities e JOIN steps s ON s.id = e.step
         WHERE e.entity = ?1 AND e.hour BETWEEN ?2 AND ?3 AND s.sealed = 0 AND s.void = 0",
    )?;
    let rows = rows.query_map([entity, from, to], |row| dose(row, 1, row.get(0)?))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Whether an entity is named together with too many others around an hour.
fn is_hub(db: &Connection, options: &RiskOptions, entity: i64, hour: i64) -> Result<bool, AlertError> {
    let (from, to) = options.window(hour);
    let limit = i64::from(options.hub_links) + 1;
    let others: i64 = db
        .prepare_cached(
            "SELECT count(*) FROM (SELECT DISTINCT o.value FROM step_entities e JOIN steps s ON s.id = e.step
                     JOIN json_each(s.entities) o
                 WHERE e.entity = ?1 AND e.hour BETWEEN ?2 AND ?3 AND o.value <> ?1 LIMIT ?4)",
        )?
        .query_row([entity, from, to, limit], |row| row.get(0))?;
    Ok(others >= limit)
}
