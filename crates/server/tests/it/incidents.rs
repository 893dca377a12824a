//! Risk, incidents and cases over the API.

use serde_json::{Value, json};

use crate::support::{As, Server, server};

/// Event time of the findings, and the same an hour that they are in.
const AT: &str = "2026-09-21T13:59:59Z";
const EVE: &str = "192.0.2.9";

/// Three rules of level high about one address, and something about another.
fn attacked() -> Server {
    let server = server();
    let opened: usize = ["scan", "guess", "shell"]
        .into_iter()
        .enumerate()
        .map(|(seq, rule)| server.finding(rule, EVE, seq as u64).incidents.len())
        .sum();
    server.finding("scan", "192.0.2.10", 9);
    assert_eq!(opened, 1, "three times 40 are more than 100");
    server
}

async fn get(server: &Server, token: &str, path: &str) -> Value {
    server.send(As::Token(token), "GET", path, "").await.expect(200).json()
}

async fn act(server: &Server, token: &str, method: &str, path: &str, body: Value) -> Value {
    server.send(As::Token(token), method, path, body.to_string()).await.expect(200).json()
}

#[tokio::test]
async fn who_has_points_and_why() {
    let server = attacked();
    let token = server.token("read");
    let page = get(&server, &token, &format!("/api/v1/risk?kind=ip&at={AT}")).await;
    assert_eq!((&page["total"], &page["threshold"]), (&json!(2), &json!(100)), "{page}");
    let first = &page["entities"][0];
    assert_eq!(first["entity"], json!({"kind": "ip", "value": EVE}));
    assert_eq!((&first["points"], &first["factor"], &first["is_hub"]), (&json!(120.0), &json!(1.0), &json!(false)));
    assert_eq!(first["rules"].as_array().map(Vec::len), Some(3));
    assert_eq!((&first["rules"][0]["points"], &first["rules"][0]["findings"]), (&json!(40.0), &json!(1)));
    let few = get(&server, &token, &format!("/api/v1/risk?min_points=100&limit=5&at={AT}")).await;
    assert_eq!(few["total"], 1);

    let one = get(&server, &token, &format!("/api/v1/risk/entity?kind=ip&value={EVE}&at={AT}")).await;
    assert_eq!(&one, first);
    let later = get(&server, &token, &format!("/api/v1/risk/entity?kind=ip&value={EVE}&at=2026-09-22T13:00:00Z")).await;
    assert_eq!(later["points"], 60.0, "half a day's half-life later");
    let nobody = get(&server, &token, "/api/v1/risk/entity?kind=user&value=nobody").await;
    assert_eq!((&nobody["points"], &nobody["rules"]), (&json!(0.0), &json!([])));
}

