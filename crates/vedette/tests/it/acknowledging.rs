//! A `_bulk` client that remembers what was acknowledged, and the check that all of it is there.

use std::{
    collections::HashMap,
    io::{BufReader, Error, Result, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::Value;

use crate::harness::{OTHERS, PATIENCE, hunt, read_answer};

/// What became of the documents that were sent.
#[derive(Debug, Default)]
pub struct Account {
    /// Names of those answered with 201.
    pub acknowledged: Vec<String>,
    /// How many were answered otherwise: by status and reason.
    pub refused: HashMap<(u64, String), u64>,
}

impl Account {
    /// Documents that were refused.
    pub fn refusals(&self) -> u64 {
        self.refused.values().sum()
    }
}

/// A connection that is used for one request after the other.
pub struct Sender {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
}

impl Sender {
    pub fn connect(address: SocketAddr) -> Result<Sender> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let reader = BufReader::new(stream.try_clone()?);
        Ok(Sender { stream, reader })
    }

    /// Sends one document for each name, notes what became of each.
    pub fn send(&mut self, names: Vec<String>, account: &Mutex<Account>) -> Result<()> {
        self.send_with(names, |_| String::new(), account)
    }

    /// The same with more members of each document, `,"name":value`, by its place.
    pub fn send_with(
        &mut self,
        names: Vec<String>,
        more: impl Fn(usize) -> String,
        account: &Mutex<Account>,
    ) -> Result<()> {
        let body: String = names
            .iter()
            .enumerate()
            .map(|(n, name)| format!("{{\"create\":{{}}}}\n{{\"message\":\"{name} end\"{}}}\n", more(n)))
            .collect();
        let head = format!(
            "POST /_bulk HTTP/1.1\r\nhost: v\r\ncontent-type: application/x-ndjson\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        self.stream.write_all((head + &body).as_bytes())?;
        let (_, answer) = read_answer(&mut self.reader)?;
        let answer: Value = serde_json::from_str(&answer).map_err(Error::other)?;
        let items = answer["items"].as_array().unwrap_or_else(|| panic!("no items: {answer}"));
        assert_eq!(items.len(), names.len());
        let mut account = account.lock().expect("no sender panics");
        for (name, item) in names.into_iter().zip(items) {
            match item["create"]["status"].as_u64() {
                Some(201) => account.acknowledged.push(name),
                status => {
                    let reason = item["create"]["error"]["reason"].as_str().unwrap_or_default().to_owned();
                    *account.refused.entry((status.unwrap_or_default(), reason)).or_default() += 1;
                }
            }
        }
        Ok(())
    }
}

/// Sends requests of 50 documents named `<tag>-…` until told to stop.
pub fn send_until(stop: &AtomicBool, address: SocketAddr, tag: &str, account: &Mutex<Account>) {
    let mut sender = Sender::connect(address).expect("it listens");
    for request in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let names = (0..50).map(|n| format!("{tag}-{request}-{n}")).collect();
        sender.send(names, account).expect("an answer");
        std::thread::sleep(Duration::from_millis(25));
    }
}

/// Whatever fails, the sending threads end.
pub struct StopOnDrop<'a>(pub &'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Everything acknowledged with these names is found, each once; what was refused is not there.
pub fn assert_all_once(data: &Path, filter: &str, acknowledged: &[String]) {
    let mut seen: HashMap<String, usize> = HashMap::new();
    for event in hunt(data, &format!("{filter} {OTHERS}")) {
        let original = event["event.original"].as_str().expect("text");
        let name = original.split('"').nth(3).and_then(|text| text.strip_suffix(" end")).expect("a name");
        *seen.entry(name.to_owned()).or_default() += 1;
    }
    let lost: Vec<_> = acknowledged.iter().filter(|name| !seen.contains_key(*name)).take(5).collect();
    assert!(lost.is_empty(), "acknowledged but lost: {lost:?}");
    let twice: Vec<_> = seen.iter().filter(|(_, times)| **times > 1).take(5).collect();
    assert!(twice.is_empty(), "there more than once: {twice:?}");
    let more = seen.len() - acknowledged.len();
    assert_eq!(more, 0, "not acknowledged and there all the same");
}
