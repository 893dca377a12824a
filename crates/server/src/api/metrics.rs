//! `/metrics` for Prometheus.

use std::{collections::BTreeMap, sync::Arc};

use axum::{extract::State, http::header, response::IntoResponse};

use super::model::SourceModel;
use crate::{App, Problem, Status, auth::blocking};

/// Metrics in Prometheus' text format.
#[utoipa::path(get, path = "/metrics", operation_id = "metrics", tag = "health",
    responses((status = 200, description = "Prometheus text format 0.0.4", body = String, content_type = "text/plain"),
        (status = 401, body = Problem)))]
pub(crate) async fn metrics(State(app): State<Arc<App>>) -> Result<impl IntoResponse, Problem> {
    let text = blocking(move || text(&app)).await?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text))
}

/// Builds the exposition: one family after the other, as the format wants.
struct Exposition(String);

impl Exposition {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}"));
    }

    fn sample(&mut self, name: &str, labels: &[(&str, impl AsRef<str>)], value: u64) {
        let labels: Vec<_> =
            labels.iter().map(|(label, value)| format!("{label}=\"{}\"", escape(value.as_ref()))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        self.line(format_args!("{name}{labels} {value}"));
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: u64) {
        self.family(name, kind, help);
        self.sample(name, &[] as &[(&str, &str)], value);
    }

    fn by_reason(&mut self, name: &str, labels: &[(&str, String); 2], counts: &BTreeMap<String, u64>) {
        for (reason, count) in counts {
            let [source, receiver] = labels.clone();
            self.sample(name, &[source, receiver, ("reason", reason.clone())], *count);
        }
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        self.0.push_str(&line.to_string());
        self.0.push('\n');
    }
}

/// Source names hold what clients choose.
fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn text(app: &App) -> Result<String, Problem> {
    let mut out = Exposition(String::new());
    let ledger = app.rooms.ledger();
    let sources: Vec<_> = ledger
        .iter()
        .map(|(source, losses)| SourceModel::new(source, losses, &app.health.activity(source.id)))
        .collect();
    let labels = |source: &SourceModel| [("source", source.name.clone()), ("receiver", source.receiver.clone())];
    out.family("vedette_source_received_total", "counter", "Records received.");
    for source in &sources {
        out.sample("vedette_source_received_total", &labels(source), source.received);
    }
    out.family("vedette_source_stored_total", "counter", "Records made durable.");
    for source in &sources {
        out.sample("vedette_source_stored_total", &labels(source), source.stored);
    }
    out.family("vedette_source_refused_total", "counter", "Records handed back to the sender.");
    for source in &sources {
        out.by_reason("vedette_source_refused_total", &labels(source), &source.refused);
    }
    out.family("vedette_source_shed_total", "counter", "Records lost.");
    for source in &sources {
        out.by_reason("vedette_source_shed_total", &labels(source), &source.shed);
    }

    let spool = app.rooms.spool();
    out.single("vedette_spool_unreleased_bytes", "gauge", "Bytes not yet sealed.", spool.unreleased_bytes);
    out.single("vedette_spool_queued_bytes", "gauge", "Bytes waiting for the disk.", spool.queued_bytes);
    out.single("vedette_spool_segments", "gauge", "Spool segment files.", spool.segments);
    out.single("vedette_disk_free_bytes", "gauge", "Free bytes on the data disk.", spool.disk_free_bytes);
    out.single("vedette_spool_refusing", "gauge", "1 while new records are refused.", spool.refusing.is_some().into());
    let store = app.rooms.store();
    out.single("vedette_store_segments", "gauge", "Sealed segments.", store.segments);
    out.single("vedette_store_events", "gauge", "Events in sealed segments.", store.events);
    out.single("vedette_store_tail_events", "gauge", "Events in the hot tail.", store.tail_events);
    out.single("vedette_store_bytes", "gauge", "Bytes of segments and indexes.", store.bytes);
    out.single("vedette_store_original_bytes", "gauge", "Bytes of the originals in them.", store.original_bytes);
    out.single("vedette_store_damaged_segments", "gauge", "Segments missing or damaged.", store.damaged_segments);

    let proved = app.health.ledger();
    out.single("vedette_ledger_entries", "gauge", "Entries of the log in the newest checkpoint.", proved.entries);
    let age = proved.sealed_seconds_ago;
    out.single(
        "vedette_ledger_checkpoint_age_seconds",
        "gauge",
        "Seconds since the newest checkpoint was signed.",
        age,
    );
    let required = proved.required_witnesses;
    out.single("vedette_ledger_required_witnesses", "gauge", "Witnesses that must have cosigned.", required);
    let cosigned = || proved.witnesses.iter().filter_map(|witness| Some((&witness.name, witness.cosigned.as_ref()?)));
    out.family("vedette_witness_entries", "gauge", "Entries of the log that the witness has cosigned.");
    for (name, cosigned) in cosigned() {
        out.sample("vedette_witness_entries", &[("witness", name)], cosigned.entries);
    }
    out.family("vedette_witness_cosignature_age_seconds", "gauge", "Seconds since the witness cosigned last.");
    for (name, cosigned) in cosigned() {
        out.sample("vedette_witness_cosignature_age_seconds", &[("witness", name)], cosigned.seconds_ago);
    }

    out.family("vedette_alerts", "gauge", "Alerts by state and level.");
    for ((state, level), count) in app.alerts.counts()?.by {
        out.sample("vedette_alerts", &[("state", state.as_str()), ("level", level.as_str())], count);
    }
    out.single("vedette_rules_loaded", "gauge", "Rules that detect.", app.rules.loaded().len() as u64);
    out.single("vedette_rules_refused", "gauge", "Rules that were refused.", app.rules.refused().len() as u64);
    for (name, count) in app.counters.all() {
        out.single(&format!("vedette_server_{name}_total"), "counter", "Counted by the server since start.", count);
    }
    out.family("vedette_check_ok", "gauge", "1 while a part works.");
    for check in app.health.checks() {
        out.sample("vedette_check_ok", &[("part", check.name.as_str())], (check.status != Status::Fail).into());
    }
    out.family("vedette_build_info", "gauge", "The version.");
    out.sample("vedette_build_info", &[("version", app.version)], 1);
    Ok(out.0)
}
