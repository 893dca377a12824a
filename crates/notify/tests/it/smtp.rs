//! Mail, to a real server in Python.

use std::{
    io::{BufRead as _, BufReader},
    process::Stdio,
    sync::mpsc,
};

use serde_json::Value;
use vedette_notify::Happened;

use crate::support::{Certificate, PATIENCE, Program, Running, certificate, notice, python, root, until};

struct Server {
    port: u16,
    mails: mpsc::Receiver<String>,
    certificate: Certificate,
    _folder: tempfile::TempDir,
    _program: Program,
}

impl Server {
    fn start(mode: &str) -> Server {
        let folder = tempfile::tempdir().unwrap();
        let certificate = certificate(folder.path());
        let script = root().join("crates/notify/tests/it/smtp_server.py");
        let mut command = python();
        command.arg(script).arg(mode).arg(&certificate.cert).arg(&certificate.key).stdout(Stdio::piped());
        let mut program = Program(command.spawn().unwrap());
        let mut lines = BufReader::new(program.0.stdout.take().unwrap()).lines();
        let port = lines.next().expect("it says its port").unwrap().parse().unwrap();
        let (send, mails) = mpsc::channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        Server { port, mails, certificate, _folder: folder, _program: program }
    }

    fn channel(&self, more: &str) -> String {
        let (port, ca) = (self.port, self.certificate.cert.display());
        format!(
            "retry: {{attempts: 3, first_seconds: 1, longest_seconds: 1, timeout_seconds: 10}}\nchannels: [{{name: mail, smtp: {{host: localhost, port: {port}, ca: \"{ca}\", from: \"Vedette <vedette@example.org>\", {more}}}}}]\nroutes: [{{name: all, channels: [mail]}}]"
        )
    }

    fn mail(&self) -> Value {
        serde_json::from_str(&self.mails.recv_timeout(PATIENCE).expect("a mail")).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn starttls_and_a_login() {
    let server = Server::start("starttls");
    let login = "to: [soc@example.org, ada@example.org], user: vedette, password: \"hush hush\"";
    let running = Running::start(&server.channel(login));
    let mut evil = notice(1, Happened::Opened);
    evil.rule.title = "x\r\nBcc: victim@example.org\r\n\r\n.\r\nMAIL FROM:<evil@example.org>".into();
    running.offer(&evil);
    let mail = server.mail();
    assert_eq!((&mail["tls"], &mail["user"]), (&Value::Bool(true), &Value::from("vedette")));
    assert_eq!(mail["from"], "vedette@example.org");
    assert_eq!(mail["to"], serde_json::json!(["soc@example.org", "ada@example.org"]));
    let data = mail["data"].as_str().unwrap();
    let (head, body) = data.split_once("\r\n\r\n").unwrap();
    assert!(head.lines().all(|line| !line.starts_with("Bcc")), "{head}");
    assert!(head.contains("Message-ID: <vedette-1-"), "{head}");
    assert!(body.contains("Entity: ip 192.0.2.7") && !body.contains("\r\nBcc"), "{body}");
    assert_eq!(running.settled().await.sent, 1);
    let tested = running.notifier.send_test("mail").await.unwrap();
    assert!(tested.is_sent);
    assert_eq!((tested.status, tested.answer.as_str()), (Some(250), "2.0.0 queued as 4711"));
    assert!(server.mail()["data"].as_str().unwrap().contains("Vedette test notification"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_and_an_unknown_authority() {
    let server = Server::start("starttls");
    let wrong = "to: [soc@example.org], user: vedette, password: \"hush wrong\"";
    let running = Running::start(&server.channel(wrong));
    let tested = running.notifier.send_test("mail").await.unwrap();
    assert_eq!((tested.is_sent, tested.status), (false, Some(535)));
    assert!(!format!("{tested:?}").contains("hush"), "{tested:?}");
    let no_login = Running::start(&server.channel("to: [soc@example.org]"));
    let tested = no_login.notifier.send_test("mail").await.unwrap();
    assert_eq!((tested.is_sent, tested.status), (false, Some(530)), "{tested:?}");
    let text = server.channel(wrong).replace(&format!("ca: \"{}\", ", server.certificate.cert.display()), "");
    let untrusting = Running::start(&text);
    let error = untrusting.notifier.send_test("mail").await.unwrap().error.unwrap();
    assert!(error.contains("UnknownIssuer"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_starttls_gets_nothing() {
    let server = Server::start("plain");
    let running = Running::start(&server.channel("to: [soc@example.org]"));
    let error = running.notifier.send_test("mail").await.unwrap().error.unwrap();
    assert!(error.to_lowercase().contains("starttls"), "{error}");
    assert!(server.mails.try_recv().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_from_the_start_and_put_off_mails() {
    let server = Server::start("tls");
    let running = Running::start(&server.channel("tls: tls, to: [busy@example.org]"));
    running.offer(&notice(1, Happened::Opened));
    let mail = server.mail();
    assert_eq!((&mail["tls"], &mail["to"]), (&Value::Bool(true), &serde_json::json!(["busy@example.org"])));
    let total = running.settled().await;
    assert_eq!(total.sent, 1);
    assert!(running.notifier.status().unwrap().channels[0].last_failure.is_some(), "it was put off once");
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_on_loopback_and_a_refused_recipient() {
    let server = Server::start("plain");
    let running = Running::start(&server.channel("tls: none, to: [gone@example.org]"));
    running.offer(&notice(1, Happened::Opened));
    until("it is refused", || running.total().dead == 1).await;
    let letter = running.notifier.dead_letters(1).unwrap().remove(0);
    assert_eq!(letter.attempts, 1);
    assert!(letter.error.contains("550") && letter.error.contains("no such user"), "{}", letter.error);
}
