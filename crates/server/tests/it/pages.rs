//! The small console: hostile text, headers, forms.

use serde_json::json;

use crate::support::{As, HOSTILE, server};

/// No page may hold what was put in raw; and what it holds must be the escaped form somewhere.
#[track_caller]
fn assert_escaped(path: &str, text: &str) {
    for raw in ["<script", "<img src=x", "onerror=alert(2)>", "\"'>"] {
        let found = text.find(raw).map(|at| &text[at.saturating_sub(80)..(at + 80).min(text.len())]);
        // Our own icon is the only image.
        assert!(found.is_none(), "{path}: {found:?}");
    }
    assert!(text.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{path} does not show the hostile text at all");
}

#[tokio::test]
async fn hostile_text_stays_text_on_every_page() {
    let server = server();
    let cookie = server.log_in().await;
    server.finding(HOSTILE, HOSTILE, 1);
    let body = json!({"note": HOSTILE}).to_string();
    server.send(As::Browser(Some(&cookie)), "POST", "/api/v1/alerts/1/note", body).await.expect(200);
    let event = json!({"event.id": HOSTILE, "@timestamp": HOSTILE, HOSTILE: HOSTILE, "host.name": [HOSTILE, 1],
        "event.original": HOSTILE});
    *server.rooms.rows.lock().unwrap() = vec![event.as_object().unwrap().clone()];
    let encoded: String = HOSTILE.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let me = As::Browser(Some(&cookie));
    let paths = [
        "/plain".to_owned(),
        "/plain/sources".to_owned(),
        "/plain/rules".to_owned(),
        "/plain/alerts?state=open".to_owned(),
        "/plain/alerts/1".to_owned(),
        format!("/plain/search?q={encoded}&range={encoded}&language={encoded}"),
        format!("/plain/search?q={encoded}wrong"),
        "/plain/events/1-1".to_owned(),
    ];
    for path in &paths {
        let answer = server.send(me.clone(), "GET", path, "").await;
        assert!(matches!(answer.status.as_u16(), 200 | 422), "{path}: {}", answer.text);
        assert_escaped(path, &answer.text);
    }
    *server.rooms.columns.lock().unwrap() = vec![HOSTILE.to_owned()];
    let table = server.send(me.clone(), "GET", "/plain/search?q=x", "").await.expect(200);
    assert_escaped("table", &table.text);

    // Also where nobody is logged in, and in problems.
    let log_in =
        server.send(As::Browser(None), "POST", "/plain/login", format!("name={encoded}&password=x")).await.expect(401);
    assert_escaped("log in", &log_in.text);
    let missing = server.send(me.clone(), "GET", &format!("/plain/alerts/{encoded}"), "").await.expect(400);
    assert!(!missing.text.contains("<script"));
    let nothing = server.send(me, "GET", "/%3Cscript%3E", "").await.expect(404);
    assert!(!nothing.text.contains("<script"));
}

#[tokio::test]
async fn every_answer_has_the_headers() {
    let server = server();
    let cookie = server.log_in().await;
    for path in [
        "/plain",
        "/plain/login",
        "/plain/style.css",
        "/plain/icon.svg",
        "/api/v1/health",
        "/nothing",
        "/plain/nothing",
        "/plain/setup?token=x",
        "/api/v1/alerts",
    ] {
        let answer = server.send(As::Browser(Some(&cookie)), "GET", path, "").await;
        let header = |name: &str| answer.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default();
        let csp = header("content-security-policy");
        assert!(csp.starts_with("default-src 'none'; style-src 'self';"), "{path}: {csp}");
        assert!(!csp.contains("unsafe"), "{path}");
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header("x-frame-options"), "DENY", "{path}");
        assert_eq!(header("referrer-policy"), "same-origin", "{path}");
        if !path.ends_with("css") && !path.ends_with("svg") {
            assert_eq!(header("cache-control"), "no-store", "{path}");
        }
    }
}

