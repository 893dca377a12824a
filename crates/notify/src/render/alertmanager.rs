//! Prometheus Alertmanager: [API v2](https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml),
//! `postableAlerts`. The labels name the alert and never change while it is open; what changes is an annotation.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Map, Value, json};
use vedette_event::Time;

use crate::{Happened, Notice, message::link, template::Said, text::one_line};

/// Labels that we write.
pub(crate) const LABELS: &[&str] = &["alertname", "alert_id", "entity", "entity_kind", "rule_id", "severity", "job"];

/// A test is over after so long.
const TEST: Duration = Duration::from_secs(300);

/// The body of the POST: a list of one alert. Alertmanager forgets what nobody repeats, unless it is told until when an
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
    let ours = [
        ("alertname", one_line(&notice.rule.title)),
        ("alert_id", notice.alert.to_string()),
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
    let ends = match notice.what {
        Happened::Closed => notice.time.max(notice.opened.plus_micros(1_000)),
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
    json!([alert])
}
