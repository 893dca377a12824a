//! Webhooks as `curl` calls them: good, bad and repeated signatures.

use std::{
    path::Path,
    process::Command,
    time::{SystemTime, UNIX_EPOCH},
};

use ring::hmac;

use crate::harness::{OTHERS, RECEIVERS, Running, folder};

const SECRET: &str = "it is a secret";

fn signature(parts: &str) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), parts.as_bytes());
    tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The status and the answer.
fn curl(running: &Running, path: &str, headers: &[&str], body: &str) -> (u16, String) {
    let url = format!("http://{}{path}", running.address("http"));
    let mut command = Command::new("curl");
    command.args(["-s", "-w", "\n%{http_code}", "--data-binary", body, &url]);
    for header in headers {
        command.args(["-H", header]);
    }
    let output = command.output().expect("curl runs");
    let text = String::from_utf8(output.stdout).expect("text");
    let (answer, status) = text.rsplit_once('\n').expect("a status");
    (status.parse().expect("a number"), answer.to_owned())
}

fn config(folder: &Path) -> String {
    let secret = folder.join("secret");
    std::fs::write(&secret, format!("{SECRET}\n")).expect("writable");
    let secret = secret.display();
    format!(
        "{RECEIVERS}  webhooks:
    - {{name: code, kind: github, secret: 'file:{secret}'}}
    - {{name: chat, kind: slack, secret: 'file:{secret}'}}
    - {{name: people, kind: okta, secret: 'file:{secret}'}}
    - {{name: cluster, kind: bearer, secret: 'file:{secret}'}}
    - {{name: shop, kind: generic, secret: 'file:{secret}', header: X-Shop-Signature, time_header: X-Shop-Time}}
"
    )
}

#[test]
fn deliveries_are_taken_once_and_by_their_signature() {
    let folder = folder();
    let running = Running::start(folder.path(), &config(folder.path()));
    let body = r#"{"action":"created","note":"delivery one"}"#;
    let right = format!("X-Hub-Signature-256: sha256={}", signature(body));
    let event = "X-GitHub-Event: member";
    assert_eq!(curl(&running, "/webhooks/code", &[&right, event], body), (200, r#"{"stored":1}"#.to_owned()));
    assert_eq!(curl(&running, "/webhooks/code", &[&right, event], body).0, 409, "a replay");
    assert_eq!(curl(&running, "/webhooks/code", &[event], body).0, 401, "no signature");
    assert_eq!(curl(&running, "/webhooks/code", &[&right, event], &body.replace("one", "two")).0, 401, "another body");
    assert_eq!(curl(&running, "/webhooks/nobody", &[&right], body).0, 404);

    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let slack = |time: u64, body: &str| {
        let right = format!("X-Slack-Signature: v0={}", signature(&format!("v0:{time}:{body}")));
        curl(&running, "/webhooks/chat", &[&right, &format!("X-Slack-Request-Timestamp: {time}")], body)
    };
    assert_eq!(slack(now, r#"{"type":"url_verification","challenge":"abc"}"#), (200, r#"{"challenge":"abc"}"#.into()));
    let body = r#"{"type":"event_callback","note":"delivery three"}"#;
    assert_eq!(slack(now, body).0, 200);
    assert_eq!(slack(now, body).0, 409, "a replay");
    assert_eq!(slack(now - 3600, body).0, 401, "signed an hour ago");
    assert_eq!(slack(now + 3600, body).0, 401, "signed in an hour");

    let okta = r#"{"data":{"events":[{"uuid":"1","note":"delivery four"},{"uuid":"2","note":"delivery five"}]}}"#;
    let secret = format!("Authorization: {SECRET}");
    assert_eq!(curl(&running, "/webhooks/people", &[&secret], okta), (200, r#"{"stored":2}"#.to_owned()));
    assert_eq!(curl(&running, "/webhooks/people", &["Authorization: guess"], okta).0, 401);

    let body = r#"{"note":"delivery six"}"#;
    let shop = format!("X-Shop-Signature: {}", signature(&format!("{now}.{body}")));
    let time = format!("X-Shop-Time: {now}");
    assert_eq!(curl(&running, "/webhooks/shop", &[&shop, &time], body).0, 200);
    assert_eq!(curl(&running, "/webhooks/shop", &[&shop, &time], body).0, 409);

    let audit = r#"{"kind":"EventList","items":[{"kind":"Event","auditID":"7","note":"delivery seven"}]}"#;
    let bearer = format!("Authorization: Bearer {SECRET}");
    assert_eq!(curl(&running, "/webhooks/cluster", &[&bearer], audit), (200, r#"{"stored":1}"#.to_owned()));
    assert_eq!(curl(&running, "/webhooks/cluster", &["Authorization: Bearer guess"], audit).0, 401);
    running.stop();

    // Where no time is signed, a delivery is known by itself: also after a restart.
    let running = Running::start(folder.path(), &config(folder.path()));
    for (path, header, body) in [
        ("/webhooks/people", &secret, okta),
        ("/webhooks/cluster", &bearer, audit),
        ("/webhooks/code", &right, r#"{"action":"created","note":"delivery one"}"#),
    ] {
        assert_eq!(curl(&running, path, &[header], body).0, 409, "{path}");
    }
    running.wait_for_count(&format!("delivery {OTHERS}"), 6);
    running.wait_for_count("webhook.name:code webhook.event:member action:created", 1);
    // What is refused is in the account, and nobody's secret is in the log.
    let sources = crate::harness::run(&["sources", "-o", "json", "--data", &running.data().to_string_lossy()]);
    let sources = crate::harness::json_lines(&crate::harness::stdout(&sources, 0));
    let chat = sources.iter().find(|source| source["name"] == "webhook:chat").expect("a source");
    assert_eq!(chat["refused"]["malformed"], 3);
    let log = std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
    assert!(log.contains("a delivery is refused") && !log.contains(SECRET), "{log}");
}
