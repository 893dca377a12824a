//! Real clients deliver 10,000 records each; every one is found, none twice.

use std::{collections::HashSet, fmt::Write as _, fs, path::Path, process::Command};

use crate::harness::{Client, OTHERS, RECEIVERS, Running, folder, root};

pub const RECORDS: usize = 10_000;

/// Lines that name themselves: `vedette-<tag>-00042`.
pub fn lines(tag: &str) -> String {
    (0..RECORDS).fold(String::new(), |mut text, n| {
        writeln!(text, "vedette-{tag}-{n:05} something happened").expect("a string takes every write");
        text
    })
}

/// Waits for all records of a tag, then checks that each is there exactly once.
pub fn all_once(running: &Running, tag: &str) {
    let filter = format!("vedette-{tag}-* {OTHERS}");
    running.wait_for_count(&filter, RECORDS as u64);
    let mut seen = HashSet::new();
    for event in running.hunt(&filter) {
        let original = event["event.original"].as_str().expect("text").to_owned();
        let at = original.find(&format!("vedette-{tag}-")).expect("the tag");
        assert!(seen.insert(original[at..][..tag.len() + 14].to_owned()), "twice: {original}");
    }
    assert_eq!(seen.len(), RECORDS);
}

pub fn rsyslog(folder: &Path, modules: &str, action: &str, tag: &str) -> Client {
    let input = folder.join("input.log");
    fs::write(&input, lines(tag)).expect("writable");
    let work = folder.join("work");
    fs::create_dir(&work).expect("writable");
    let config = format!(
        r#"
global(workDirectory="{work}" net.enableDNS="off")
module(load="imfile" PollingInterval="1")
{modules}
input(type="imfile" File="{input}" Tag="app:" Severity="info" Facility="local0")
{action}
"#,
        work = work.display(),
        input = input.display()
    );
    let file = folder.join("rsyslog.conf");
    fs::write(&file, config).expect("writable");
    Client::start(
        Command::new("/usr/sbin/rsyslogd").arg("-n").arg("-f").arg(&file).arg("-i").arg(folder.join("rsyslog.pid")),
    )
}

