//! A source that stops sending: the alert, who is told of it, an exception from it, and the source's return.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    sync::mpsc::{Receiver, channel},
};

use serde_json::Value;

use crate::harness::{PATIENCE, RECEIVERS, Running, folder, http, post, wait_until};

/// Somebody whom a webhook calls: the bodies that come in.
pub fn listener() -> (String, Receiver<Value>) {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/hook", socket.local_addr().expect("an address"));
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for stream in socket.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
            let mut length = 0;
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap_or(0) == 0 || line.trim().is_empty() {
                    break;
                }
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().expect("a length");
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).expect("the body");
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
                .expect("an answer");
            if sender.send(serde_json::from_slice(&body).expect("JSON")).is_err() {
                return;
            }
        }
    });
    (url, receiver)
}

fn send(running: &Running, source: &str, text: &str) {
    let path = format!("/ingest?source={source}");
    let (status, answer) = http(running.address("http"), &post(&path, "text/plain", text)).expect("an answer");
    assert_eq!(status, 200, "{answer}");
}

#[test]
fn a_silence_is_an_alert_that_somebody_is_told_of() {
    let folder = folder();
    let (url, told) = listener();
    let config = format!(
        "{RECEIVERS}detection:
  quiet_sources: {{shortest_seconds: 2, first_day_seconds: 2, active_minutes: 1}}
notifications:
  channels:
    - name: desk
      webhook: {{url: '{url}', secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'}}
  routes:
    - {{name: all, channels: [desk]}}
"
    );
    let running = Running::start(folder.path(), &config);
    // A test of the channel comes through, and says what the other side said.
    let (status, tested) = running.api("POST", "/api/v1/notifications/channels/desk/test", "");
    assert_eq!((status, &tested["sent"], &tested["answer"]), (200, &Value::Bool(true), &Value::from("ok")), "{tested}");
    told.recv_timeout(PATIENCE).expect("the test");

    send(&running, "clock", "tick one");
    let alert = loop {
        let notice = told.recv_timeout(PATIENCE).expect("somebody is told");
        if notice.to_string().contains("A source has gone quiet") && notice.to_string().contains("http:clock") {
            break notice;
        }
    };
    assert!(!alert.to_string().contains("whsec_"), "{alert}");
    let alerts = || running.api("GET", "/api/v1/alerts?rule=vedette.quiet-source&entity=http:clock", "").1;
    assert_eq!(alerts()["alerts"][0]["count"], 1);
    let clock = || {
        let sources = running.api("GET", "/api/v1/sources", "").1;
        let mut all = sources["sources"].as_array().expect("a list").clone().into_iter();
        all.find(|source| source["name"] == "http:clock").expect("the source")
    };
    assert!(clock()["quiet_since"].is_string());
    let (_, health) = running.api("GET", "/api/v1/health/detail", "");
    assert!(health.to_string().contains(" gone quiet;"), "{health}");

    // An exception keeps the next silence from the inbox; it stays an event, and is counted.
    let condition = r#"[{"field":"vedette.source.name","value":"http:clock"}]"#;
    let preview = format!(r#"{{"rule_id":"vedette.quiet-source","conditions":{condition}}}"#);
    let (status, preview) = running.api("POST", "/api/v1/exceptions/preview", &preview);
    assert_eq!((status, &preview["findings"], &preview["alerts"]), (200, &1.into(), &1.into()));
    let wanting = format!(r#"{{"rule_id":"vedette.quiet-source","conditions":{condition},"reason":" "}}"#);
    assert_eq!(running.api("POST", "/api/v1/exceptions", &wanting).0, 422);
    let new =
        format!(r#"{{"rule_id":"vedette.quiet-source","conditions":{condition},"reason":"it only ticks when asked"}}"#);
    let (status, made) = running.api("POST", "/api/v1/exceptions", &new);
    assert_eq!((status, &made["active"]), (200, &Value::Bool(true)), "{made}");

    send(&running, "clock", "tick two");
    running.wait_for_at_least("event.action:source.resumed", 1);
    wait_until("the second silence is hidden", || {
        running.api("GET", "/api/v1/exceptions", "").1["exceptions"][0]["hidden"] == 1
    });
    assert_eq!(alerts()["alerts"][0]["count"], 1);
    running.wait_for_at_least("rule.id:vedette.quiet-source \"http:clock\"", 2);
    running.wait_for_at_least("event.action:exception.make", 1);
    let id = made["id"].as_i64().expect("a number");
    assert_eq!(running.api("DELETE", &format!("/api/v1/exceptions/{id}"), "").0, 200);
    assert_eq!(running.api("DELETE", &format!("/api/v1/exceptions/{id}"), "").0, 404);

    // Everything that was offered is accounted for.
    let (_, status) = running.api("GET", "/api/v1/notifications", "");
    let total = &status["total"];
    let suppressed: u64 = total["suppressed"].as_object().expect("counts").values().filter_map(Value::as_u64).sum();
    let count = |name: &str| total[name].as_u64().expect("a count");
    assert_eq!(count("offered"), count("sent") + suppressed + count("queued") + count("dead"), "{total}");
    assert!(count("sent") >= 1);
    assert!(running.stop().success());
    // What was learnt is kept.
    assert!(folder.path().join("data/rhythms.json").exists());
}
