//! The benchmark corpus: mixed NDJSON from a fixed seed.
//!
//! 18 % real Windows events and 25 % real syslog lines serve as templates in which numbers, GUIDs and hashes
//! are replaced, so that the corpus compresses like real traffic and not like copies; 25 % look like Suricata
//! EVE, 17 % like Zeek's conn.log, 15 % like CloudTrail. Hosts, users and addresses follow power laws. One event,
//! at a third of the file, holds the needles that searches look for.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, BufWriter, Write},
    path::Path,
};

use anyhow::{Context, ensure};
use vedette_event::Time;

use crate::{Outcome, commands::detect::files_below, output::byte_bar};

/// The address that occurs once.
pub const NEEDLE_IP: &str = "10.23.44.7";
/// The GUID that occurs once.
pub const NEEDLE_GUID: &str = "5f3c9a1e-77aa-4be1-9c0d-0123456789ab";

/// 2026-11-01T00:00:00Z, the first event's time.
const START: i64 = 1_793_491_200_000_000;
const SPAN: i64 = 48 * 3600 * 1_000_000;
/// Every data set of Windows events: together they stand for a fleet.
const WINDOWS: [&str; 1] = ["_windows_"];
const SYSLOG: [&str; 6] = ["Linux", "OpenSSH", "Apache", "OpenStack", "Mac", "Proxifier"];

/// Writes the corpus.
pub fn write(events: u64, seed: u64, templates: &Path, output: &Path) -> anyhow::Result<Outcome> {
    let windows = templates_of(templates, &WINDOWS, ".json", 40)?;
    let syslog = templates_of(templates, &SYSLOG, "_2k.log", 1)?;
    ensure!(!windows.is_empty(), "no Windows templates (*.json) below {}", templates.display());
    ensure!(!syslog.is_empty(), "no syslog templates (*_2k.log) below {}", templates.display());
    let mut generator = Generator { random: Random(seed), windows, syslog, guids: Vec::new() };
    generator.fill_guids(60_000);
    let file = File::create(output).with_context(|| format!("cannot create {}", output.display()))?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    let bar = byte_bar(events);
    let mut line = Vec::with_capacity(4096);
    for n in 0..events {
        line.clear();
        let time = Time::from_micros(START + (SPAN as i128 * n as i128 / events.max(1) as i128) as i64);
        generator.event(time, n == events / 3, &mut line);
        line.push(b'\n');
        out.write_all(&line)?;
        if n % 10_000 == 0 {
            bar.set_position(n);
        }
    }
    out.into_inner().map_err(|error| error.into_error())?.sync_all()?;
    bar.finish_and_clear();
    println!("{events} events, {} bytes: {}", fs::metadata(output)?.len(), output.display());
    Ok(Outcome::Fine)
}

/// Every `nth` line of the files below `folder` whose name contains one of `names` and ends in `ending`.
fn templates_of(folder: &Path, names: &[&str], ending: &str, nth: usize) -> anyhow::Result<Vec<Vec<u8>>> {
    let mut lines = Vec::new();
    for file in files_below(&[folder.to_owned()])? {
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name.ends_with(ending) && names.iter().any(|wanted| name.contains(wanted)) {
            for line in BufReader::new(File::open(&file)?).split(b'\n').step_by(nth) {
                let line = line?;
                if !line.is_empty() && line.len() < 64 << 10 {
                    lines.push(line);
                }
            }
        }
    }
    Ok(lines)
}

/// SplitMix64: small, seedable, the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        ((self.next() as u128 * n as u128) >> 64) as u64
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A rank of a power law over `n` (density proportional to 1/rank).
    fn rank(&mut self, n: u64) -> u64 {
        (((n as f64).ln() * self.unit()).exp() as u64).min(n) - 1
    }
}

struct Generator {
    random: Random,
    windows: Vec<Vec<u8>>,
    syslog: Vec<Vec<u8>>,
    guids: Vec<String>,
}

impl Generator {
    fn fill_guids(&mut self, count: usize) {
        self.guids = (0..count).map(|_| self.fresh_guid()).collect();
    }

