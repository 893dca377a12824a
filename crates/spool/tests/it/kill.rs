//! `kill -9` under load: the child is this test binary, started again.

use std::{
    collections::BTreeMap,
    env,
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use vedette_spool::{Options, Spool};

use crate::support::{open, options, records, source, store};

const DIR: &str = "VEDETTE_SPOOL_KILL_DIR";
const ROUNDS: u64 = 12;
const WRITERS: u64 = 3;

/// Does nothing unless the test below starts it.
#[test]
fn kill_child() {
    let Some(dir) = env::var_os(DIR) else { return };
    let spool = Spool::open(dir.as_ref(), Options { segment_bytes: 48 << 10, ..options() }).unwrap();
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let spool = &spool;
            scope.spawn(move || {
                let source = source(spool, &format!("file:{writer}"));
                loop {
                    let text = format!("{}-{:?}", std::process::id(), Instant::now());
                    let receipt = store(spool, &source, &[&text, &text, &text]).unwrap();
                    // One write per line, so that a line is whole or absent.
                    let line = format!("ack {writer} {} {text}\n", receipt.first_seq);
                    std::io::stdout().write_all(line.as_bytes()).unwrap();
                }
            });
        }
    });
}

#[test]
fn kill_9_loses_no_acknowledged_record_and_doubles_none() {
    let dir = tempfile::tempdir().unwrap();
    let began = Instant::now();
    // (writer, seq) -> text, of everything that was acknowledged.
    let mut acknowledged: BTreeMap<(u64, u64), String> = BTreeMap::new();
    for round in 0..ROUNDS {
        if began.elapsed() > Duration::from_secs(20) && round >= 10 {
            break;
        }
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "kill::kill_child", "--nocapture", "--test-threads=1"])
            .env(DIR, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let reading = thread::spawn(move || {
            let lines = stdout.split(b'\n').map_while(Result::ok);
            lines
                .filter_map(|line| String::from_utf8(line).ok())
                .filter(|line| line.contains("ack "))
                .collect::<Vec<_>>()
        });
        // Some rounds end while the child starts, some in full flight.
        thread::sleep(Duration::from_millis(40 + round * 97 % 500));
        child.kill().unwrap();
        child.wait().unwrap();
        for line in reading.join().unwrap() {
            let line = &line[line.find("ack ").unwrap()..];
            let words: Vec<&str> = line.splitn(4, ' ').collect();
            if let [_, writer, seq, text] = words[..] {
                for offset in 0..3 {
                    let key = (writer.parse().unwrap(), seq.parse::<u64>().unwrap() + offset);
                    assert_eq!(acknowledged.insert(key, text.to_owned()), None, "acknowledged twice: {key:?}");
                }
            }
        }

        let spool = open(dir.path());
        let mut found: BTreeMap<(u64, u64), String> = BTreeMap::new();
        for record in records(&spool) {
            let writer = record.source.name.strip_prefix("file:").unwrap().parse().unwrap();
            let text = String::from_utf8(record.raw.to_vec()).unwrap();
            assert_eq!(found.insert((writer, record.seq), text), None, "stored twice");
        }
        for (key, text) in &acknowledged {
            assert_eq!(found.get(key), Some(text), "round {round}, record {key:?}");
        }
        for (source, losses) in spool.ledger() {
            let writer: u64 = source.name.strip_prefix("file:").unwrap().parse().unwrap();
            let of_writer: Vec<&(u64, u64)> = found.keys().filter(|(w, _)| *w == writer).collect();
            assert_eq!(losses.stored, of_writer.len() as u64);
            assert_eq!(losses.stored % 3, 0, "an append is stored whole");
            assert!(of_writer.iter().enumerate().all(|(seq, key)| key.1 == seq as u64), "no gap");
            // Within an append all three texts are the same, and no other append has it.
            for seq in (0..losses.stored).step_by(3) {
                assert!(
                    found[&(writer, seq)] == found[&(writer, seq + 1)]
                        && found[&(writer, seq)] == found[&(writer, seq + 2)]
                );
            }
        }
    }
    assert!(!acknowledged.is_empty());
    println!("{} records acknowledged before kills", acknowledged.len());
}
