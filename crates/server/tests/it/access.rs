//! Links, sessions, tokens, scopes, guessing, other sites.

use std::sync::atomic::Ordering;

use serde_json::json;

use crate::support::{As, PASSWORD, remote, server};

#[tokio::test]
async fn the_set_up_link_works_once() {
    let server = server();
    let now = (server.app.clock)();
    let older = server.app.accounts.setup_link(now).unwrap().unwrap();
    let link = server.app.accounts.setup_link(now).unwrap().unwrap();
    let path = format!("/plain/setup?token={}", link.reveal());

    server.send(As::Browser(None), "GET", &format!("/plain/setup?token={}", older.reveal()), "").await.expect(410);
    server.send(As::Browser(None), "GET", "/plain/setup?token=guess", "").await.expect(410);
    let page = server.send(As::Browser(None), "GET", &path, "").await.expect(200);
    assert!(page.text.contains("Make the first account"));

    let form = |name: &str, password: &str, again: &str| {
        format!("token={}&name={name}&password={password}&again={again}", link.reveal())
    };
    let weak = server.send(As::Browser(None), "POST", "/plain/setup", form("ada", "short", "short")).await.expect(422);
    assert!(weak.text.contains("A password has at least 12 characters, this one has 5."), "{}", weak.text);
    let differs = form("ada", "correct+horse+battery", "correct+horse+battexy");
    server.send(As::Browser(None), "POST", "/plain/setup", differs).await.expect(422);
    server
        .send(
            As::Browser(None),
            "POST",
            "/plain/setup",
            form("a%0ab", "correct+horse+battery", "correct+horse+battery"),
        )
        .await
        .expect(422);

    let good = form("ada", "correct+horse+battery", "correct+horse+battery");
    let done = server.send(As::Browser(None), "POST", "/plain/setup", good.clone()).await.expect(303);
    assert_eq!(done.headers["location"], "/plain");
    let cookie = done.cookie().unwrap();
    server.send(As::Browser(Some(&cookie)), "GET", "/plain", "").await.expect(200);

    server.send(As::Browser(None), "POST", "/plain/setup", good).await.expect(410);
    server.send(As::Browser(None), "GET", &path, "").await.expect(410);
    assert!(server.app.accounts.setup_link(now).unwrap().is_none(), "an account exists: no more set-up links");
    let lines = server.journal.lines();
    assert!(lines.contains(&"ada account.set_up ada".to_owned()), "{lines:?}");
    assert!(lines.contains(&"ada session.start -".to_owned()), "{lines:?}");
}

#[tokio::test]
async fn the_set_up_link_expires() {
    let server = server();
    let link = server.app.accounts.setup_link((server.app.clock)()).unwrap().unwrap();
    server.pass(24 * 3600 - 1);
    let path = format!("/plain/setup?token={}", link.reveal());
    server.send(As::Browser(None), "GET", &path, "").await.expect(200);
    server.pass(1);
    server.send(As::Browser(None), "GET", &path, "").await.expect(410);
    let body = json!({"link": link.reveal(), "name": "ada", "password": PASSWORD}).to_string();
    server.send(As::Browser(None), "POST", "/api/v1/links", body).await.expect(410);
}

#[tokio::test]
async fn two_who_use_the_link_at_once() {
    let server = server();
    let now = (server.app.clock)();
    let link = server.app.accounts.setup_link(now).unwrap().unwrap();
    let body = |name: &str| json!({"link": link.reveal(), "name": name, "password": PASSWORD}).to_string();
    let (one, two) = tokio::join!(
        server.send(As::Browser(None), "POST", "/api/v1/links", body("ada")),
        server.send(As::Browser(None), "POST", "/api/v1/links", body("grace")),
    );
    let mut statuses = [one.status.as_u16(), two.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 410]);
    assert_eq!(server.app.accounts.users().unwrap().len(), 1);
}

#[tokio::test]
async fn a_session_from_log_in_to_log_out() {
    let server = server();
    let cookie = server.log_in().await;
    let me = server.send(As::Browser(Some(&cookie)), "GET", "/api/v1/session", "").await.expect(200).json();
    assert_eq!(me["name"], "ada");
    assert_eq!(me["scopes"], json!(["read", "write", "ingest", "admin"]));

    // Logging in again with the old cookie ends the old session.
    let body = json!({"name": "Ada", "password": PASSWORD}).to_string();
    let rotated = server.send(As::Browser(Some(&cookie)), "POST", "/api/v1/session", body).await.expect(200);
    let second = rotated.cookie().unwrap();
    assert_ne!(second, cookie);
    server.send(As::Browser(Some(&cookie)), "GET", "/api/v1/session", "").await.expect(401);

    let out = server.send(As::Browser(Some(&second)), "DELETE", "/api/v1/session", "").await.expect(200);
    assert_eq!(out.cookie().unwrap(), "");
    server.send(As::Browser(Some(&second)), "GET", "/api/v1/session", "").await.expect(401);
    let to_log_in = server.send(As::Browser(Some(&second)), "GET", "/plain", "").await.expect(303);
    assert_eq!(to_log_in.headers["location"], "/plain/login");
}

