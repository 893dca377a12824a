//! Values that are one of a few names.

use serde::Serialize;
use utoipa::ToSchema;

/// How bad it is: Sigma's five levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Level)]
pub(crate) enum LevelModel {
    /// Context only.
    Informational,
    /// Notable, rarely an incident.
    Low,
    /// Worth a look.
    Medium,
    /// Likely an incident.
    High,
    /// Act now.
    Critical,
}

impl From<vedette_event::Level> for LevelModel {
    fn from(level: vedette_event::Level) -> Self {
        use vedette_event::Level;
        match level {
            Level::Informational => LevelModel::Informational,
            Level::Low => LevelModel::Low,
            Level::Medium => LevelModel::Medium,
            Level::High => LevelModel::High,
            Level::Critical => LevelModel::Critical,
        }
    }
}

/// Where an alert is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AlertState)]
pub(crate) enum StateModel {
    /// Nobody has looked at it.
    New,
    /// Somebody is on it.
    Acknowledged,
    /// Somebody has judged it.
    Closed,
}

impl From<vedette_alert::State> for StateModel {
    fn from(state: vedette_alert::State) -> Self {
        use vedette_alert::State;
        match state {
            State::New => StateModel::New,
            State::Acknowledged => StateModel::Acknowledged,
            State::Closed(_) => StateModel::Closed,
        }
    }
}

/// What an alert turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Verdict)]
pub(crate) enum VerdictModel {
    /// It was what the rule says.
    TruePositive,
    /// The rule was wrong.
    FalsePositive,
    /// The rule was right, and it was allowed.
    Benign,
}

impl From<vedette_alert::Verdict> for VerdictModel {
    fn from(verdict: vedette_alert::Verdict) -> Self {
        use vedette_alert::Verdict;
        match verdict {
            Verdict::TruePositive => VerdictModel::TruePositive,
            Verdict::FalsePositive => VerdictModel::FalsePositive,
            Verdict::Benign => VerdictModel::Benign,
        }
    }
}
