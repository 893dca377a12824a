//! Prometheus Alertmanager: [API v2](https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml),
//! `postableAlerts`. The labels name the alert or the incident and do not change while it is open; what changes is an
//! annotation. One thing is a label and can change, an incident's level: what fired with a lower one is ended then.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Map, Value, json};
use vedette_event::{Level, Time};

use crate::{Happened, Notice, Subject, message::link, template::Said, text::one_line};

/// Labels that we write.
pub(crate) const LABELS: &[&str] =
    &["alertname", "alert_id", "incident_id", "entity", "entity_kind", "rule_id", "severity", "job"];

/// A test is over after so long.
const TEST: Duration = Duration::from_secs(300);

/// The body of the POST: a list of one alert, and for an incident of those with lower levels, ended. Alertmanager forgets what nobody repeats, unless it is told until when an
/// alert fires: that is when it was closed, else `hold` from now.
pub(super) fn json(
    notice: &Notice,
    said: &Said,
    console: Option<&str>,
    labels: &BTreeMap<String, String>,
    hold: Duration,
    now: Time,
) -> Value {
    let mut all: Map<String, Value> = labels.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let number = match notice.subject {
        Subject::Alert(_) => "alert_id",
        Subject::Incident(_) => "incident_id",
    };
    let ours = [
        ("alertname", one_line(&notice.rule.title)),
        (number, notice.subject.number().to_string()),
        ("entity", one_line(&notice.entity.value)),
        ("entity_kind", one_line(&notice.entity.kind)),
        ("rule_id", one_line(&notice.rule.id)),
        ("severity", notice.level().to_string()),
        ("job", "vedette".to_owned()),
    ];
    // An empty label is none, and an alert without a name is refused.
    all.extend(
        ours.into_iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| (name.to_owned(), json!(value))),
    );
    let ended = notice.time.max(notice.opened.plus_micros(1_000));
    let ends = match notice.what {
        Happened::Closed => ended,
        _ => {
            let hold = if notice.is_test() { TEST } else { hold };
            now.plus_micros(i64::try_from(hold.as_micros()).unwrap_or(i64::MAX))
        }
    };
    let mut alert = json!({
        "labels": all,
        "annotations": {
            "summary": said.subject,
            "description": said.body,
            "findings": notice.count.to_string(),
            "techniques": one_line(&notice.rule.techniques.join(" ")),
        },
        "startsAt": notice.opened.to_string(),
        "endsAt": ends.to_string(),
    });
    if let (Some(url), Some(fields)) = (link(notice, console), alert.as_object_mut()) {
        fields.insert("generatorURL".into(), json!(url));
    }
    let mut alerts = vec![alert.clone()];
    if matches!(notice.subject, Subject::Incident(_)) && notice.what != Happened::Opened {
        let levels = [Level::Informational, Level::Low, Level::Medium, Level::High];
        alerts.extend(levels.into_iter().filter(|level| *level < notice.level()).map(|lower| {
            let mut over = alert.clone();
            over["labels"]["severity"] = json!(lower.as_str());
            over["endsAt"] = json!(ended.to_string());
            over
        }));
    }
    json!(alerts)
}
