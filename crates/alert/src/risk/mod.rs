//! Risk: findings add points to users, hosts and addresses, and incidents open where many come together.
//!
//! What is stored is not a score but **steps**: the findings of one alert in one hour of event time about the same
//! entities, with their number. A score is computed from the steps for a moment ([`points`]), so it depends on what
//! happened and when, never on the order in which it was learnt. An **incident** is what is connected: steps that
//! share an entity within the window, one of which lifted an entity over the threshold ([`linking`]).

mod calm;
mod entities;
mod incidents;
mod linking;
mod memory;
mod points;
mod review;
mod steps;

use serde::Serialize;
use vedette_event::Level;

pub use entities::{EntityRisk, RiskFilter, RiskPage, RuleRisk};
pub(crate) use incidents::followed;
pub use incidents::{
    Incident, IncidentDetail, IncidentFilter, IncidentId, IncidentPage, IncidentState, IncidentStateName,
    MAX_ENTITIES_SHOWN, TimelineStep,
};
pub use linking::MAX_STEPS_PER_INCIDENT;
pub(crate) use memory::Memory;
pub use points::MAX_REPEATS;
pub use review::RiskPruned;
pub(crate) use review::{close, judge, merge_in_cases, take_back};
pub(crate) use steps::add;
pub use steps::{MAX_RISK_ENTITIES, MAX_STEPS_PER_ENTITY_HOUR};

/// The kinds of entities that carry risk. A process, a file or a domain is how something was done, not who or where.
pub const RISK_KINDS: [&str; 3] = ["user", "host", "ip"];

/// The numbers of the formulae; `docs/risk.md` explains them with an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct RiskOptions {
    /// Points of a finding by its rule's level, informational to critical. A level with 0 adds nothing, is in no
    /// incident and links nothing.
    pub points: [u32; 5],
    /// After so many hours a finding is worth half.
    pub half_life_hours: u32,
    /// Findings further apart than this neither add up nor are linked.
    pub window_hours: u32,
    /// Each ATT&CK tactic beyond the first raises an entity's points by so many per cent.
    pub tactic_percent: u32,
    /// But to no more than so many per cent of them.
    pub max_percent: u32,
    /// An incident opens when an entity has so many points.
    pub threshold: u32,
    /// An entity that was named together with more others than this in a window is a hub (a domain controller, a
    /// proxy): it links nothing.
    pub hub_links: u32,
}

impl Default for RiskOptions {
    fn default() -> Self {
        RiskOptions {
            points: [0, 5, 15, 40, 80],
            half_life_hours: 24,
            window_hours: 72,
            tactic_percent: 25,
            max_percent: 300,
            threshold: 100,
            hub_links: 32,
        }
    }
}

impl RiskOptions {
    /// Whether the numbers make sense together, and which one does not.
    ///
    /// # Errors
    /// The number's name and its bounds.
    pub fn check(&self) -> Result<(), String> {
        let within = |name: &str, value: u32, low: u32, high: u32| match (low..=high).contains(&value) {
            true => Ok(()),
            false => Err(format!("{name} is {value}; it must be from {low} to {high}")),
        };
        for points in self.points {
            within("points", points, 0, 10_000)?;
        }
        if !self.points.is_sorted() {
            return Err("points: a worse level must not have fewer points".to_owned());
        }
        within("half_life_hours", self.half_life_hours, 1, 24 * 365)?;
        within("window_hours", self.window_hours, 1, 24 * 30)?;
        within("tactic_percent", self.tactic_percent, 0, 1000)?;
        within("max_percent", self.max_percent, 100, 10_000)?;
        within("threshold", self.threshold, 1, 1_000_000)?;
        within("hub_links", self.hub_links, 1, 1000)
    }

    pub(crate) fn points_of(&self, level: Level) -> u32 {
        self.points[level as usize]
    }

    /// The hours in which findings can be linked with those of `hour`.
    pub(crate) fn window(&self, hour: i64) -> (i64, i64) {
        let reach = i64::from(self.window_hours);
        (hour - reach, hour + reach)
    }
}