    fn fresh_guid(&mut self) -> String {
        let (a, b) = (self.random.next(), self.random.next());
        format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            a >> 32,
            (a >> 16) & 0xffff,
            a & 0xffff,
            b >> 48,
            b & 0xffff_ffff_ffff
        )
    }

    fn guid(&mut self) -> String {
        if self.random.below(10) < 7 {
            let rank = self.random.rank(self.guids.len() as u64);
            self.guids[rank as usize].clone()
        } else {
            self.fresh_guid()
        }
    }

    fn host(&mut self) -> String {
        format!("srv-{:04}", self.random.rank(800))
    }

    fn user(&mut self) -> String {
        format!("user{:04}", self.random.rank(4000))
    }

    fn internal(&mut self) -> String {
        let rank = self.random.rank(3000);
        format!("10.1.{}.{}", rank / 250, rank % 250 + 1)
    }

    fn external(&mut self) -> String {
        let mixed = self.random.rank(400_000).wrapping_mul(0x9e37_79b1) as u32;
        let [a, b, c, d] = mixed.to_be_bytes();
        format!("{}.{b}.{c}.{d}", 11 + a % 200)
    }

    fn event(&mut self, time: Time, needle: bool, out: &mut Vec<u8>) {
        let (mut internal, mut guid) = (self.internal(), self.guid());
        if needle {
            (internal, guid) = (NEEDLE_IP.into(), NEEDLE_GUID.into());
        }
        match if needle { 70 } else { self.random.below(100) } {
            0..18 => {
                let template = self.random.below(self.windows.len() as u64) as usize;
                let template = std::mem::take(&mut self.windows[template]);
                self.vary(&template, out);
                let slot = self.windows.iter().position(Vec::is_empty).expect("one template was taken out above");
                self.windows[slot] = template;
            }
            18..43 => {
                let template = self.random.below(self.syslog.len() as u64) as usize;
                let line = self.syslog[template].clone();
                let mut message = Vec::with_capacity(line.len());
                self.vary(&line, &mut message);
                let message = serde_json::Value::from(String::from_utf8_lossy(&message)).to_string();
                let (host, user) = (self.host(), self.user());
                put(
                    out,
                    format_args!(
                        r#"{{"@timestamp":"{time}","host.name":"{host}","event.dataset":"syslog","user.name":"{user}","source.ip":"{internal}","message":{message}}}"#
                    ),
                );
            }
            43..68 => self.eve(time, &internal, out),
            68..85 => {
                let (destination, uid) = (self.external(), self.random.next());
                let (sport, bytes, reply) =
                    (1024 + self.random.below(60_000), self.random.rank(10_000_000), self.random.rank(100_000_000));
                let seconds = time.micros() as f64 / 1e6;
                let duration = self.random.unit() * 100.0;
                put(
                    out,
                    format_args!(
                        r#"{{"_path":"conn","ts":{seconds:.6},"uid":"C{uid:016x}","id.orig_h":"{internal}","id.orig_p":{sport},"id.resp_h":"{destination}","id.resp_p":443,"proto":"tcp","service":"ssl","duration":{duration:.6},"orig_bytes":{bytes},"resp_bytes":{reply},"conn_state":"SF","history":"ShADadFf","orig_pkts":{},"resp_pkts":{},"session_id":"{guid}"}}"#,
                        bytes / 900 + 3,
                        reply / 1200 + 3
                    ),
                );
            }
            _ => {
                const CALLS: [(&str, &str); 8] = [
                    ("s3", "GetObject"),
                    ("ec2", "DescribeInstances"),
                    ("sts", "AssumeRole"),
                    ("iam", "ListUsers"),
                    ("s3", "PutObject"),
                    ("kms", "Decrypt"),
                    ("signin", "ConsoleLogin"),
                    ("lambda", "Invoke"),
                ];
                let (service, call) = CALLS[self.random.rank(8) as usize];
                let (user, address, request, account) = (
                    self.user(),
                    self.external(),
                    self.fresh_guid(),
                    100_000_000_000 + self.random.rank(40) * 7_919_000_003,
                );
                put(
                    out,
                    format_args!(
                        r#"{{"eventVersion":"1.08","userIdentity":{{"type":"IAMUser","principalId":"AIDA{:016X}","arn":"arn:aws:iam::{account}:user/{user}","accountId":"{account}","userName":"{user}"}},"eventTime":"{time}","eventSource":"{service}.amazonaws.com","eventName":"{call}","awsRegion":"eu-central-1","sourceIPAddress":"{address}","userAgent":"aws-cli/2.15.{} Python/3.11.8 Linux/6.1","requestParameters":{{"bucketName":"data-{}","key":"objects/{guid}"}},"responseElements":null,"requestID":"{request}","eventID":"{}","readOnly":true,"eventType":"AwsApiCall","recipientAccountId":"{account}"}}"#,
                        self.random.next(),
                        self.random.below(40),
                        self.random.rank(300),
                        self.fresh_guid()
                    ),
                );
            }
        }
    }

    fn eve(&mut self, time: Time, internal: &str, out: &mut Vec<u8>) {
        let (external, flow) = (self.external(), self.random.next() >> 12);
        let (sport, host) = (1024 + self.random.below(60_000), self.random.rank(50_000));
        let head = format!(
            r#"{{"timestamp":"{time}","flow_id":{flow},"in_iface":"eth0","src_ip":"{internal}","src_port":{sport},"dest_ip":"{external}","#
        );
        out.extend_from_slice(head.as_bytes());
        match self.random.below(10) {
            0..4 => put(
                out,
                format_args!(
                    r#""dest_port":443,"proto":"TCP","event_type":"flow","app_proto":"tls","flow":{{"pkts_toserver":{},"pkts_toclient":{},"bytes_toserver":{},"bytes_toclient":{},"state":"closed","reason":"timeout","alerted":false}}}}"#,
                    self.random.rank(2000) + 2,
                    self.random.rank(4000) + 2,
                    self.random.rank(900_000),
                    self.random.rank(9_000_000)
                ),
            ),
            4..6 => put(
                out,
                format_args!(
                    r#""dest_port":53,"proto":"UDP","event_type":"dns","dns":{{"version":2,"type":"query","id":{},"rrname":"host-{host}.example.net","rrtype":"A","tx_id":0}}}}"#,
                    self.random.below(65_536)
                ),
            ),
            6..8 => put(
                out,
                format_args!(
                    r#""dest_port":80,"proto":"TCP","event_type":"http","tx_id":0,"http":{{"hostname":"www-{host}.example.org","url":"/app/{}/view?id={}","http_user_agent":"Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/{}.0","http_method":"GET","protocol":"HTTP/1.1","status":200,"length":{}}}}}"#,
                    self.random.rank(500),
                    self.random.below(1 << 30),
                    100 + self.random.below(40),
                    self.random.rank(900_000)
                ),
            ),
            8 => put(
                out,
                format_args!(
                    r#""dest_port":443,"proto":"TCP","event_type":"tls","tls":{{"subject":"CN=www-{host}.example.org","issuerdn":"C=US, O=Example CA, CN=R3","serial":"{:016X}","sni":"www-{host}.example.org","version":"TLS 1.3","ja3":{{"hash":"{:016x}{:016x}"}}}}}}"#,
                    self.random.next(),
                    self.random.rank(3000).wrapping_mul(0x9e37_79b9_7f4a_7c15),
                    self.random.rank(3000).wrapping_mul(0xbf58_476d_1ce4_e5b9)
                ),
            ),
            _ => put(
                out,
                format_args!(
                    r#""dest_port":445,"proto":"TCP","event_type":"alert","alert":{{"action":"allowed","gid":1,"signature_id":{},"rev":3,"signature":"ET SCAN behaviour seen number {}","category":"Attempted Information Leak","severity":{}}}}}"#,
                    2_000_000 + self.random.rank(4000),
                    self.random.rank(4000),
                    1 + self.random.below(3)
                ),
            ),
        }
    }

    /// Copies a template with its numbers of 4 to 10 digits, GUIDs and 32/40/64-digit hashes replaced.
    fn vary(&mut self, template: &[u8], out: &mut Vec<u8>) {
        let mut rest = template;
        let mut before = b' ';
        while let Some(&byte) = rest.first() {
            let starts_word = !before.is_ascii_alphanumeric();
            let run = rest.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
            if starts_word && is_guid(rest) {
                let guid = self.guid();
                out.extend_from_slice(guid.as_bytes());
                (before, rest) = (b'0', &rest[36..]);
            } else if starts_word && run > 0 {
                let word = &rest[..run];
                if (4..=10).contains(&run) && word.iter().all(u8::is_ascii_digit) {
                    // The first digit stays, so that times stay times and the length stays the same.
                    out.push(word[0]);
                    word[1..].iter().for_each(|_| out.push(b'0' + self.random.below(10) as u8));
                } else if matches!(run, 32 | 40 | 64) && word.iter().all(u8::is_ascii_hexdigit) {
                    word.iter().for_each(|_| out.push(b"0123456789abcdef"[self.random.below(16) as usize]));
                } else {
                    out.extend_from_slice(word);
                }
                (before, rest) = (word[run - 1], &rest[run..]);
            } else {
                out.push(byte);
                (before, rest) = (byte, &rest[1..]);
            }
        }
    }
}

