//! HTTP channels against a server that is slow, angry or gone.

use std::{io::Write as _, process::Stdio, time::Duration};

use serde_json::json;
use vedette_event::Level;
use vedette_notify::{Happened, Held, Notifier, Reason};

use crate::support::{Got, Running, Say, Server, certificate, config, notice, now, python, until};

const RETRY: &str = "retry: {attempts: 4, first_seconds: 1, longest_seconds: 1, timeout_seconds: 2}";

fn webhook(server: &Server, more: &str) -> String {
    format!(
        "{RETRY}\nchannels: [{{name: hook, webhook: {{url: \"{}\", secret: \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"}}{more}}}]\nroutes: [{{name: all, channels: [hook], on: [opened, grew, acknowledged, closed, reopened]}}]\n",
        server.url("/hook/s3cr3t-p4th-0123456789?key=t0p-s3cr3t")
    )
}

/// What the reference implementation of Standard Webhooks says of a request.
fn verified(got: &Got, secret: &str) -> String {
    const SCRIPT: &str = "
import json, sys
from standardwebhooks.webhooks import Webhook, WebhookVerificationError
given = json.load(sys.stdin)
try:
    Webhook(given['secret']).verify(given['body'], given['headers'])
    print('good')
except WebhookVerificationError as error:
    print(error)
";
    let names = ["webhook-id", "webhook-timestamp", "webhook-signature"];
    let headers: serde_json::Map<_, _> =
        names.iter().map(|name| ((*name).to_owned(), json!(got.header(name)))).collect();
    let given = json!({"secret": secret, "body": String::from_utf8(got.body.clone()).unwrap(), "headers": headers});
    let mut child = python().args(["-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(given.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_are_signed_as_the_standard_says() {
    let server = Server::start([]).await;
    let running = Running::start(&webhook(&server, ""));
    running.offer(&notice(1, Happened::Opened));
    let got = server.wait_for(1).await.remove(0);
    assert_eq!(got.path, "/hook/s3cr3t-p4th-0123456789?key=t0p-s3cr3t");
    assert_eq!(got.header("content-type"), "application/json");
    assert_eq!(got.json()["type"], "alert.opened");
    assert_eq!(got.json()["data"]["alert"], 1);
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    assert_eq!(verified(&got, secret), "good");
    let mut tampered = got.clone();
    tampered.body.extend(b" ");
    assert_eq!(verified(&tampered, secret), "No matching signature found");
    let mut old = got.clone();
    old.headers.insert("webhook-timestamp", (now().secs() - 3600).to_string().parse().unwrap());
    assert_eq!(verified(&old, secret), "Message timestamp too old");
    let mut renewed = got;
    renewed.headers.insert("webhook-timestamp", (now().secs() + 1).to_string().parse().unwrap());
    assert_eq!(verified(&renewed, secret), "No matching signature found", "the time is signed too");
    assert_eq!(running.settled().await.sent, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_pass_is_tried_again_as_the_same_message() {
    let server =
        Server::start([Say::Status(500, "oops"), Say::Cut, Say::With(429, "Retry-After: 3", "slow down")]).await;
    let running = Running::start(&webhook(&server, ""));
    running.offer(&notice(1, Happened::Opened));
    let got = server.wait_for(4).await;
    let ids: std::collections::HashSet<_> = got.iter().map(|got| got.header("webhook-id").to_owned()).collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert!(got.iter().all(|one| one.body == got[0].body));
    let pause = got[3].at.duration_since(got[2].at);
    assert!(pause >= Duration::from_secs(3), "Retry-After was 3 s, and it waited {pause:?}");
    let pause = got[1].at.duration_since(got[0].at);
    assert!(pause >= Duration::from_millis(500), "it waited {pause:?}");
    let total = running.settled().await;
    assert_eq!((total.sent, total.dead), (1, 0));
    let status = running.notifier.status().unwrap();
    assert!(status.channels[0].last_failure.is_some() && status.channels[0].error.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_never_passes_becomes_a_dead_letter_and_can_be_sent_after_all() {
    let says = [Say::Status(400, "no_text"), Say::Nothing, Say::Status(503, ""), Say::Cut, Say::Status(500, "still")];
    let server = Server::start(says).await;
    let running = Running::start(&webhook(&server, ""));
    running.offer(&notice(1, Happened::Opened));
    until("the first is refused", || running.total().dead == 1).await;
    let first = running.notifier.dead_letters(10).unwrap().remove(0);
    assert_eq!((first.attempts, first.error.as_str()), (1, "it answers 400 Bad Request: no_text"));
    assert_eq!(server.got().len(), 1, "a refused message is not repeated");
    running.offer(&notice(2, Happened::Opened));
    until("the second is given up", || running.total().dead == 2).await;
    let second = running.notifier.dead_letters(10).unwrap().remove(0);
    assert_eq!((second.attempts, second.error.as_str()), (4, "it answers 500 Internal Server Error: still"));
    running.notifier.retry(second.id, now()).unwrap();
    running.notifier.discard(first.id, now()).unwrap();
    let total = running.settled().await;
    assert_eq!((total.offered, total.sent, total.dead), (2, 1, 0));
    assert_eq!(total.suppressed, [(Reason::Discarded, 1)].into());
    assert!(running.notifier.retry(first.id, now()).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_are_not_followed_and_floods_not_read() {
    let elsewhere = Server::start([]).await;
    let to: &'static str = format!("Location: {}", elsewhere.url("/")).leak();
    let server = Server::start([Say::With(307, to, ""), Say::Flood]).await;
    let running = Running::start(&webhook(&server, ""));
    running.offer(&notice(1, Happened::Opened));
    until("it is given up", || running.total().dead == 1).await;
    let letter = running.notifier.dead_letters(1).unwrap().remove(0);
    assert_eq!(letter.error, "it answers 307 Temporary Redirect; redirects are not followed");
    running.offer(&notice(2, Happened::Opened));
    assert_eq!(running.settled().await.sent, 1);
    assert_eq!(elsewhere.got().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_there_and_then_somebody() {
    let port = crate::support::free_port();
    let text = format!(
        "{RETRY}\nchannels: [{{name: hook, slack: {{url: \"http://127.0.0.1:{port}/services/T000/B000/XXXXXXXXXXXX\"}}}}]\nroutes: [{{name: all, channels: [hook]}}]"
    );
    let running = Running::start(&text);
    running.offer(&notice(1, Happened::Opened));
    until("it failed", || running.notifier.status().unwrap().channels[0].error.is_some()).await;
    let error = running.notifier.status().unwrap().channels[0].error.clone().unwrap();
    assert!(error.contains(&format!("cannot connect to 127.0.0.1 port {port}")), "{error}");
    // Somebody else's address from now on.
    let server = Server::start([]).await;
    let new = text.replace(&format!("127.0.0.1:{port}"), &server.address.to_string());
    running.notifier.replace_config(config(&new)).unwrap();
    assert_eq!(running.settled().await.sent, 1);
    let refused = running.notifier.replace_config(config("routes: [{name: all, channels: [gone]}]")).unwrap_err();
    assert_eq!(refused.to_string(), "notifications.routes: `all`: there is no channel `gone`");
    running.offer(&notice(2, Happened::Opened));
    assert_eq!(running.settled().await.sent, 2, "the old configuration stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_nowhere() {
    let echo = "you said whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw to /hook/s3cr3t-p4th-0123456789?key=t0p-s3cr3t, or s3cr3t-p4th-0123456789 with key=t0p-s3cr3t";
    let server = Server::start([Say::Status(400, echo), Say::Status(200, echo)]).await;
    let running = Running::start(&webhook(&server, ""));
    running.offer(&notice(1, Happened::Opened));
    until("it is refused", || running.total().dead == 1).await;
    let tested = running.notifier.send_test("hook").await.unwrap();
    assert!(tested.is_sent);
    let text = webhook(&server, "");
    let mut shown = vec![
        format!("{:?}", config(&text)),
        format!("{:?}", running.notifier),
        format!("{:?}", running.notifier.status().unwrap()),
        format!("{:?}", running.notifier.dead_letters(10).unwrap()),
        format!("{tested:?}"),
    ];
    let (notifier, folder) = (running.notifier.clone(), running.folder.path().to_owned());
    drop(notifier);
    for file in std::fs::read_dir(&folder).unwrap() {
        shown.push(String::from_utf8_lossy(&std::fs::read(file.unwrap().path()).unwrap()).into_owned());
    }
    for secret in ["MfKQ9r8GKYqr", "s3cr3t-p4th", "t0p-s3cr3t"] {
        for text in &shown {
            assert!(!text.contains(secret), "{secret} is in {}", &text[..text.len().min(2000)]);
        }
    }
    assert_eq!(tested.answer, "you said [secret] to [secret], or [secret] with [secret]");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_says_what_the_other_side_says() {
    let server = Server::start([
        Say::Status(202, r#"{"status":"success","message":"Event processed"}"#),
        Say::Status(202, "resolved"),
        Say::Status(400, r#"{"status":"invalid event","errors":["Length of 'routing_key' is incorrect"]}"#),
        Say::Nothing,
    ])
    .await;
    let text = format!(
        "{RETRY}\nchannels: [{{name: pager, pagerduty: {{routing_key: \"env:CARGO_PKG_NAME\", url: \"{}\"}}}}]",
        server.url("/v2/enqueue")
    );
    let running = Running::start(&text);
    let tested = running.notifier.send_test("pager").await.unwrap();
    assert!(tested.is_sent);
    assert_eq!(
        (tested.status, tested.answer.as_str()),
        (Some(202), r#"{"status":"success","message":"Event processed"}"#)
    );
    let got = server.got();
    assert_eq!(got[0].json()["routing_key"], "vedette-notify", "from the environment");
    assert_eq!(
        (&got[0].json()["event_action"], &got[1].json()["event_action"]),
        (&json!("trigger"), &json!("resolve"))
    );
    assert_eq!(got[0].json()["dedup_key"], got[1].json()["dedup_key"]);
    let tested = running.notifier.send_test("pager").await.unwrap();
    assert_eq!((tested.is_sent, tested.status), (false, Some(400)));
    assert_eq!(tested.answer, r#"{"status":"invalid event","errors":["Length of 'routing_key' is incorrect"]}"#);
    let tested = running.notifier.send_test("pager").await.unwrap();
    assert_eq!((tested.is_sent, tested.status, tested.error.as_deref()), (false, None, Some("no answer within 2 s")));
    assert!(running.notifier.send_test("other").await.is_err());
    assert_eq!(running.total().offered, 0, "a test is beside the account");
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = certificate(folder.path());
    let server = Server::start_tls(certificate.acceptor()).await;
    let port = server.address.port();
    let channel = |name: &str, host: &str, ca: &str| {
        format!("{{name: {name}, teams: {{url: \"https://{host}:{port}/workflows/0123456789abcdef\"{ca}}}}}")
    };
    let ca = format!(", ca: \"{}\"", certificate.cert.display());
    let (known, unknown, other) =
        (channel("known", "localhost", &ca), channel("unknown", "localhost", ""), channel("other", "127.0.0.2", &ca));
    let running = Running::start(&format!("{RETRY}\nchannels: [{known}, {unknown}, {other}]"));
    let known = running.notifier.send_test("known").await.unwrap();
    assert!(known.is_sent, "{known:?}");
    let error = running.notifier.send_test("unknown").await.unwrap().error.unwrap();
    assert!(error.contains("TLS with localhost") && error.contains("UnknownIssuer"), "{error}");
    let error = running.notifier.send_test("other").await.unwrap().error.unwrap();
    assert!(error.contains("127.0.0.2"), "{error}");
    assert_eq!(server.got().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_at_once_become_one_message() {
    let server = Server::start([]).await;
    let running = Running::start(&webhook(&server, ", rate: {messages: 2, per_seconds: 4}"));
    let mut notices: Vec<_> = (1..=9).map(|alert| notice(alert, Happened::Opened)).collect();
    notices[6].rule.level = Level::Critical;
    assert_eq!(running.notifier.offer_all(&notices, now()).unwrap(), 9);
    let total = running.settled().await;
    assert_eq!((total.offered, total.sent), (9, 9));
    assert_eq!(total.held, [(Held::RateLimit, 7)].into());
    let got = server.got();
    assert_eq!(got.len(), 3);
    let digest = got[2].json();
    assert_eq!((&digest["type"], &digest["data"]["total"]), (&json!("alert.digest"), &json!(7)));
    assert_eq!(digest["data"]["by_level"], json!([{"level": "critical", "count": 1}, {"level": "high", "count": 6}]));
    assert!(got[2].at.duration_since(got[1].at) > Duration::from_secs(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_slow_channel_holds_up_no_other() {
    let (slow, fast) = (Server::start([Say::Nothing, Say::Nothing]).await, Server::start([]).await);
    let text = format!(
        "{RETRY}\nchannels: [{{name: slow, slack: {{url: \"{}\"}}}}, {{name: fast, ntfy: {{url: \"{}\", topic: vedette, token: tk_secret}}}}]\nroutes: [{{name: all, channels: [slow, fast]}}]",
        slow.url("/slow"),
        fast.url("/")
    );
    let running = Running::start(&text);
    for alert in 1..=5 {
        running.offer(&notice(alert, Happened::Opened));
    }
    let got = fast.wait_for(5).await;
    assert_eq!(slow.got().len(), 1, "one at a time");
    assert_eq!(got[0].header("authorization"), "Bearer tk_secret");
    assert_eq!(got[0].json()["topic"], "vedette");
    assert_eq!(running.settled().await.sent, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_again_is_told_once() {
    let server = Server::start([]).await;
    let text = webhook(&server, "");
    let running = Running::start(&text);
    running.offer(&notice(1, Happened::Opened));
    assert!(!running.notifier.offer(&notice(1, Happened::Opened), now()).unwrap());
    running.settled().await;
    let folder = running.stop().await;
    let again = Notifier::open(&folder.path().join("notify.db"), config(&text)).unwrap();
    assert!(!again.offer(&notice(1, Happened::Opened), now()).unwrap());
    assert!(again.offer(&notice(1, Happened::Closed), now()).unwrap());
    assert_eq!(server.got().len(), 1);
}
