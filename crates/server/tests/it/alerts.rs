//! The inbox over the API; metrics, sources, rules, health.

use serde_json::json;

use crate::support::{As, HOSTILE, server};

#[tokio::test]
async fn triage_over_the_api() {
    let server = server();
    let token = server.token("write");
    for seq in 0..3 {
        server.finding("ssh brute force", "192.0.2.9", seq);
    }
    server.finding("other", "192.0.2.10", 9);
    let me = As::Token(&token);

    let page = server.send(me.clone(), "GET", "/api/v1/alerts?state=open&level=high&sort=worst&limit=1", "").await;
    let page = page.expect(200).json();
    assert_eq!(page["total"], 2);
    assert_eq!(page["alerts"][0]["id"], 2);
    let joined = server.send(me.clone(), "GET", "/api/v1/alerts?state=new&limit=9&state=closed", "").await;
    assert_eq!(joined.expect(200).json()["total"], 2);
    let by_entity = server.send(me.clone(), "GET", "/api/v1/alerts?entity=192.0.2.9", "").await.expect(200).json();
    assert_eq!(by_entity["alerts"][0]["count"], 3);
    assert_eq!(by_entity["alerts"][0]["rule"]["techniques"], json!(["T1110"]));

    server.send(me.clone(), "POST", "/api/v1/alerts/1/acknowledge", "").await.expect(200);
    let again = server.send(me.clone(), "POST", "/api/v1/alerts/1/acknowledge", "").await.expect(409);
    assert_eq!(again.headers["content-type"], "application/problem+json");
    assert_eq!(again.json()["detail"], "alert 1 cannot be acknowledged: it is acknowledged by token:1:ada");
    server.send(me.clone(), "POST", "/api/v1/alerts/1/assign", json!({"to": "grace"}).to_string()).await.expect(200);
    server.send(me.clone(), "POST", "/api/v1/alerts/1/note", json!({"note": "asked"}).to_string()).await.expect(200);
    let body = json!({"verdict": "false_positive", "note": "backup job"}).to_string();
    let closed = server.send(me.clone(), "POST", "/api/v1/alerts/1/close", body).await.expect(200).json();
    for (verdict, status, total) in
        [("false_positive", 200, json!(1)), ("benign", 200, json!(0)), ("x", 422, json!(null))]
    {
        let path = format!("/api/v1/alerts?verdict={verdict}&rule=ssh%20brute%20force");
        assert_eq!(server.send(me.clone(), "GET", &path, "").await.expect(status).json()["total"], total, "{verdict}");
    }
    assert_eq!((&closed["state"], &closed["verdict"]), (&json!("closed"), &json!("false_positive")));
    assert_eq!(closed["findings"].as_array().unwrap().len(), 3);
    assert_eq!(closed["findings"][0]["events"], json!(["1-2"]));
    let history: Vec<_> =
        closed["history"].as_array().unwrap().iter().map(|row| row["what"].as_str().unwrap()).collect();
    assert_eq!(history, ["opened", "acknowledged", "assigned", "noted", "closed", "noted"]);
    // The command line reads the file itself when no server runs: it says the same.
    let mut from_file = serde_json::to_value(server.app.alerts.get(vedette_alert::AlertId(1)).unwrap()).unwrap();
    from_file["rule"]["tactics"] = json!([]); // left out there when empty
    assert_eq!(from_file, closed);
    server.send(me.clone(), "POST", "/api/v1/alerts/1/reopen", "").await.expect(200);

    let counts = server.send(me.clone(), "GET", "/api/v1/alerts/counts", "").await.expect(200).json();
    assert_eq!(counts, json!({"new": {"high": 2}}));
    assert_eq!(
        server.journal.lines(),
        [
            "token:1:ada alert.acknowledge 1",
            "token:1:ada alert.acknowledge 1",
            "token:1:ada alert.acknowledge 1 failed",
            "token:1:ada alert.assign 1",
            "token:1:ada alert.note 1",
            "token:1:ada alert.close 1",
            "token:1:ada alert.reopen 1",
        ]
    );
}

