//! Alerts: findings grouped by rule and entity, with states, verdicts and a history; risk, incidents and cases.
//!
//! A finding names a rule and whom it is about. Findings of one rule about one entity are one [`Alert`] for as
//! long as somebody may still be looking at it: an alert that is not closed takes further findings of its group;
//! after it is closed the next finding opens a new one. Recording a finding twice changes nothing, so a replay
//! after a crash is harmless.
//!
//! Findings also add points to the users, hosts and addresses that they name ([`EntityRisk`]); an [`Incident`] opens
//! where many points come together, and a [`Case`] is where somebody works on incidents and alerts. `docs/risk.md` has
//! the formulae.
//!
//! Everything is kept in one SQLite file (`alerts.db`, readable with any tool). Nothing here reads a clock: every
//! call that writes is told what time it is and who acts.
//!
//! ```
//! use vedette_alert::{Alerts, Filter, Sighting, State, Verdict};
//! use vedette_event::{Entity, EventId, Finding, FindingId, Level, RuleRef, SourceId, Time};
//!
//! let event = EventId { source: SourceId(1), seq: 42 };
//! let finding = Finding {
//!     id: FindingId::of("ssh-brute-force", &[event]),
//!     rule: RuleRef {
//!         id: "ssh-brute-force".into(),
//!         title: "SSH brute force".into(),
//!         level: Level::High,
//!         author: None,
//!         techniques: vec!["T1110".into()],
//!         tactics: vec![],
//!     }
//!     .into(),
//!     time: Time::from_secs(100),
//!     events: vec![event],
//!     entities: vec![Entity { kind: "ip".into(), value: "192.0.2.7".into() }],
//!     matched: vec![],
//! };
//!
//! let alerts = Alerts::in_memory()?;
//! let recorded = alerts.record(&[Sighting::from(&finding)], Time::from_secs(101))?;
//! let id = recorded.opened[0];
//! assert!(alerts.record(&[Sighting::from(&finding)], Time::from_secs(102))?.is_empty());
//!
//! alerts.acknowledge(id, "ada", Time::from_secs(110))?;
//! alerts.close(id, Verdict::TruePositive, "ada", Some("blocked at the edge"), Time::from_secs(120))?;
//! let page = alerts.list(&Filter::default())?;
//! assert_eq!(page.alerts[0].state, State::Closed(Verdict::TruePositive));
//! # Ok::<(), vedette_alert::AlertError>(())
//! ```
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod case;
mod error;
mod exception;
mod group;
mod history;
mod list;
mod model;
mod record;
mod review;
mod risk;
mod schema;

pub use case::{
    Bundle, Case, CaseDetail, CaseFilter, CaseId, CasePage, CaseState, CaseStateName, Evidence, EvidenceItem,
    MAX_CASES, MAX_PER_CASE, Note, Task,
};
pub use error::AlertError;
pub use exception::{Condition, Exception, Preview};
pub use group::entity;
pub use list::{Counts, Filter, MAX_PAGE, Page, Sort, StateName};
pub use model::{Alert, AlertDetail, AlertId, Change, Fired, Hit, State, Verdict};
pub use record::{MAX_ENTITIES, MAX_HITS, Recorded, Sighting};
pub use risk::{
    EntityRisk, Incident, IncidentDetail, IncidentFilter, IncidentId, IncidentPage, IncidentState, IncidentStateName,
    MAX_ENTITIES_SHOWN, MAX_REPEATS, MAX_RISK_ENTITIES, MAX_STEPS_PER_ENTITY_HOUR, MAX_STEPS_PER_INCIDENT, RISK_KINDS,
    RiskFilter, RiskOptions, RiskPage, RiskPruned, RuleRisk, TimelineStep,
};
pub use schema::Alerts;
