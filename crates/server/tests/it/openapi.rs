//! The description of the API fits the API.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{As, server};

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

fn refs<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(object) => {
            if let Some(Value::String(reference)) = object.get("$ref") {
                found.push(reference);
            }
            object.values().for_each(|value| refs(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| refs(value, found)),
        _ => {}
    }
}

fn operations(api: &Value) -> Vec<(String, String, Value)> {
    let mut all = Vec::new();
    for (path, item) in api["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(METHODS.contains(&method.as_str()), "{path}: {method}");
            all.push((path.clone(), method.clone(), operation.clone()));
        }
    }
    all
}

async fn api() -> Value {
    server().send(As::Browser(None), "GET", "/api/v1/openapi.json", "").await.expect(200).json()
}

#[tokio::test]
async fn it_is_whole() {
    let api = api().await;
    assert!(api["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut found = Vec::new();
    refs(&api, &mut found);
    assert!(found.len() > 40);
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap_or_else(|| panic!("{reference} points outside"));
        assert!(api.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
    let mut ids = BTreeSet::new();
    for (path, method, operation) in operations(&api) {
        let name = format!("{method} {path}");
        let id = operation["operationId"].as_str().unwrap_or_else(|| panic!("{name} has no operationId"));
        assert!(ids.insert(id.to_owned()), "{id} is used twice");
        assert!(operation["description"].is_string() || operation["summary"].is_string(), "{name} says nothing");
        assert!(!operation["tags"].as_array().unwrap().is_empty(), "{name}");
        let success = ["200", "202"].map(|status| &operation["responses"][status]["content"]);
        let content = success.into_iter().find_map(|content| content.as_object());
        let content = content.unwrap_or_else(|| panic!("{name} does not say what it answers"));
        for (kind, media) in content {
            assert!(media["schema"].is_object(), "{name} {kind} has no schema");
        }
        for (status, response) in operation["responses"].as_object().unwrap() {
            assert!(response["description"].is_string(), "{name} {status} has no description, which OpenAPI requires");
            let is_problem = |kind: &String| kind == "application/problem+json";
            assert!(
                status.starts_with('2') || response["content"].as_object().unwrap().keys().all(is_problem),
                "{name} {status}"
            );
        }
        for parameter in path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
            let parameters = operation["parameters"].as_array().unwrap();
            assert!(parameters.iter().any(|of| of["name"] == parameter && of["in"] == "path"), "{name}: {parameter}");
        }
    }
    assert!(ids.len() >= 30, "{ids:?}");
    for scheme in ["session", "token"] {
        assert!(api["components"]["securitySchemes"][scheme].is_object());
    }
}

/// What is one of a few names says so, and diagnostics have one form.
#[tokio::test]
async fn names_are_typed() {
    let api = api().await;
    let schemas = &api["components"]["schemas"];
    for (name, values) in [
        ("Level", json!(["informational", "low", "medium", "high", "critical"])),
        ("AlertState", json!(["new", "acknowledged", "closed"])),
        ("Verdict", json!(["true_positive", "false_positive", "benign"])),
    ] {
        assert_eq!(schemas[name]["enum"], values, "{name}");
    }
    let refers = |of: &str, to: &str| {
        let mut found = Vec::new();
        refs(&schemas[of], &mut found);
        assert!(found.contains(&&*format!("#/components/schemas/{to}")), "{of} has no {to}: {}", schemas[of]);
    };
    for (of, to) in [
        ("RuleModel", "Level"),
        ("AlertModel", "AlertState"),
        ("AlertModel", "Verdict"),
        ("Close", "Verdict"),
        ("Problem", "DiagnosticModel"),
        ("SectionCheck", "DiagnosticModel"),
    ] {
        refers(of, to);
    }
}

/// Every route that is described exists, and lets nobody in without an account but the few that must.
#[tokio::test]
async fn every_route_is_guarded() {
    let server = server();
    let none = server.token("ingest");
    let read = server.token("read");
    let open = ["getSession", "health", "logIn", "logOut", "useLink", "describe"];
    let needs_write = [
        "acknowledgeAlert",
        "closeAlert",
        "reopenAlert",
        "assignAlert",
        "noteAlert",
        "saveSearch",
        "changeSearch",
        "removeSearch",
    ];
    let needs_admin =
        ["listUsers", "inviteUser", "removeUser", "saveRules", "removeRules", "saveParser", "setRetention"];
    for (path, method, operation) in operations(&api().await) {
        let id = operation["operationId"].as_str().unwrap();
        let path = path.replace("{id}", "1").replace("{name}", "x");
        let method = method.to_uppercase();
        let body = if matches!(&*method, "POST" | "PUT") { "{}" } else { "" };
        if open.contains(&id) {
            assert!(operation["security"] == json!([{}]) || id == "getSession" || id == "logOut", "{id}");
            continue;
        }
        server.send(As::Browser(None), &method, &path, body).await.expect(401);
        server.send(As::Token(&none), &method, &path, body).await.expect(403);
        if needs_write.contains(&id) || needs_admin.contains(&id) {
            server.send(As::Token(&read), &method, &path, body).await.expect(403);
        }
    }
}
