//! How findings add up to risk; `docs/risk.md` has the formulae.

use serde::Deserialize;
use vedette_alert::RiskOptions;

/// How findings add points to users, hosts and addresses, and when an incident opens.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Risk {
    /// Whether they do.
    pub on: bool,
    /// Points of a finding by the level of its rule.
    pub points: LevelPoints,
    /// After so many hours a finding is worth half.
    pub half_life_hours: u32,
    /// Findings further apart than this neither add up nor are linked.
    pub window_hours: u32,
    /// Each ATT&CK tactic beyond the first raises the points by so many per cent.
    pub tactic_percent: u32,
    /// But to no more than so many per cent.
    pub max_percent: u32,
    /// An incident opens when somebody has so many points.
    pub threshold: u32,
    /// Who was named together with more others than this links nothing.
    pub hub_links: u32,
}

/// Points by level.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LevelPoints {
    /// Of level informational.
    pub informational: u32,
    /// Of level low.
    pub low: u32,
    /// Of level medium.
    pub medium: u32,
    /// Of level high.
    pub high: u32,
    /// Of level critical.
    pub critical: u32,
}

impl Default for LevelPoints {
    fn default() -> Self {
        let [informational, low, medium, high, critical] = RiskOptions::default().points;
        LevelPoints { informational, low, medium, high, critical }
    }
}

impl Default for Risk {
    fn default() -> Self {
        let of = RiskOptions::default();
        Risk {
            on: true,
            points: LevelPoints::default(),
            half_life_hours: of.half_life_hours,
            window_hours: of.window_hours,
            tactic_percent: of.tactic_percent,
            max_percent: of.max_percent,
            threshold: of.threshold,
            hub_links: of.hub_links,
        }
    }
}

impl Risk {
    /// As the alerts want them.
    pub fn options(&self) -> RiskOptions {
        let LevelPoints { informational, low, medium, high, critical } = self.points;
        RiskOptions {
            points: [informational, low, medium, high, critical],
            half_life_hours: self.half_life_hours,
            window_hours: self.window_hours,
            tactic_percent: self.tactic_percent,
            max_percent: self.max_percent,
            threshold: self.threshold,
            hub_links: self.hub_links,
        }
    }

    /// Whether the numbers make sense together.
    ///
    /// # Errors
    /// Which one does not, for people.
    pub fn check(&self) -> Result<(), String> {
        self.options().check().map_err(|what| format!("detection.risk: {what}"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    #[test]
    fn numbers_are_checked() {
        check("detection:\n  risk: {threshold: 50, points: {low: 10}}\n", expect_test::expect!["fine"]);
        check(
            "detection:\n  risk: {points: {low: 30}}\n",
            expect_test::expect![
                "vedette.yml:2:3: detection.risk: points: a worse level must not have fewer points (docs/configuration.md lists every key with its default)"
            ],
        );
        check(
            "detection:\n  risk: {window_hours: 0}\n",
            expect_test::expect![
                "vedette.yml:2:3: detection.risk: window_hours is 0; it must be from 1 to 720 (docs/configuration.md lists every key with its default)"
            ],
        );
    }
}