#[tokio::test]
async fn a_session_ends_after_twelve_hours() {
    let server = server();
    let cookie = server.log_in().await;
    server.pass(12 * 3600 - 1);
    server.send(As::Browser(Some(&cookie)), "GET", "/api/v1/alerts", "").await.expect(200);
    server.pass(1);
    server.send(As::Browser(Some(&cookie)), "GET", "/api/v1/alerts", "").await.expect(401);
}

#[tokio::test]
async fn other_sites_cannot_act() {
    let server = server();
    let cookie = server.log_in().await;
    server.finding("rule", "192.0.2.9", 1);
    let cookie = ("cookie", format!("__Host-vedette={cookie}"));
    let cases: Vec<(Vec<(&'static str, String)>, u16)> = vec![
        (vec![], 403),
        (vec![("origin", "https://evil.test".into())], 403),
        (vec![("origin", "http://vedette.test:8443".into())], 403),
        (vec![("origin", "https://vedette.test".into())], 403),
        (vec![("origin", "null".into())], 403),
        (vec![("sec-fetch-site", "cross-site".into())], 403),
        (vec![("sec-fetch-site", "same-site".into()), ("origin", "https://vedette.test:8443".into())], 403),
        (vec![("sec-fetch-site", "none".into())], 403),
        (vec![("sec-fetch-site", "same-origin".into()), ("origin", "https://evil.test".into())], 403),
        (vec![("origin", "https://vedette.test:8443".into())], 200),
        (vec![("sec-fetch-site", "same-origin".into())], 409), // allowed; acknowledged already
    ];
    for (mut headers, status) in cases {
        let name = format!("{headers:?}");
        headers.push(cookie.clone());
        for path in
            ["/api/v1/alerts/1/acknowledge", "/plain/alerts/1/close", "/plain/login", "/plain/setup", "/plain/logout"]
        {
            let answer = server.send(As::Headers(headers.clone()), "POST", path, "").await;
            match path {
                "/api/v1/alerts/1/acknowledge" => assert_eq!(answer.status.as_u16(), status, "{name}"),
                _ if status == 403 => assert_eq!(answer.status.as_u16(), 403, "{name} {path}"),
                _ => {}
            }
            if path == "/plain/logout" && status != 403 {
                return; // the session is gone
            }
        }
    }
}

#[tokio::test]
async fn guessing_is_slowed_down() {
    let server = server();
    server.log_in().await;
    let wrong = json!({"name": "ada", "password": "wrong wrong wrong"}).to_string();
    let right = json!({"name": "ada", "password": PASSWORD}).to_string();
    for _ in 0..5 {
        server.send(As::Browser(None), "POST", "/api/v1/session", wrong.clone()).await.expect(401);
    }
    let throttled = server.send(As::Browser(None), "POST", "/api/v1/session", right.clone()).await.expect(429);
    assert_eq!(throttled.headers["retry-after"], "30");
    assert!(throttled.json()["detail"].as_str().unwrap().contains("try again in 30 s"));
    let page = server
        .send(As::Browser(None), "POST", "/plain/login", format!("name=ada&password={PASSWORD}"))
        .await
        .expect(429);
    assert!(page.text.contains("Too many failed attempts"));
    server
        .send_from(remote("192.0.2.2"), As::Browser(None), "POST", "/api/v1/session", right.clone())
        .await
        .expect(200);
    server.pass(31);
    server.send(As::Browser(None), "POST", "/api/v1/session", right).await.expect(200);
    let failures = server.journal.lines().iter().filter(|line| *line == "ada session.start - failed").count();
    assert_eq!(failures, 5, "throttled attempts do not fill the journal");
}

#[tokio::test]
async fn parallel_guesses_gain_nothing() {
    let server = server();
    server.log_in().await;
    let wrong = json!({"name": "ada", "password": "wrong wrong wrong"}).to_string();
    let tries = (0..20).map(|_| server.send(As::Browser(None), "POST", "/api/v1/session", wrong.clone()));
    let answers = futures::future::join_all(tries).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 401).count(), 5);
}

