//! A notifier that is killed between taking a notice and sending it sends it all the same.

use std::{
    collections::{HashMap, HashSet},
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    time::Duration,
};

use tokio_util::sync::CancellationToken;
use vedette_notify::{Happened, Notifier};

use crate::support::{Running, Server, config, notice, now};

const FOLDER: &str = "VEDETTE_NOTIFY_CHILD";
const URL: &str = "VEDETTE_NOTIFY_URL";
const FIRST: &str = "VEDETTE_NOTIFY_FIRST";

fn settings(url: &str) -> String {
    format!(
        "retry: {{first_seconds: 1, longest_seconds: 1}}\nchannels: [{{name: hook, webhook: {{url: \"{url}\"}}}}]\nroutes: [{{name: all, channels: [hook]}}]"
    )
}

/// The process that is killed: it takes notices as fast as it can, says the number of each that is taken, and sends.
/// Without its environment it has nothing to do.
#[tokio::test(flavor = "multi_thread")]
async fn child() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let url = std::env::var(URL).unwrap();
    let first: i64 = std::env::var(FIRST).unwrap().parse().unwrap();
    let notifier = Notifier::open(&std::path::Path::new(&folder).join("notify.db"), config(&settings(&url))).unwrap();
    tokio::spawn(notifier.clone().run(CancellationToken::new()));
    tokio::task::spawn_blocking(move || {
        for alert in first.. {
            notifier.offer(&notice(alert, Happened::Opened), now()).unwrap();
            println!("\ntaken {alert}");
        }
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_again_and_again() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start([]).await;
    let mut taken = HashSet::new();
    let rounds = if std::env::var_os("VEDETTE_LONG").is_some() { 60 } else { 8 };
    for round in 0..rounds {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "durability::child", "--nocapture"])
            .env(FOLDER, folder.path())
            .env(URL, server.url("/"))
            .env(FIRST, (round * 100_000 + 1).to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let reader = std::thread::spawn(move || {
            let said = lines.map_while(Result::ok);
            said.filter_map(|line| line.strip_prefix("taken ")?.parse::<i64>().ok()).collect::<Vec<_>>()
        });
        tokio::time::sleep(Duration::from_millis(150 + 37 * u64::try_from(round).unwrap())).await;
        child.kill().unwrap();
        child.wait().unwrap();
        taken.extend(reader.join().unwrap());
    }
    assert!(taken.len() > 20, "only {} were taken", taken.len());
    let before = server.got().len();
    let running = Running::start_in(folder, &settings(&server.url("/")));
    let waiting = running.total().queued;
    let total = running.settled().await;
    assert_eq!((total.dead, total.sent), (0, total.offered));
    assert!(total.offered >= taken.len() as u64);

    let mut ids: HashMap<i64, HashSet<String>> = HashMap::new();
    for got in server.got() {
        ids.entry(got.json()["data"]["alert"].as_i64().unwrap())
            .or_default()
            .insert(got.header("webhook-id").to_owned());
    }
    let lost: Vec<_> = taken.iter().filter(|alert| !ids.contains_key(alert)).collect();
    assert!(lost.is_empty(), "taken and never sent: {lost:?}");
    assert_eq!(ids.len() as u64, total.offered);
    assert!(ids.values().all(|ids| ids.len() == 1), "one that came twice came with the same id");
    // Each kill may cost one second try, no more: that of the message under way.
    let doubled = server.got().len() - ids.len();
    assert!(doubled <= rounds as usize, "{doubled} were sent twice");
    eprintln!(
        "{} taken, {before} sent before the last start, {waiting} waited then, {doubled} sent twice",
        taken.len()
    );
}
