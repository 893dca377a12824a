//! The field's shippers deliver 10,000 records each; every one is found, none twice.

use std::{collections::HashSet, fs, net::SocketAddr, process::Command};

use crate::{
    clients::{RECORDS, all_once, rsyslog},
    harness::{OTHERS, RECEIVERS, Running, folder, must, root, wait_until},
};

fn python(client: &str, address: SocketAddr, tag: &str) {
    let mut command = Command::new(root().join("target/test-venv/bin/python"));
    command.arg(root().join("tests/clients/shippers.py"));
    ship(&mut command, client, address, tag);
}

fn node(client: &str, address: SocketAddr, tag: &str) {
    let mut command = Command::new("node");
    command.arg(root().join("tests/clients/shippers.mjs")).env("NODE_CLIENTS", root().join("target/test-node"));
    ship(&mut command, client, address, tag);
}

fn ship(command: &mut Command, client: &str, address: SocketAddr, tag: &str) {
    let (host, port) = (address.ip().to_string(), address.port().to_string());
    must(&command.args([client, &host, &port, tag, &RECORDS.to_string()]).output().expect("the client starts"));
}

#[test]
fn opentelemetry_over_grpc_and_http() {
    let folder = folder();
    let running = Running::start(folder.path(), RECEIVERS);
    python("otlp_grpc", running.address("otlp-grpc"), "grpc-plain");
    python("otlp_grpc", running.address("otlp-grpc"), "grpc-gzip");
    python("otlp_http", running.address("http"), "otlp-http");
    node("pino_otlp", running.address("http"), "otlp-pino");
    for tag in ["grpc-plain", "grpc-gzip", "otlp-http", "otlp-pino"] {
        all_once(&running, tag);
    }
    // Attributes are fields by their own names.
    running.wait_for_count("service.name:shippers host.name:web1 vedette-grpc-plain-00042", 1);
}

#[test]
fn splunk_clients() {
    let folder = folder();
    let running = Running::start(folder.path(), RECEIVERS);
    python("splunk", running.address("http"), "splunk-py");
    node("winston_splunk", running.address("http"), "splunk-node");
    for tag in ["splunk-py", "splunk-node"] {
        all_once(&running, tag);
    }
}

#[test]
fn loki_clients() {
    let folder = folder();
    let running = Running::start(folder.path(), RECEIVERS);
    python("loki", running.address("http"), "loki-py");
    node("winston_loki", running.address("http"), "loki-winston");
    node("pino_loki", running.address("http"), "loki-pino");
    for tag in ["loki-py", "loki-winston", "loki-pino"] {
        all_once(&running, tag);
    }
    running.wait_for_count("loki.stream.app:shippers vedette-loki-py-00042", 1);
}

#[test]
fn gelf_clients() {
    let folder = folder();
    let running = Running::start(folder.path(), RECEIVERS);
    python("pygelf_udp", running.address("gelf-udp"), "gelf-udp");
    python("graypy_udp", running.address("gelf-udp"), "gelf-chunks");
    python("pygelf_tcp", running.address("gelf-tcp"), "gelf-tcp");
    python("pygelf_http", running.address("http"), "gelf-http");
    node("gelf_pro", running.address("gelf-tcp"), "gelf-node");
    for tag in ["gelf-udp", "gelf-chunks", "gelf-tcp", "gelf-http", "gelf-node"] {
        all_once(&running, tag);
    }
}

#[test]
fn fluent_and_logstash_clients() {
    let folder = folder();
    let running = Running::start(folder.path(), RECEIVERS);
    python("fluent", running.address("fluent"), "fluent-py");
    node("fluent", running.address("fluent"), "fluent-node");
    python("logstash", running.address("lumberjack"), "lumberjack");
    for tag in ["fluent-py", "fluent-node", "lumberjack"] {
        all_once(&running, tag);
    }
}

#[test]
fn rsyslog_over_relp() {
    let folder = folder();
    let running = Running::start(folder.path(), RECEIVERS);
    let action = format!(
        r#"action(type="omrelp" target="127.0.0.1" port="{}" template="RSYSLOG_SyslogProtocol23Format")"#,
        running.address("relp").port()
    );
    let client = rsyslog(folder.path(), r#"module(load="omrelp")"#, &action, "relp");
    all_once(&running, "relp");
    drop(client);
    assert!(running.stop().success());
}

#[test]
fn rsyslog_over_relp_with_tls() {
    let folder = folder();
    let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let (certificate, private) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    fs::write(&certificate, key.cert.pem()).expect("writable");
    fs::write(&private, key.signing_key.serialize_pem()).expect("writable");
    let with_tls = format!(
        "  relp: [{{listen: \"127.0.0.1:0\", certificate: {}, key: {}}}]",
        certificate.display(),
        private.display()
    );
    let config = RECEIVERS.replace("  relp: [{listen: \"127.0.0.1:0\"}]", &with_tls);
    let running = Running::start(folder.path(), &config);
    let action = format!(
        r#"action(type="omrelp" target="127.0.0.1" port="{}" tls="on" tls.cacert="{}" tls.authmode="certvalid" template="RSYSLOG_SyslogProtocol23Format")"#,
        running.address("relp").port(),
        certificate.display()
    );
    let client = rsyslog(folder.path(), r#"module(load="omrelp" tls.tlslib="openssl")"#, &action, "relp-tls");
    all_once(&running, "relp-tls");
    drop(client);
}

/// What RELP is for: the server dies, and nothing is lost.
#[test]
fn relp_survives_kill_9() {
    let folder = folder();
    let port =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
    let config = RECEIVERS
        .replace("  relp: [{listen: \"127.0.0.1:0\"}]", &format!("  relp: [{{listen: \"127.0.0.1:{port}\"}}]"));
    let running = Running::start(folder.path(), &config);
    let action = format!(
        r#"action(type="omrelp" target="127.0.0.1" port="{port}" action.resumeRetryCount="-1" action.resumeInterval="1" queue.type="LinkedList" queue.size="20000" template="RSYSLOG_SyslogProtocol23Format")"#
    );
    let client = rsyslog(folder.path(), r#"module(load="omrelp")"#, &action, "relp-kill");
    running.wait_for_at_least("vedette-relp-kill-*", 1);
    running.kill();
    let running = Running::start(folder.path(), &config);
    // What was stored and not yet answered comes again: nothing is missing, and few are doubled.
    running.wait_for_at_least("vedette-relp-kill-*", RECORDS as u64);
    let names = || -> HashSet<String> {
        let original = |event: serde_json::Value| event["event.original"].as_str().expect("text").to_owned();
        let name = |text: String| text[text.find("vedette-relp-kill-").expect("the tag")..][..23].to_owned();
        running.hunt(&format!("vedette-relp-kill-* {OTHERS}")).into_iter().map(original).map(name).collect()
    };
    wait_until("records are missing", || names().len() == RECORDS);
    drop(client);
}