#[tokio::test]
async fn an_incident_is_looked_at_and_closed() {
    let server = attacked();
    let token = server.token("write");
    let page = get(&server, &token, "/api/v1/incidents?state=open&level=high&sort=worst").await;
    assert_eq!((&page["total"], &page["incidents"][0]["findings"]), (&json!(1), &json!(3)), "{page}");
    for (query, total) in [
        ("entity=192.0.2.9", 1),
        ("entity=192.0.2.9&entity_kind=user", 0),
        ("entity_kind=ip", 1),
        ("alert=1", 1),
        ("alert=4", 0),
        ("assignee=grace", 0),
        ("state=closed,merged", 0),
        ("from=2026-09-22T00:00:00Z", 0),
        ("offset=1", 1),
    ] {
        assert_eq!(get(&server, &token, &format!("/api/v1/incidents?{query}")).await["total"], total, "{query}");
    }
    let path = |action: &str| format!("/api/v1/incidents/1/{action}");
    act(&server, &token, "POST", &path("assign"), json!({"to": "grace"})).await;
    act(&server, &token, "POST", &path("note"), json!({"note": "asked"})).await;
    let closed = act(&server, &token, "POST", &path("close"), json!({"verdict": "benign", "note": "a drill"})).await;
    assert_eq!((&closed["state"], &closed["verdict"]), (&json!("closed"), &json!("benign")));
    assert_eq!((&closed["assignee"], &closed["merged_into"]), (&json!("grace"), &Value::Null));
    let timeline: Vec<&Value> = closed["timeline"].as_array().unwrap().iter().map(|step| &step["rule"]["id"]).collect();
    assert_eq!(timeline, ["scan", "guess", "shell"]);
    assert_eq!(closed["timeline"][0]["entities"], json!([{"kind": "ip", "value": EVE}]));
    let history: Vec<&Value> = closed["history"].as_array().unwrap().iter().map(|row| &row["what"]).collect();
    assert_eq!(history, ["opened", "assigned", "noted", "closed", "noted"]);
    // The command line reads the file itself when no server runs: it says the same.
    let mut from_file =
        serde_json::to_value(server.app.alerts.incident(vedette_alert::IncidentId(1)).unwrap()).unwrap();
    for step in from_file["timeline"].as_array_mut().unwrap() {
        step["rule"]["tactics"] = json!([]); // left out there when empty
    }
    assert_eq!(from_file, closed);
    let spent = get(&server, &token, &format!("/api/v1/risk/entity?kind=ip&value={EVE}&at={AT}")).await;
    assert_eq!(spent["points"], 0.0);

    let again = server.send(As::Token(&token), "POST", &path("close"), r#"{"verdict": "benign"}"#).await.expect(409);
    assert_eq!(again.json()["detail"], "incident 1 is closed, not open");
    assert_eq!(
        server.journal.lines(),
        [
            "token:1:ada incident.assign 1",
            "token:1:ada incident.note 1",
            "token:1:ada incident.close 1",
            "token:1:ada incident.close 1",
            "token:1:ada incident.close 1 failed",
        ]
    );
}

#[tokio::test]
async fn a_case_from_its_opening_to_its_verdict() {
    let server = attacked();
    let token = server.token("write");
    let case = act(&server, &token, "POST", "/api/v1/cases", json!({"title": "Somebody at the door"})).await;
    assert_eq!((&case["id"], &case["state"], &case["incidents"]), (&json!(1), &json!("open"), &json!([])));
    let path = |action: &str| format!("/api/v1/cases/1/{action}");
    let blake3 = "ab".repeat(32);
    for (method, action, body) in [
        ("POST", "incidents", json!({"incident": 1})),
        ("POST", "alerts", json!({"alert": 4})),
        ("POST", "alerts", json!({"alert": 1})),
        ("DELETE", "alerts/1", Value::Null),
        ("POST", "rename", json!({"title": "Guessed"})),
        ("POST", "assign", json!({"to": "grace"})),
        ("POST", "note", json!({"note": "it came in by ssh"})),
        ("POST", "tasks", json!({"text": "change the password"})),
        ("POST", "tasks", json!({"text": "ask Bob"})),
        ("PUT", "tasks/1", json!({"done": true})),
        ("POST", "evidence", json!({"item": {"event": "1-2"}, "comment": "the log-in"})),
        ("POST", "evidence", json!({"item": {"bundle": {"name": "e.zip", "blake3": blake3}}})),
    ] {
        act(&server, &token, method, &path(action), body).await;
    }
    let case = get(&server, &token, "/api/v1/cases/1").await;
    assert_eq!((&case["title"], &case["assignee"]), (&json!("Guessed"), &json!("grace")));
    assert_eq!((&case["incidents"], &case["alerts"], &case["open_tasks"]), (&json!([1]), &json!([4]), &json!(1)));
    assert_eq!((&case["tasks"][0]["done_by"], &case["tasks"][1]["done_at"]), (&json!("token:1:ada"), &Value::Null));
    assert_eq!(case["evidence"][0]["item"], json!({"event": "1-2"}));
    assert_eq!(case["evidence"][1]["item"], json!({"bundle": {"name": "e.zip", "blake3": blake3}}));
    assert_eq!(
        (&case["notes"][0]["text"], &case["notes"][0]["author"]),
        (&json!("it came in by ssh"), &json!("token:1:ada"))
    );
    for (query, total) in
        [("state=open&assignee=grace", 1), ("state=closed", 0), ("incident=1", 1), ("alert=2", 1), ("alert=9", 0)]
    {
        assert_eq!(get(&server, &token, &format!("/api/v1/cases?{query}")).await["total"], total, "{query}");
    }

    let end = json!({"verdict": "true_positive", "summary": "it was Eve"});
    let closed = act(&server, &token, "POST", &path("close"), end).await;
    assert_eq!(
        (&closed["state"], &closed["verdict"], &closed["summary"]),
        (&json!("closed"), &json!("true_positive"), &json!("it was Eve"))
    );
    assert_eq!(get(&server, &token, "/api/v1/incidents/1").await["verdict"], "true_positive");
    assert_eq!(serde_json::to_value(server.app.alerts.case(vedette_alert::CaseId(1)).unwrap()).unwrap(), closed);
    act(&server, &token, "POST", &path("reopen"), json!({})).await;
    assert_eq!(act(&server, &token, "DELETE", &path("incidents/1"), Value::Null).await["incidents"], json!([]));
    assert_eq!(server.journal.lines().len(), 16);
    assert_eq!(server.journal.lines()[0], "token:1:ada case.open -");
    assert_eq!(server.journal.lines()[13], "token:1:ada case.close 1");
}

#[tokio::test]
async fn wrong_requests_are_told_what_is_wrong() {
    let server = attacked();
    let token = server.token("write");
    act(&server, &token, "POST", "/api/v1/cases", json!({"title": "one"})).await;
    act(&server, &token, "POST", "/api/v1/cases", json!({"title": "two"})).await;
    let end = json!({"verdict": "benign", "summary": "nothing"});
    act(&server, &token, "POST", "/api/v1/cases/2/close", end.clone()).await;
    let end = end.to_string();
    let cases = [
        ("GET", "/api/v1/risk?kind=file", "", 422, "`file` is not a kind of entity that has points: user, host or ip"),
        ("GET", "/api/v1/risk?min_points=many", "", 400, "min_points"),
        ("GET", "/api/v1/risk/entity?kind=ip", "", 400, "missing field `value`"),
        ("GET", "/api/v1/incidents?state=old", "", 422, "`old` is not an incident's state"),
        ("GET", "/api/v1/incidents?colour=red", "", 400, "unknown field `colour`"),
        ("GET", "/api/v1/incidents/9", "", 404, "there is no incident 9"),
        ("POST", "/api/v1/incidents/9/assign", "{}", 404, "there is no incident 9"),
        ("POST", "/api/v1/incidents/1/close", r#"{"verdict":"maybe"}"#, 422, "`maybe` is not a verdict"),
        ("GET", "/api/v1/cases?state=new", "", 422, "`new` is not a case's state"),
        ("GET", "/api/v1/cases/9", "", 404, "there is no case 9"),
        ("POST", "/api/v1/cases", r#"{"title":" "}"#, 422, "a title is needed"),
        ("POST", "/api/v1/cases/1/incidents", r#"{"incident":9}"#, 404, "there is no incident 9"),
        ("POST", "/api/v1/cases/1/alerts", r#"{"alert":99}"#, 404, "there is no alert 99"),
        ("PUT", "/api/v1/cases/1/tasks/7", r#"{"done":true}"#, 404, "case 1 has no task 7"),
        ("POST", "/api/v1/cases/1/evidence", r#"{"item":{"event":"one"}}"#, 422, "`one` is not an event id"),
        (
            "POST",
            "/api/v1/cases/1/evidence",
            r#"{"item":{"bundle":{"name":"../x","blake3":"0"}}}"#,
            422,
            "without folders",
        ),
        ("POST", "/api/v1/cases/1/close", r#"{"verdict":"benign","summary":""}"#, 422, "a summary is needed"),
        ("POST", "/api/v1/cases/1/reopen", "", 409, "case 1 is not closed"),
        ("POST", "/api/v1/cases/2/close", &end, 409, "case 2 is closed; reopen it first"),
        ("POST", "/api/v1/cases/2/tasks", r#"{"text":"x"}"#, 409, "case 2 is closed; reopen it first"),
    ];
    for (method, path, body, status, detail) in cases {
        let problem = server.send(As::Token(&token), method, path, body).await.expect(status).json();
        assert!(problem["detail"].as_str().unwrap().contains(detail), "{path}: {problem}");
    }
    let reader = server.token("read");
    for (method, path, body) in [
        ("POST", "/api/v1/cases", r#"{"title":"x"}"#),
        ("POST", "/api/v1/incidents/1/close", r#"{"verdict":"benign"}"#),
        ("DELETE", "/api/v1/cases/1/alerts/1", ""),
    ] {
        server.send(As::Token(&reader), method, path, body).await.expect(403);
    }
}
