//! A budget of alerts: how many new ones a day people can look at.

use std::sync::{Mutex, MutexGuard, PoisonError};

use vedette_alert::Alerts;
use vedette_event::{RuleRef, Time};
use vedette_server::{AlertBudget, NoisyRule};

use super::journal::SelfJournal;

const DAY_MICROS: i64 = 86_400 * 1_000_000;
/// So many rules are named.
const NAMED: usize = 3;

/// Counts the alerts of each day (UTC) against a budget.
pub struct Budget {
    /// New alerts a day; 0 for no budget.
    per_day: u64,
    alerts: Alerts,
    journal: SelfJournal,
    today: Mutex<Today>,
}

#[derive(Default)]
struct Today {
    day: i64,
    opened: u64,
    /// Those that opened the most.
    noisiest: Vec<(RuleRef, u64)>,
    is_told: bool,
}

impl Budget {
    /// Of so many alerts a day.
    pub fn new(per_day: u64, alerts: Alerts, journal: SelfJournal) -> Budget {
        Budget { per_day, alerts, journal, today: Mutex::default() }
    }

    fn today(&self) -> MutexGuard<'_, Today> {
        self.today.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts again; the first time that a day is over the budget is an event.
    ///
    /// # Errors
    /// The alerts cannot be read, or the event cannot be written.
    pub fn look(&self, now: Time) -> anyhow::Result<()> {
        if self.per_day == 0 {
            return Ok(());
        }
        let day = now.micros().div_euclid(DAY_MICROS);
        let mut noisiest = self.alerts.opened_since(Time::from_micros(day * DAY_MICROS))?;
        let opened = noisiest.iter().map(|(_, alerts)| alerts).sum();
        noisiest.truncate(NAMED);
        let details = {
            let mut today = self.today();
            let was_told = today.is_told && today.day == day;
            let is_over = opened > self.per_day;
            *today = Today { day, opened, noisiest, is_told: was_told || is_over };
            (is_over && !was_told).then(|| {
                vec![
                    ("opened", opened.to_string()),
                    ("budget", self.per_day.to_string()),
                    ("noisiest", named(&today.noisiest)),
                ]
            })
        };
        details.map_or(Ok(()), |details| self.journal.write("alerts.over_budget", None, details))
    }

    /// Today so far.
    pub fn status(&self) -> AlertBudget {
        let today = self.today();
        let noisy = |(rule, alerts): &(RuleRef, u64)| NoisyRule {
            id: rule.id.clone(),
            title: rule.title.clone(),
            alerts: *alerts,
        };
        AlertBudget { budget: self.per_day, opened: today.opened, noisiest: today.noisiest.iter().map(noisy).collect() }
    }

    /// What is to be said of today, if it is over the budget.
    pub fn warning(&self) -> Option<String> {
        let today = self.today();
        (self.per_day > 0 && today.opened > self.per_day).then(|| {
            let (opened, budget) = (today.opened, self.per_day);
            format!(
                "{opened} new alerts today, {budget} are the budget; most by {}: give them a threshold or an exception",
                named(&today.noisiest)
            )
        })
    }
}

fn named(rules: &[(RuleRef, u64)]) -> String {
    rules.iter().map(|(rule, alerts)| format!("{} ({alerts})", rule.title)).collect::<Vec<_>>().join(", ")
}
