//! Real receivers from Debian: Alertmanager and rsyslog.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;
use vedette_event::Level;
use vedette_notify::{About, Happened};

use crate::support::{Program, Running, certificate, free_port, notice, now, root, until};

fn quiet(command: &mut Command) -> Program {
    Program(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
}

fn get(url: &str) -> Option<Value> {
    let output = Command::new("curl").args(["-sf", "--max-time", "5", url]).output().unwrap();
    serde_json::from_slice(&output.stdout).ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn alertmanager_fires_and_resolves() {
    let home = root().join("target/clients/alertmanager");
    assert!(home.exists(), "there is no {}: `scripts/needs test` unpacks it", home.display());
    let permitted = Command::new("unshare").args(["--map-root-user", "--mount", "true"]).output().unwrap();
    if !permitted.status.success() {
        println!("skipped: no mount namespaces here: {}", String::from_utf8_lossy(&permitted.stderr));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("alertmanager.yml");
    std::fs::write(&settings, "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n").unwrap();
    let port = free_port();
    let _manager = quiet(
        // Debian's looks for its templates at a fixed place: in a mount namespace of its own, that is the unpacked one.
        Command::new("unshare")
            .args(["--map-root-user", "--mount", "sh", "-c"])
            .arg(r#"mount --bind "$0/usr/share" /usr/share && exec "$0/usr/bin/prometheus-alertmanager" "$@""#)
            .arg(home)
            .arg(format!("--config.file={}", settings.display()))
            .arg(format!("--storage.path={}", folder.path().display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--cluster.listen-address="),
    );
    let url = format!("http://127.0.0.1:{port}");
    let alerts = || get(&format!("{url}/api/v2/alerts"));
    until("Alertmanager answers", || alerts().is_some()).await;
    let running = Running::start(&format!(
        "console: https://vedette.example:8443\nchannels: [{{name: am, alertmanager: {{url: \"{url}\", labels: {{team: soc}}}}}}]\nroutes: [{{name: all, channels: [am], on: [opened, grew, acknowledged, closed, reopened]}}]"
    ));
    let at = |what| {
        let mut notice = notice(7, what);
        (notice.opened, notice.time) = (now().plus_micros(-5_000_000), now());
        notice.rule.title = "hostile \"title\" \n\u{202e}{{ .Labels }}".into();
        notice
    };
    let opened = at(Happened::Opened);
    running.offer(&opened);
    running.settled().await;
    let firing = alerts().unwrap();
    assert_eq!(firing.as_array().unwrap().len(), 1);
    let labels = &firing[0]["labels"];
    assert_eq!(
        (&labels["alert_id"], &labels["severity"], &labels["team"]),
        (&"7".into(), &"high".into(), &"soc".into())
    );
    assert_eq!(firing[0]["generatorURL"], "https://vedette.example:8443/alerts/7");
    assert_eq!(firing[0]["status"]["state"], "active");
    let ends: vedette_event::Time = firing[0]["endsAt"].as_str().unwrap().parse().unwrap();
    assert!(ends.secs() > now().secs() + 6 * 86_400, "it does not forget it in five minutes");

    let same = |what| vedette_notify::Notice { opened: opened.opened, ..at(what) };
    running.offer(&same(Happened::Acknowledged));
    running.offer(&same(Happened::Grew));
    running.settled().await;
    assert_eq!(alerts().unwrap().as_array().unwrap().len(), 1, "the same alert");
    running.offer(&same(Happened::Closed));
    let total = running.settled().await;
    until("it is resolved", || alerts().unwrap().as_array().unwrap().is_empty()).await;
    assert_eq!((total.offered, total.sent), (4, 3));
    assert_eq!(total.suppressed, [(vedette_notify::Reason::NotCarried, 1)].into());
    // An incident that gets worse: the level is a label, and yet one fires at a time, and none in the end.
    let incident = |what, level| {
        let mut notice = vedette_notify::Notice { subject: About::Incident.numbered(7), ..same(what) };
        notice.rule.level = level;
        notice
    };
    for (what, level) in [(Happened::Opened, Level::Medium), (Happened::Grew, Level::High)] {
        running.offer(&incident(what, level));
        running.settled().await;
        let shown = || {
            let firing = alerts().unwrap();
            let all = firing.as_array().unwrap().iter();
            all.map(|alert| alert["labels"]["severity"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        until("one fires", || shown() == [level.as_str()]).await;
    }
    assert_eq!(alerts().unwrap()[0]["labels"]["incident_id"], "7");
    running.offer(&incident(Happened::Closed, Level::High));
    running.settled().await;
    until("it is resolved", || alerts().unwrap().as_array().unwrap().is_empty()).await;
    let tested = running.notifier.send_test("am").await.unwrap();
    assert_eq!((tested.is_sent, tested.status), (true, Some(200)));
    assert_eq!(alerts().unwrap()[0]["labels"]["alertname"], "Vedette test notification");
}

#[tokio::test(flavor = "multi_thread")]
async fn rsyslog_takes_cef_and_text_over_every_transport() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = certificate(folder.path());
    let [udp, tcp, tls] = [free_port(), free_port(), free_port()];
    let out = folder.path().join("out");
    let (shown, cert, key) = (out.display(), certificate.cert.display(), certificate.key.display());
    let settings = folder.path().join("rsyslog.conf");
    std::fs::write(
        &settings,
        format!(
            r#"global(DefaultNetstreamDriverCAFile="{cert}" DefaultNetstreamDriverCertFile="{cert}" DefaultNetstreamDriverKeyFile="{key}" workDirectory="{work}")
module(load="imudp")
module(load="imtcp")
template(name="all" type="string" string="%inputname%|%pri%|%timestamp:::date-rfc3339%|%hostname%|%app-name%|%msgid%|%msg%\n")
input(type="imudp" address="127.0.0.1" port="{udp}" name="udp" ruleset="all")
input(type="imtcp" address="127.0.0.1" port="{tcp}" name="tcp" ruleset="all")
input(type="imtcp" address="127.0.0.1" port="{tls}" name="tls" ruleset="all" streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="anon")
ruleset(name="all") {{ action(type="omfile" file="{shown}" template="all" asyncWriting="off") }}
"#,
            work = folder.path().display()
        ),
    )
    .unwrap();
    let _rsyslog = quiet(
        Command::new("/usr/sbin/rsyslogd").arg("-n").arg("-f").arg(&settings).arg("-i").arg(folder.path().join("pid")),
    );
    until("rsyslog listens", || std::net::TcpStream::connect(("127.0.0.1", tls)).is_ok()).await;
    let channel = |name: &str, transport: &str, port: u16, more: &str| {
        format!(
            "{{name: {name}, syslog: {{address: \"localhost:{port}\", transport: {transport}, hostname: monitor{more}}}}}"
        )
    };
    let running = Running::start(&format!(
        "channels: [{}, {}, {}]\nroutes: [{{name: all, channels: [u, t, s]}}]",
        channel("u", "udp", udp, ", format: text"),
        channel("t", "tcp", tcp, ""),
        channel("s", "tls", tls, &format!(", ca: \"{cert}\", format: cef, facility: local3")),
    ));
    for alert in 1..=20 {
        let mut notice = notice(alert, Happened::Opened);
        notice.entity.value = format!("a|b=c\\d\n<13>1 - - forged {alert}");
        running.offer(&notice);
    }
    let total = running.settled().await;
    assert_eq!((total.sent, total.dead), (60, 0));
    until("all lines are there", || lines(&out).len() >= 60).await;
    let lines = lines(&out);
    assert_eq!(lines.len(), 60, "{lines:#?}");
    let of = |input: &str| lines.iter().filter(|line| line.starts_with(input)).collect::<Vec<_>>();
    for (input, priority) in [("udp", 107), ("tcp", 107), ("tls", 155)] {
        let lines = of(input);
        assert_eq!(lines.len(), 20);
        for line in lines {
            let start = format!("{input}|{priority}|2026-11-21T");
            assert!(line.starts_with(&start) && line.contains("|monitor|vedette|alert|"), "{line}");
        }
    }
    assert!(of("udp")[0].ends_with("[HIGH] SSH brute force: a|b=c\\d <13>1 - - forged 1"), "{}", of("udp")[0]);
    let cef = of("tcp")[0];
    assert!(cef.contains("|CEF:0|Vedette|Vedette|"), "{cef}");
    assert!(cef.contains("cs1=ip:a|b\\=c\\\\d\\n<13>1 - - forged 1 cs1Label=entity"), "{cef}");
}

fn lines(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_resets_has_nothing() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // With unread bytes, or without any linger, closing resets.
            stream.set_zero_linger().unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            drop(stream);
        }
    });
    let running = Running::start(&format!("channels: [{{name: log, syslog: {{address: \"127.0.0.1:{port}\"}}}}]"));
    let tested = running.notifier.send_test("log").await.unwrap();
    assert!(!tested.is_sent, "{tested:?}");
    assert!(tested.error.unwrap().contains("the connection was lost"));
}