#[tokio::test]
async fn who_is_unknown_cannot_be_told_from_a_wrong_password() {
    let server = server();
    server.log_in().await;
    let answer = |name: &str| json!({"name": name, "password": "wrong wrong wrong"}).to_string();
    let known = server.send(As::Browser(None), "POST", "/api/v1/session", answer("ada")).await.expect(401);
    let unknown = server.send(As::Browser(None), "POST", "/api/v1/session", answer("eve")).await.expect(401);
    assert_eq!(known.text, unknown.text);
    // A password typed into the name's field stays out of the journal.
    server.send(As::Browser(None), "POST", "/api/v1/session", answer("my secret pass")).await.expect(401);
    assert_eq!(server.journal.lines().last().unwrap(), "(not a user name) session.start - failed");
}

#[tokio::test]
async fn no_secret_is_in_the_file() {
    let server = server();
    let now = (server.app.clock)();
    let link = server.app.accounts.setup_link(now).unwrap().unwrap();
    let invite = {
        server.app.accounts.redeem(link.reveal(), "ada", PASSWORD, now).unwrap();
        server.app.accounts.invite("grace", "read".parse().unwrap(), now).unwrap()
    };
    let cookie = server.log_in().await;
    let body = json!({"name": "shipper", "scopes": ["ingest"]}).to_string();
    let made = server.send(As::Browser(Some(&cookie)), "POST", "/api/v1/tokens", body).await.expect(200).json();
    let token = made["secret"].as_str().unwrap().to_owned();
    assert!(token.starts_with("vdt_") && token.len() == 4 + 43, "{token}");
    let mut stored = Vec::new();
    for entry in std::fs::read_dir(server.dir.path()).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name().to_str().unwrap().starts_with("users.db") {
            stored.extend(std::fs::read(entry.path()).unwrap());
        }
    }
    let has = |needle: &str| stored.windows(needle.len()).any(|window| window == needle.as_bytes());
    assert!(has("$argon2id$v=19$"));
    assert!(has("shipper"));
    for secret in [PASSWORD, link.reveal(), invite.reveal(), &cookie, &token, &token[4..]] {
        assert!(!has(secret));
    }
    // Nor in what is listed, nor in the journal.
    let listed = server.send(As::Browser(Some(&cookie)), "GET", "/api/v1/tokens", "").await.expect(200);
    assert!(!listed.text.contains(&token));
    let journal = format!("{:?}", server.journal.actions.lock().unwrap());
    for secret in [PASSWORD, &cookie, &token, link.reveal()] {
        assert!(!journal.contains(secret));
    }
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(server.dir.path().join("users.db")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn tokens_have_scopes_and_end() {
    let server = server();
    let cookie = server.log_in().await;
    server.finding("rule", "192.0.2.9", 1);
    let read = server.token("read");
    server.send(As::Token(&read), "GET", "/api/v1/alerts", "").await.expect(200);
    let refused = server.send(As::Token(&read), "POST", "/api/v1/alerts/1/acknowledge", "").await.expect(403).json();
    assert_eq!(refused["hint"], "this needs the scope `write`; there are: read");
    server.send(As::Token(&read), "GET", "/api/v1/users", "").await.expect(403);
    let more = json!({"name": "more", "scopes": ["write"]}).to_string();
    server.send(As::Token(&read), "POST", "/api/v1/tokens", more).await.expect(403);
    let ingest = server.token("ingest");
    server.send(As::Token(&ingest), "GET", "/api/v1/alerts", "").await.expect(403);
    let write = server.token("write");
    server.send(As::Token(&write), "POST", "/api/v1/alerts/1/acknowledge", "").await.expect(200);
    assert!(server.journal.lines().contains(&"token:3:ada alert.acknowledge 1".to_owned()));

    server.send(As::Token("vdt_guess"), "GET", "/api/v1/alerts", "").await.expect(401);
    let basic = vec![("authorization", "Basic YTpi".to_owned())];
    server.send(As::Headers(basic), "GET", "/api/v1/alerts", "").await.expect(401);

    let tokens = server.send(As::Browser(Some(&cookie)), "GET", "/api/v1/tokens", "").await.expect(200).json();
    assert_eq!(tokens["tokens"].as_array().unwrap().len(), 3);
    assert!(tokens["tokens"][0]["last_used"].is_string() && tokens["tokens"][1]["last_used"].is_string());
    server.send(As::Browser(Some(&cookie)), "DELETE", "/api/v1/tokens/1", "").await.expect(200);
    server.send(As::Token(&read), "GET", "/api/v1/alerts", "").await.expect(401);
    server.send(As::Browser(Some(&cookie)), "DELETE", "/api/v1/tokens/1", "").await.expect(404);
    server.pass(86_400);
    server.send(As::Token(&write), "GET", "/api/v1/alerts", "").await.expect(401);
}

#[tokio::test]
async fn users_are_invited_and_removed() {
    let server = server();
    let admin = server.log_in().await;
    let invite = json!({"name": "grace", "scopes": ["read"]}).to_string();
    let made = server.send(As::Browser(Some(&admin)), "POST", "/api/v1/users", invite).await.expect(200).json();
    let link = made["link"].as_str().unwrap();
    // A console would show it itself.
    let moved = server.send(As::Browser(None), "GET", link, "").await.expect(303);
    let page = server.send(As::Browser(None), "GET", moved.headers["location"].to_str().unwrap(), "").await.expect(200);
    assert!(page.text.contains("Set your password") && page.text.contains("value=\"grace\""));
    // Whatever name the form sends, the link is grace's.
    let secret = link.split_once('=').unwrap().1;
    let body = json!({"link": secret, "name": "ada", "password": "another long secret"}).to_string();
    let used = server.send(As::Browser(None), "POST", "/api/v1/links", body).await.expect(200).json();
    assert_eq!(used["name"], "grace");

    let log_in = json!({"name": "grace", "password": "another long secret"}).to_string();
    let answer = server.send(As::Browser(None), "POST", "/api/v1/session", log_in.clone()).await.expect(200);
    let grace = answer.cookie().unwrap();
    server.finding("rule", "192.0.2.9", 1);
    server.send(As::Browser(Some(&grace)), "GET", "/plain/alerts/1", "").await.expect(200);
    server.send(As::Browser(Some(&grace)), "POST", "/plain/alerts/1/acknowledge", "back=/plain").await.expect(403);
    server.send(As::Browser(Some(&grace)), "GET", "/api/v1/users", "").await.expect(403);
    let change = json!({"old": "another long secret", "new": "yet another secret"}).to_string();
    server.send(As::Browser(Some(&grace)), "POST", "/api/v1/password", change).await.expect(200);
    server.send(As::Browser(Some(&grace)), "GET", "/api/v1/session", "").await.expect(401);
    server.send(As::Browser(None), "POST", "/api/v1/session", log_in).await.expect(401);

    server.send(As::Browser(Some(&admin)), "DELETE", "/api/v1/users/ada", "").await.expect(409);
    server.send(As::Browser(Some(&admin)), "DELETE", "/api/v1/users/grace", "").await.expect(200);
    server.send(As::Browser(Some(&admin)), "DELETE", "/api/v1/users/grace", "").await.expect(404);
    let users = server.send(As::Browser(Some(&admin)), "GET", "/api/v1/users", "").await.expect(200).json();
    assert_eq!(users["users"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_cannot_be_journalled_is_not_done() {
    let server = server();
    let cookie = server.log_in().await;
    server.finding("rule", "192.0.2.9", 1);
    server.journal.full.store(true, Ordering::Relaxed);
    let asks = [
        ("POST", "/api/v1/alerts/1/acknowledge", String::new()),
        ("POST", "/api/v1/tokens", json!({"name": "x", "scopes": ["read"]}).to_string()),
        ("POST", "/api/v1/search", json!({"query": ""}).to_string()),
        ("DELETE", "/api/v1/users/ada", String::new()),
        ("DELETE", "/api/v1/session", String::new()),
        ("POST", "/api/v1/session", json!({"name": "ada", "password": PASSWORD}).to_string()),
    ];
    for (method, path, body) in asks {
        let answer = server.send(As::Browser(Some(&cookie)), method, path, body).await.expect(503);
        assert!(answer.json()["detail"].as_str().unwrap().contains("journal"), "{path}");
    }
    assert!(server.rooms.asked.lock().unwrap().is_empty());
    assert!(server.app.accounts.tokens(None).unwrap().is_empty());
    let alert = server.app.alerts.get(vedette_alert::AlertId(1)).unwrap();
    assert_eq!(alert.alert.state, vedette_alert::State::New);
    server.send(As::Browser(Some(&cookie)), "GET", "/api/v1/session", "").await.expect(200);
}

#[tokio::test]
async fn without_a_peer_nothing_is_answered() {
    use tower::ServiceExt;
    let server = server();
    for path in ["/", "/api/v1/alerts", "/api/v1/health", "/plain/login"] {
        let request = server.request(As::Local, "GET", path, "");
        assert_eq!(server.router.clone().oneshot(request).await.unwrap().status(), 500);
    }
}