#[tokio::test]
async fn nothing_on_a_page_needs_a_script_or_an_inline_style() {
    let server = server();
    let cookie = server.log_in().await;
    server.finding("rule", "192.0.2.9", 1);
    for path in [
        "/plain",
        "/plain/alerts",
        "/plain/alerts/1",
        "/plain/search",
        "/plain/sources",
        "/plain/rules",
        "/plain/login",
    ] {
        let page = server.send(As::Browser(Some(&cookie)), "GET", path, "").await;
        let text = page.text.to_lowercase();
        for forbidden in ["<script", " style=", "<style", "javascript:", " onclick", "http://", "https://"] {
            assert!(!text.contains(forbidden), "{path} has {forbidden}");
        }
        if page.status == 200 {
            assert!(text.contains("<html lang=\"en\">") && text.contains("name=\"viewport\""), "{path}");
            assert_eq!(text.matches("<h1").count(), 1, "{path}");
        }
    }
}

#[tokio::test]
async fn alerts_are_worked_on_with_forms() {
    let server = server();
    let cookie = server.log_in().await;
    let me = As::Browser(Some(&cookie));
    server.finding("SSH brute force", "192.0.2.9", 1);
    let overview = server.send(me.clone(), "GET", "/plain", "").await.expect(200);
    let history = "History: 1\u{202f}234 entries, sealed 1 s ago, witnessed 3 s ago by 1 of 2";
    assert!(overview.text.contains(history), "{}", overview.text);
    for text in ["SSH brute force", "syslog-udp:192.0.2.7", "kernel_drop", "1\u{202f}009", "Acknowledge"] {
        assert!(overview.text.contains(text), "{text}");
    }
    let done = server.send(me.clone(), "POST", "/plain/alerts/1/acknowledge", "back=/plain").await.expect(303);
    assert_eq!(done.headers["location"], "/plain");
    let again = server.send(me.clone(), "POST", "/plain/alerts/1/acknowledge", "back=/plain").await.expect(409);
    assert!(again.text.contains("Alert 1 cannot be acknowledged: it is acknowledged by ada."), "{}", again.text);
    let form = "back=https://evil.test/&verdict=benign&note=backup+job";
    let closed = server.send(me.clone(), "POST", "/plain/alerts/1/close", form).await.expect(303);
    assert_eq!(closed.headers["location"], "/plain/alerts/1", "only to our own pages");
    let page = server.send(me.clone(), "GET", "/plain/alerts/1", "").await.expect(200);
    for text in ["closed", "benign", "backup job", "Reopen"] {
        assert!(page.text.contains(text), "{text}");
    }
    server.send(me.clone(), "POST", "/plain/alerts/1/reopen", "back=").await.expect(303);
    server.send(me, "POST", "/plain/alerts/1/close", "verdict=nonsense").await.expect(422);
}

#[tokio::test]
async fn a_wrong_search_shows_where() {
    let server = server();
    let cookie = server.log_in().await;
    let page =
        server.send(As::Browser(Some(&cookie)), "GET", "/plain/search?q=wrong+%7C&range=1h", "").await.expect(422);
    assert!(page.text.contains("Nothing follows `|`."), "{}", page.text);
    assert!(page.text.contains("wrong |\n  ^"), "{}", page.text);
    assert!(page.text.contains("Write a stage."));
    let asked = server.rooms.asked.lock().unwrap();
    assert_eq!(asked[0].from, Some((server.app.clock)().plus_micros(-3_600_000_000)));
}

#[tokio::test]
async fn strangers_are_sent_to_log_in() {
    let server = server();
    for path in [
        "/plain",
        "/plain/alerts",
        "/plain/alerts/1",
        "/plain/search?q=x",
        "/plain/sources",
        "/plain/rules",
        "/plain/events/1-1",
    ] {
        let answer = server.send(As::Browser(None), "GET", path, "").await.expect(303);
        assert_eq!(answer.headers["location"], "/plain/login", "{path}");
    }
    for path in ["/plain/alerts/1/close", "/plain/alerts/1/acknowledge", "/plain/logout"] {
        server.send(As::Browser(None), "POST", path, "").await.expect(303);
    }
    let first = server.send(As::Browser(None), "GET", "/plain/login", "").await.expect(200);
    assert!(first.text.contains("There is no account yet"));
}
