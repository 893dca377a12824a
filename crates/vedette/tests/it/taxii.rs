//! Indicators from OASIS' own TAXII server.

use std::{
    fs,
    io::Write,
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};

use crate::harness::{RECEIVERS, Running, folder, http, root, wait_until};

const COLLECTION: &str = "91a7b528-80eb-42ed-a74d-c6fbd5a26116";
const ROOT: &str = "/trustgroup1/";

struct Medallion(Child);

impl Drop for Medallion {
    fn drop(&mut self) {
        self.0.kill().expect("it runs");
        self.0.wait().expect("it ends");
    }
}

fn indicator(number: usize) -> Value {
    json!({
        "type": "indicator", "spec_version": "2.1", "id": format!("indicator--00000000-0000-4000-8000-{number:012}"),
        "created": "2026-11-01T00:00:00.000Z", "modified": "2026-11-01T00:00:00.000Z", "name": format!("beacon {number}"),
        "pattern": format!("[ipv4-addr:value = '198.51.100.{number}']"), "pattern_type": "stix",
        "valid_from": "2026-11-01T00:00:00.000Z", "indicator_types": ["malicious-activity"],
    })
}

/// A server with five indicators, of which it gives two at once.
fn serve(folder: &Path) -> (Medallion, String) {
    let objects: Vec<Value> = (1..=5).map(indicator).collect();
    let manifest: Vec<Value> = (1..=5)
        .map(|number| {
            json!({
                "id": indicator(number)["id"], "date_added": format!("2026-11-02T00:00:0{number}.000000Z"),
                "version": "2026-11-01T00:00:00.000Z", "media_type": "application/stix+json;version=2.1",
            })
        })
        .collect();
    let data = json!({
        "/discovery": {"title": "Test", "default": ROOT, "api_roots": [ROOT]},
        "trustgroup1": {
            "information": {"title": "Root", "versions": ["application/taxii+json;version=2.1"], "max_content_length": 9_765_625},
            "status": [],
            "collections": [{
                "id": COLLECTION, "title": "Beacons", "can_read": true, "can_write": true,
                "media_types": ["application/stix+json;version=2.1"], "manifest": manifest, "objects": objects,
            }],
        },
    });
    let (data_file, config_file) = (folder.join("taxii_data.json"), folder.join("taxii.json"));
    fs::write(&data_file, data.to_string()).expect("writable");
    let config = json!({
        "users": {"vedette": "not a secret"}, "taxii": {"max_page_size": 2},
        "backend": {
            "module": "medallion.backends.memory_backend", "module_class": "MemoryBackend", "filename": data_file,
        },
    });
    fs::write(&config_file, config.to_string()).expect("writable");
    let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port();
    let server = Command::new(root().join("target/test-venv/bin/medallion"))
        .args(["--host", "127.0.0.1", "--port", &port.to_string()])
        .arg(&config_file)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("medallion is installed by `make test`");
    let server = Medallion(server);
    wait_until("medallion listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    (server, format!("127.0.0.1:{port}"))
}

fn add(address: &str, number: usize) {
    let body = json!({"objects": [indicator(number), indicator(number + 1)]}).to_string();
    let request = format!(
        "POST {ROOT}collections/{COLLECTION}/objects/ HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Authorization: Basic dmVkZXR0ZTpub3QgYSBzZWNyZXQ=\r\nAccept: application/taxii+json;version=2.1\r\n\
         Content-Type: application/taxii+json;version=2.1\r\nContent-Length: {}\r\n\r\n{body}",
        body.len(),
    );
    let (status, answer) = http(address.parse().expect("an address"), request.as_bytes()).expect("it answers");
    assert_eq!(status, 202, "{answer}");
}

fn send(running: &Running, address: &str) {
    let mut stream = TcpStream::connect(running.address("syslog-tcp")).expect("it listens");
    writeln!(stream, "<38>Nov 21 04:11:52 web1 sshd[811]: Accepted publickey for ada from {address} port 4711 ssh2")
        .expect("sent");
}

fn status(running: &Running) -> Value {
    running.api("GET", "/api/v1/indicators", "").1
}

#[test]
fn indicators_are_fetched_once_and_only_new_ones_again() {
    let folder = folder();
    let (_server, address) = serve(folder.path());
    let config = |password: &str| {
        format!(
            "{RECEIVERS}\ndetection:\n  indicators:\n    taxii:\n      - {{name: beacons, url: 'http://{address}/taxii2/', \
             collection: Beacons, page: 2, user: vedette, password: {password}}}\n"
        )
    };
    let running = Running::start(folder.path(), &config("'not a secret'"));
    wait_until("all pages are fetched", || status(&running)["indicators"] == 5);
    let told = status(&running);
    assert!(told["servers"][0]["last"].is_string() && told["servers"][0]["failure"].is_null(), "{told}");
    assert!(told["feeds"].as_array().is_some_and(|feeds| feeds.iter().all(|feed| feed["name"] == "beacons")), "{told}");
    send(&running, "198.51.100.5");
    let found = "event.dataset:vedette.findings rule.id:\"indicator:beacons\"";
    running.wait_for_count(found, 1);
    let known = running.api("GET", "/api/v1/indicators/find?value=198[.]51.100.5", "").1;
    let known = &known["indicators"][0];
    assert_eq!(
        (&known["feed"], &known["name"], &known["sightings"]),
        (&json!("beacons"), &json!("beacon 5"), &json!(1))
    );
    assert!(known["last_seen"].as_str().is_some_and(|time| time.starts_with("2026-11-21T04:11:52")), "{known}");

    // What is new is fetched by the next poll, and nothing else.
    let taken = |told: &Value| -> u64 {
        told["feeds"].as_array().expect("files").iter().filter_map(|file| file["taken"].as_u64()).sum()
    };
    assert_eq!(taken(&told), 5);
    add(&address, 77);
    running.stop();
    let running = Running::start(folder.path(), &config("'not a secret'"));
    wait_until("the new ones are fetched", || status(&running)["indicators"] == 7);
    assert_eq!(taken(&status(&running)), 5 + 2);
    running.stop();

    // Without access it says so, and what was fetched stays in force.
    let running = Running::start(folder.path(), &config("wrong"));
    wait_until("the refusal is shown", || status(&running)["servers"][0]["failure"].is_string());
    let told = status(&running);
    assert!(told["servers"][0]["failure"].as_str().is_some_and(|why| why.contains("credentials")), "{told}");
    assert_eq!(told["indicators"], 7);
    running.wait_for_at_least("event.action:indicators.fetch", 3);
}
