//! A client that `openapi-python-client` generates from the API's own description, against the running binary.

use std::{fs, io::Write, net::TcpStream, process::Command};

use crate::harness::{RECEIVERS, Running, folder, root, stdout};

/// Everything by generated functions: no path, no field name is written by hand but Python's.
const CODE: &str = r#"
import ssl, sys
sys.path.insert(0, sys.argv[1])
from vedette_client import AuthenticatedClient, Client
from vedette_client.api.alerts import close_alert, get_alert, list_alerts
from vedette_client.api.events import search
from vedette_client.api.health import health, health_detail
from vedette_client.api.sources import list_sources
from vedette_client.models import AlertState, Answer, Close, HealthDetail, Language, Level, Problem, Search, Status, Verdict

url, token, certificate = sys.argv[2:5]
# The server's own certificate, as an administrator would have copied it.
context = ssl.create_default_context(cafile=certificate)
known = AuthenticatedClient(url, token=token, verify_ssl=context, raise_on_unexpected_status=True)
unknown = Client(url, verify_ssl=context, raise_on_unexpected_status=True)

assert health.sync(client=unknown).status == Status.OK
refused = list_sources.sync_detailed(client=unknown)
assert refused.status_code == 401 and isinstance(refused.parsed, Problem), refused
assert refused.parsed.status == 401 and refused.parsed.detail, refused.parsed

detail = health_detail.sync(client=known)
assert isinstance(detail, HealthDetail) and detail.version, detail
assert {check.name: check.status for check in detail.checks}["spool"] == Status.OK, detail

sources = {source.name: source for source in list_sources.sync(client=known).sources}
syslog = sources["syslog-tcp:127.0.0.1"]
assert (syslog.received, syslog.stored, syslog.refused.to_dict(), syslog.shed.to_dict()) == (1, 1, {}, {}), syslog

found = search.sync(client=known, body=Search(query="event.dataset:linux.sshd"))
assert isinstance(found, Answer), found
(event,) = [row.to_dict() for row in found.rows]
assert event["source.ip"] == "192.0.2.7" and event["user.name"] == "root", event

sql = "select \"source.ip\", count(*) as n from events where \"event.dataset\" = 'linux.sshd' group by 1"
table = search.sync(client=known, body=Search(query=sql, language=Language.SQL, limit=10))
assert table.columns == ["source.ip", "n"] and table.rows[0].to_dict() == {"source.ip": "192.0.2.7", "n": 1}, table

wrong = search.sync(client=known, body=Search(query="| nonsense"))
assert isinstance(wrong, Problem) and wrong.status == 422, wrong
(diagnostic,) = wrong.diagnostics
assert (diagnostic.line, diagnostic.column) == (1, 3) and "nonsense" in diagnostic.message, diagnostic

page = list_alerts.sync(client=known, state="open")
(alert,) = page.alerts
assert page.total == 1 and alert.count == 1 and alert.first.year > 2000, page
assert alert.state == AlertState.NEW and alert.rule.level == Level.MEDIUM, alert
closed = close_alert.sync(alert.id, client=known, body=Close(verdict=Verdict.BENIGN, note="it was us"))
assert (closed.state, closed.verdict, closed.note) == (AlertState.CLOSED, Verdict.BENIGN, "it was us"), closed
again = get_alert.sync(alert.id, client=known)
assert again.state == AlertState.CLOSED and [change.what for change in again.history], again
assert list_alerts.sync(client=known, state="open").total == 0
missing = get_alert.sync(4711, client=known)
assert isinstance(missing, Problem) and missing.status == 404, missing
print("all right")
"#;

#[test]
fn a_generated_python_client_works() {
    let folder = folder();
    let running = Running::start(folder.path(), RECEIVERS);
    let mut stream = TcpStream::connect(running.address("syslog-tcp")).expect("it listens");
    writeln!(stream, "<38>Nov 21 04:11:52 web1 sshd[811]: Accepted password for root from 192.0.2.7 port 4711 ssh2")
        .expect("sent");
    running.wait_for_count("event.dataset:vedette.findings", 1);

    let description = folder.path().join("openapi.json");
    fs::write(&description, running.api("GET", "/api/v1/openapi.json", "").1.to_string()).expect("writable");
    let home = root().join("target/test-venv/bin");
    let path = format!("{}:{}", home.display(), std::env::var("PATH").unwrap_or_default());
    let generated = Command::new(home.join("openapi-python-client"))
        .args(["generate", "--meta", "none", "--fail-on-warning", "--path"])
        .arg(&description)
        .arg("--output-path")
        .arg(folder.path().join("vedette_client"))
        .env("PATH", path)
        .output()
        .expect("`scripts/needs test` made the Python environment");
    let said = stdout(&generated, 0) + &String::from_utf8_lossy(&generated.stderr);
    assert!(!said.to_lowercase().contains("warning"), "{said}");

    let body = r#"{"name":"generated","scopes":["write"]}"#;
    let (status, token) = running.api("POST", "/api/v1/tokens", body);
    assert_eq!(status, 200, "{token}");
    let url = running.lines.iter().find_map(|line| line.strip_prefix("console ")).expect("a console");
    let output = Command::new(home.join("python"))
        .args(["-c", CODE])
        .arg(folder.path())
        .arg(url.trim_end_matches('/'))
        .arg(token["secret"].as_str().expect("a secret"))
        .arg(running.data().join("cert.pem"))
        .output()
        .expect("`scripts/needs test` made the Python environment");
    assert_eq!(stdout(&output, 0), "all right\n");
}