#[tokio::test]
async fn wrong_requests_are_told_what_is_wrong() {
    let server = server();
    let token = server.token("write");
    let cases = [
        ("GET", "/api/v1/alerts?state=open,old", "", 422, "`old` is not a state: new, acknowledged or closed"),
        (
            "GET",
            "/api/v1/alerts?level=bad",
            "",
            422,
            "`bad` is not a level: informational, low, medium, high or critical",
        ),
        (
            "GET",
            "/api/v1/alerts?from=yesterday",
            "",
            422,
            "`yesterday` is not an RFC 3339 time, for example 2026-11-21T04:11:52Z",
        ),
        ("GET", "/api/v1/alerts?colour=red", "", 400, "unknown field `colour`"),
        ("GET", "/api/v1/alerts/99", "", 404, "there is no alert 99"),
        ("GET", "/api/v1/alerts/x", "", 400, "Cannot parse"),
        (
            "POST",
            "/api/v1/alerts/1/close",
            r#"{"verdict":"maybe"}"#,
            422,
            "`maybe` is not a verdict: true_positive, false_positive or benign",
        ),
        ("POST", "/api/v1/alerts/1/close", r#"{"verdict":"benign","x":1}"#, 422, "unknown field `x`"),
        ("POST", "/api/v1/alerts/1/close", "{", 400, "EOF"),
        ("GET", "/api/v1/nothing", "", 404, "there is nothing at /api/v1/nothing"),
        ("GET", "/api/v1/events/one", "", 422, "`one` is not an event id"),
    ];
    for (method, path, body, status, detail) in cases {
        let answer = server.send(As::Token(&token), method, path, body).await.expect(status);
        let problem = answer.json();
        assert_eq!(answer.headers["content-type"], "application/problem+json", "{path}");
        assert!(problem["detail"].as_str().unwrap().contains(detail), "{path}: {problem}");
        assert_eq!(problem["status"], status);
    }
    let large = json!({"note": "x".repeat(2 << 20)}).to_string();
    server.send(As::Token(&token), "POST", "/api/v1/alerts/1/note", large).await.expect(413);
}

#[tokio::test]
async fn sources_rules_health_and_stats() {
    let server = server();
    let token = server.token("read");
    let get = async |path: &str| server.send(As::Token(&token), "GET", path, "").await.expect(200).json();
    let sources = get("/api/v1/sources").await;
    let source = &sources["sources"][1];
    assert_eq!(source["name"], "syslog-udp:192.0.2.7");
    assert_eq!((&source["received"], &source["stored"]), (&json!(1009), &json!(1000)));
    assert_eq!(source["shed"], json!({"busy": 4, "kernel_drop": 3}));
    assert_eq!(get("/api/v1/rules").await["rules"][0]["hits"], 0);
    assert_eq!(get("/api/v1/rules/refused").await["refused"][0]["line"], 3);
    let health = get("/api/v1/health/detail").await;
    assert_eq!(health["status"], "warn", "records were lost and a rule was refused");
    let ledger = &health["ledger"];
    assert_eq!((&ledger["entries"], &ledger["sealed_seconds_ago"]), (&json!(1234), &json!(1)));
    assert_eq!(ledger["witnessed"], json!({"entries": 1233, "seconds_ago": 3, "by": 1}));
    let cosigned = json!({"entries": 1233, "time": "2026-09-21T14:13:17.000000Z", "seconds_ago": 3});
    assert_eq!(ledger["witnesses"][0], json!({"name": "w.example/1", "cosigned": cosigned, "complaint": null}));
    let stats = get("/api/v1/stats").await;
    assert_eq!((&stats["received"], &stats["shed"]), (&json!(1009), &json!(7)));

    let alive = server.send(As::Browser(None), "GET", "/api/v1/health", "").await.expect(200);
    assert_eq!(alive.text, r#"{"status":"ok"}"#, "without an account it tells nothing else");
}

#[tokio::test]
async fn metrics_are_well_formed() {
    let server = server();
    server.finding("rule", "192.0.2.9", 1);
    server.send(As::Browser(None), "GET", "/metrics", "").await.expect(401);
    let token = server.token("read");
    let answer = server.send(As::Token(&token), "GET", "/metrics", "").await.expect(200);
    assert!(answer.headers["content-type"].to_str().unwrap().starts_with("text/plain; version=0.0.4"));
    for line in [
        "vedette_source_received_total{source=\"syslog-udp:192.0.2.7\",receiver=\"syslog-udp\"} 1009",
        "vedette_source_refused_total{source=\"syslog-udp:192.0.2.7\",receiver=\"syslog-udp\",reason=\"too_large\"} 2",
        "vedette_source_shed_total{source=\"syslog-udp:192.0.2.7\",receiver=\"syslog-udp\",reason=\"kernel_drop\"} 3",
        "vedette_alerts{state=\"new\",level=\"high\"} 1",
        "vedette_store_events 990",
        "vedette_server_queries_total 0",
        "vedette_ledger_entries 1234",
        "vedette_ledger_checkpoint_age_seconds 1",
        "vedette_ledger_required_witnesses 1",
        "vedette_witness_entries{witness=\"w.example/1\"} 1233",
        "vedette_witness_cosignature_age_seconds{witness=\"w.example/1\"} 3",
    ] {
        assert!(answer.text.lines().any(|found| found == line), "{line}\n{}", answer.text);
    }
    // A hostile source name stays inside its label.
    let escaped = HOSTILE.replace('"', "\\\"") + "\\n\\\\";
    assert!(answer.text.contains(&escaped), "{}", answer.text);
    for line in answer.text.lines().filter(|line| !line.starts_with('#')) {
        let (_, value) = line.rsplit_once(' ').unwrap();
        value.parse::<u64>().unwrap_or_else(|_| panic!("{line}"));
    }
}