#[test]
fn rsyslog_over_udp_and_tcp() {
    for protocol in ["udp", "tcp"] {
        let folder = folder();
        let running = Running::start(folder.path(), RECEIVERS);
        let address = running.address(&format!("syslog-{protocol}"));
        // UDP has no flow control: the sender is asked to pause, as its manual advises.
        let pause = if protocol == "udp" { r#"UDP.SendDelay="20""# } else { "" };
        let action = format!(
            r#"action(type="omfwd" Target="127.0.0.1" Port="{}" Protocol="{protocol}" {pause} template="RSYSLOG_SyslogProtocol23Format")"#,
            address.port()
        );
        let client = rsyslog(folder.path(), "", &action, protocol);
        all_once(&running, protocol);
        drop(client);
        assert!(running.stop().success());
    }
}

#[test]
fn rsyslog_over_tls() {
    let folder = folder();
    let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let (certificate, private) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    fs::write(&certificate, key.cert.pem()).expect("writable");
    fs::write(&private, key.signing_key.serialize_pem()).expect("writable");
    let config = format!("{RECEIVERS}\n",).replace(
        "  http:",
        &format!(
            "    - {{transport: tls, listen: \"127.0.0.1:0\", certificate: {}, key: {}}}\n  http:",
            certificate.display(),
            private.display()
        ),
    );
    let running = Running::start(folder.path(), &config);
    let action = format!(
        r#"
global(defaultNetstreamDriverCAFile="{}")
action(type="omfwd" Target="127.0.0.1" Port="{}" Protocol="tcp" TCP_Framing="octet-counted" StreamDriver="gtls" StreamDriverMode="1" StreamDriverAuthMode="x509/certvalid" template="RSYSLOG_SyslogProtocol23Format")"#,
        certificate.display(),
        running.address("syslog-tls").port()
    );
    let client = rsyslog(folder.path(), "", &action, "tls");
    all_once(&running, "tls");
    drop(client);
}

#[test]
fn rsyslog_as_elasticsearch_client() {
    let folder = folder();
    let running = Running::start(folder.path(), RECEIVERS);
    let modules = r#"module(load="omelasticsearch")
template(name="doc" type="list" option.jsonf="on") {
  property(outname="@timestamp" name="timereported" dateFormat="rfc3339" format="jsonf")
  property(outname="host.name" name="hostname" format="jsonf")
  property(outname="message" name="msg" format="jsonf")
}"#;
    let action = format!(
        r#"action(type="omelasticsearch" server="127.0.0.1" serverport="{}" template="doc" searchIndex="logs" searchType="" bulkmode="on" queue.type="linkedlist" action.resumeretrycount="-1")"#,
        running.address("http").port()
    );
    let client = rsyslog(folder.path(), modules, &action, "oes");
    all_once(&running, "oes");
    drop(client);
}

#[test]
fn syslog_ng() {
    let folder = folder();
    let running = Running::start(folder.path(), RECEIVERS);
    let home = root().join("target/clients/syslog-ng");
    let input = folder.path().join("input.log");
    fs::write(&input, lines("sng")).expect("writable");
    let config = folder.path().join("syslog-ng.conf");
    fs::write(
        &config,
        format!(
            r#"@version: 3.38
options {{ stats_freq(0); time_reopen(1); }};
source s {{ file("{}" flags(no-parse) follow_freq(0.2)); }};
destination d {{ syslog("127.0.0.1" transport("tcp") port({})); }};
log {{ source(s); destination(d); flags(flow-control); }};
"#,
            input.display(),
            running.address("syslog-tcp").port()
        ),
    )
    .expect("writable");
    let state = folder.path().join("state");
    fs::create_dir(&state).expect("writable");
    let client = Client::start(
        Command::new(home.join("usr/sbin/syslog-ng"))
            .env("LD_LIBRARY_PATH", home.join("usr/lib/syslog-ng"))
            .arg("-F")
            .arg("--no-caps")
            .arg("-f")
            .arg(&config)
            .arg(format!("--module-path={}", home.join("usr/lib/syslog-ng/3.38").display()))
            .arg("-R")
            .arg(state.join("persist"))
            .arg("-p")
            .arg(state.join("pid"))
            .arg("-c")
            .arg(state.join("ctl")),
    );
    all_once(&running, "sng");
    drop(client);
}

#[test]
fn logger_over_tcp() {
    let folder = folder();
    let running = Running::start(folder.path(), RECEIVERS);
    let input = folder.path().join("input.log");
    fs::write(&input, lines("logger")).expect("writable");
    let port = running.address("syslog-tcp").port().to_string();
    let status = Command::new("logger")
        .args(["--server", "127.0.0.1", "--port", &port, "--tcp", "--octet-count", "--tag", "app", "--file"])
        .arg(&input)
        .status()
        .expect("logger runs");
    assert!(status.success());
    all_once(&running, "logger");
}

#[test]
fn python_elasticsearch() {
    let folder = folder();
    let running = Running::start(folder.path(), RECEIVERS);
    let code = r#"
import sys
from elasticsearch import Elasticsearch, helpers
es = Elasticsearch(f"http://127.0.0.1:{sys.argv[1]}")
docs = ({"_op_type": "create", "_index": "logs", "@timestamp": "2026-11-21T04:11:52Z", "message": f"vedette-py-{n:05} something happened"} for n in range(int(sys.argv[2])))
stored, errors = helpers.bulk(es, docs, chunk_size=500)
assert stored == int(sys.argv[2]) and not errors, (stored, errors)
"#;
    let status = Command::new(root().join("target/test-venv/bin/python"))
        .args(["-c", code, &running.address("http").port().to_string(), &RECORDS.to_string()])
        .status()
        .expect("`scripts/needs test` made the Python environment");
    assert!(status.success());
    all_once(&running, "py");
}

#[test]
fn a_file_rotated_by_logrotate() {
    let folder = folder();
    let log = folder.path().join("app.log");
    fs::write(&log, "").expect("writable");
    let config = format!("{RECEIVERS}  files:\n    - paths: [\"{}\"]\n", log.display());
    let running = Running::start(folder.path(), &config);
    let rotate = folder.path().join("rotate.conf");
    fs::write(
        &rotate,
        format!("\"{}\" {{\n  size 1\n  rotate 20\n  create\n  nocompress\n  su root root\n}}\n", log.display()),
    )
    .expect("writable");
    use std::io::Write as _;
    for (round, chunk) in lines("rot").lines().collect::<Vec<_>>().chunks(RECORDS / 10).enumerate() {
        let mut file = fs::File::options().append(true).create(true).open(&log).expect("writable");
        for line in chunk {
            writeln!(file, "{line}").expect("writable");
        }
        drop(file);
        // Rotating faster than the follower looks is not what logrotate is for.
        running.wait_for_count(&format!("vedette-rot-* {OTHERS}"), ((round + 1) * (RECORDS / 10)) as u64);
        if round % 2 == 0 {
            let status = Command::new("/usr/sbin/logrotate")
                .arg("-s")
                .arg(folder.path().join("rotate.state"))
                .arg(&rotate)
                .status()
                .expect("logrotate runs");
            assert!(status.success());
        }
    }
    all_once(&running, "rot");
}
