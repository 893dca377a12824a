//! What the loaded rules cover of ATT&CK, and which of them no source feeds.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use axum::{Json, extract::State};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use vedette_event::Time;

use super::model::rfc3339_or_null;
use crate::{App, LoadedRule, Logsource, Problem, auth::blocking};

/// What is covered.
#[derive(Serialize, ToSchema)]
pub(crate) struct Coverage {
    /// Techniques that rules name, by id.
    techniques: Vec<CoveredTechnique>,
    /// Log sources that rules read; those that were never seen first, then by what is read.
    logsources: Vec<CoveredLogsource>,
    /// Rules that are on.
    rules: u64,
    /// Of these, rules that some source feeds.
    fed: u64,
}

/// A technique of ATT&CK.
#[derive(Serialize, ToSchema)]
pub(crate) struct CoveredTechnique {
    /// `T1059.001`
    id: String,
    /// The tactics that rules name beside it: `credential-access`.
    tactics: Vec<String>,
    /// Rules that name it and are on.
    rules: u64,
    /// Of these, rules that some source feeds.
    fed: u64,
}

/// A log source that rules read.
#[derive(Serialize, ToSchema)]
pub(crate) struct CoveredLogsource {
    /// Which.
    logsource: Logsource,
    /// Rules that read it and are on. Without events of it they can never fire.
    rules: u64,
    /// When an event of it was last received; null: never.
    #[serde(serialize_with = "rfc3339_or_null")]
    #[schema(value_type = Option<String>, format = DateTime)]
    last_seen: Option<Time>,
}

impl Coverage {
    fn of(rules: &[LoadedRule]) -> Coverage {
        let mut techniques: BTreeMap<&str, (BTreeSet<&str>, u64, u64)> = BTreeMap::new();
        let mut logsources: BTreeMap<[Option<&str>; 3], CoveredLogsource> = BTreeMap::new();
        let on = || rules.iter().filter(|rule| rule.disabled.is_none());
        for rule in on() {
            let fed = u64::from(rule.source_seen.is_some());
            for technique in &rule.rule.techniques {
                let covered = techniques.entry(technique).or_default();
                covered.0.extend(rule.rule.tactics.iter().map(String::as_str));
                covered.1 += 1;
                covered.2 += fed;
            }
            if rule.correlation.is_some() {
                continue;
            }
            let Logsource { product, category, service } = &rule.logsource;
            let key = [product, category, service].map(Option::as_deref);
            let none = || CoveredLogsource { logsource: rule.logsource.clone(), rules: 0, last_seen: rule.source_seen };
            logsources.entry(key).or_insert_with(none).rules += 1;
        }
        let mut logsources: Vec<CoveredLogsource> = logsources.into_values().collect();
        logsources.sort_by(|a, b| {
            (a.last_seen.is_some(), std::cmp::Reverse(a.rules))
                .cmp(&(b.last_seen.is_some(), std::cmp::Reverse(b.rules)))
        });
        let technique = |(id, (tactics, rules, fed)): (&str, (BTreeSet<&str>, u64, u64))| CoveredTechnique {
            id: id.to_owned(),
            tactics: tactics.into_iter().map(ToOwned::to_owned).collect(),
            rules,
            fed,
        };
        Coverage {
            techniques: techniques.into_iter().map(technique).collect(),
            logsources,
            rules: on().count() as u64,
            fed: on().filter(|rule| rule.source_seen.is_some()).count() as u64,
        }
    }

    /// A layer of the ATT&CK Navigator (format 4.5): the score is the number of rules that can fire.
    fn layer(&self) -> Value {
        let most = self.techniques.iter().map(|technique| technique.fed).max().unwrap_or(0).max(1);
        let technique = |technique: &CoveredTechnique| {
            let comment = match technique.rules - technique.fed {
                0 => format!("{} rules", technique.rules),
                unfed => format!("{} rules, of which {unfed} are fed by no source", technique.rules),
            };
            json!({"techniqueID": technique.id, "score": technique.fed, "comment": comment, "enabled": true})
        };
        json!({
            "name": "Vedette",
            "description": format!("{} rules, of which sources feed {}", self.rules, self.fed),
            "domain": "enterprise-attack",
            "versions": {"layer": "4.5"},
            "techniques": self.techniques.iter().map(technique).collect::<Vec<_>>(),
            "gradient": {"colors": ["#ffffff", "#2f6f4f"], "minValue": 0, "maxValue": most},
            "legendItems": [], "metadata": [], "sorting": 3, "hideDisabled": false,
        })
    }
}

/// What the loaded rules cover of ATT&CK, which log sources they read, and which of these bring no events.
#[utoipa::path(get, path = "/api/v1/coverage", operation_id = "getCoverage", tag = "rules",
    responses((status = 200, description = "What is covered", body = Coverage), (status = 401, body = Problem)))]
pub(crate) async fn get_coverage(State(app): State<Arc<App>>) -> Result<Json<Coverage>, Problem> {
    blocking(move || Ok(Json(Coverage::of(&app.rules.loaded())))).await
}

/// The same as a layer for the ATT&CK Navigator: the score of a technique is the number of its rules that some source feeds.
#[utoipa::path(get, path = "/api/v1/coverage/navigator", operation_id = "getNavigatorLayer", tag = "rules",
    responses((status = 200, description = "A layer, format 4.5", body = Object), (status = 401, body = Problem)))]
pub(crate) async fn get_navigator_layer(State(app): State<Arc<App>>) -> Result<Json<Value>, Problem> {
    blocking(move || Ok(Json(Coverage::of(&app.rules.loaded()).layer()))).await
}