fn is_guid(text: &[u8]) -> bool {
    text.len() >= 36
        && text[..36].iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing to a vector cannot fail.
    out.write_fmt(text).expect("a vector takes every write");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corpus(seed: u64) -> Vec<String> {
        let mut generator = Generator {
            random: Random(seed),
            windows: vec![
                br#"{"EventID":4624,"ProcessGuid":"{5770385F-C22A-43E0-BF4C-06F5698FFBD9}","Year":2020}"#.to_vec(),
            ],
            syslog: vec![b"Jun 14 15:16:01 combo sshd[19939]: authentication failure".to_vec()],
            guids: Vec::new(),
        };
        generator.fill_guids(10);
        (0..500)
            .map(|n| {
                let mut line = Vec::new();
                generator.event(Time::from_micros(START + n), n == 100, &mut line);
                String::from_utf8(line).expect("templates are text")
            })
            .collect()
    }

    #[test]
    fn every_line_is_json_and_the_seed_decides() {
        let lines = corpus(42);
        for line in &lines {
            serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        }
        assert_eq!(lines, corpus(42));
        assert_ne!(lines, corpus(43));
        assert_eq!(lines.iter().filter(|line| line.contains(NEEDLE_IP) && line.contains(NEEDLE_GUID)).count(), 1);
    }
}
