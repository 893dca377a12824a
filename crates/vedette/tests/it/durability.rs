//! What was acknowledged is there, exactly once, whatever happens.

use std::{
    collections::HashMap,
    io::{BufReader, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crate::harness::{OTHERS, RECEIVERS, Running, count, folder, hunt, read_answer, run, stdout};

/// Sends `_bulk` requests of 50 documents over one connection until told to stop or cut off, and notes which
/// documents were acknowledged.
fn load(address: SocketAddr, worker: usize, round: usize, stop: &AtomicBool, acknowledged: &Mutex<Vec<String>>) {
    let Ok(mut stream) = TcpStream::connect(address) else { return };
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket option");
    let mut reader = BufReader::new(stream.try_clone().expect("a socket"));
    for request in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let names: Vec<String> = (0..50).map(|n| format!("kill-{round}-{worker}-{request}-{n}")).collect();
        let body: String = names
            .iter()
            .map(|name| format!("{{\"create\":{{\"_index\":\"x\"}}}}\n{{\"message\":\"{name} end\"}}\n"))
            .collect();
        let head = format!(
            "POST /_bulk HTTP/1.1\r\nhost: v\r\ncontent-type: application/x-ndjson\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        if stream.write_all((head + &body).as_bytes()).is_err() {
            return;
        }
        let Ok((_, answer)) = read_answer(&mut reader) else { return };
        let answer: serde_json::Value = serde_json::from_str(&answer).expect("an answer in JSON");
        let items = answer["items"].as_array().expect("items");
        assert_eq!(items.len(), names.len());
        let mut acknowledged = acknowledged.lock().expect("no worker panics");
        for (name, item) in names.into_iter().zip(items) {
            if item["create"]["status"] == 201 {
                acknowledged.push(name);
            }
        }
    }
}

#[test]
fn kill_9_under_load_loses_nothing_acknowledged_and_doubles_nothing() {
    let rounds = if std::env::var_os("VEDETTE_LONG").is_some() { 60 } else { 30 };
    let folder = folder();
    // Sealing every second puts kills into sealing, too.
    let config = format!("{RECEIVERS}storage: {{seal_after_seconds: 1}}\n");
    let acknowledged = Mutex::new(Vec::new());
    let mut random = 0x9e37_79b9_u32;
    for round in 0..rounds {
        let running = Running::start(folder.path(), &config);
        let address = running.address("http");
        let stop = Arc::new(AtomicBool::new(false));
        std::thread::scope(|scope| {
            for worker in 0..2 {
                let (stop, acknowledged) = (&stop, &acknowledged);
                scope.spawn(move || load(address, worker, round, stop, acknowledged));
            }
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            std::thread::sleep(Duration::from_millis(100 + u64::from(random >> 22)));
            running.kill();
            stop.store(true, Ordering::Relaxed);
        });
        // What it leaves behind is always what was signed.
        stdout(&run(&["verify", &folder.path().join("data").to_string_lossy()]), 0);
    }
    let acknowledged = acknowledged.into_inner().expect("no worker panics");
    assert!(acknowledged.len() > rounds * 50, "only {} documents were acknowledged", acknowledged.len());
    let running = Running::start(folder.path(), &config);
    // What the last kill left in the spool becomes searchable within moments of the start.
    running.wait_for_at_least(&format!("kill-* {OTHERS}"), acknowledged.len() as u64);
    let mut seen: HashMap<String, usize> = HashMap::new();
    for event in running.hunt(&format!("kill-* {OTHERS}")) {
        let original = event["event.original"].as_str().expect("text");
        let name = original.split('"').nth(3).and_then(|text| text.strip_suffix(" end")).expect("a name");
        *seen.entry(name.to_owned()).or_default() += 1;
    }
    let lost: Vec<_> = acknowledged.iter().filter(|name| !seen.contains_key(*name)).take(5).collect();
    assert!(lost.is_empty(), "acknowledged but lost: {lost:?}");
    let twice: Vec<_> = seen.iter().filter(|(_, times)| **times > 1).take(5).collect();
    assert!(twice.is_empty(), "there more than once: {twice:?}");
    eprintln!("{rounds} kills, {} acknowledged, {} found", acknowledged.len(), seen.len());
}

#[test]
fn findings_survive_kill_9_once() {
    let folder = folder();
    let line = "<38>Nov 21 04:11:52 web1 sshd[811]: Accepted password for root from 192.0.2.7 port 4711 ssh2";
    for n in 0..5 {
        let running = Running::start(folder.path(), RECEIVERS);
        let mut stream = TcpStream::connect(running.address("syslog-tcp")).expect("it listens");
        writeln!(stream, "{line} #{n}").expect("sent");
        drop(stream);
        running.wait_for_count("event.dataset:linux.sshd", n + 1);
        running.kill();
    }
    let running = Running::start(folder.path(), RECEIVERS);
    running.wait_for_count("event.dataset:linux.sshd", 5);
    assert!(running.stop().success());
    let findings = hunt(&folder.path().join("data"), "event.dataset:vedette.findings | distinct vedette.finding.id");
    let all = count(&folder.path().join("data"), "event.dataset:vedette.findings");
    assert!(all >= 5, "a root log-in by password is a finding; {all} were made");
    assert_eq!(findings.len() as u64, all, "every finding once");
}
