//! What storing costs: CPU-seconds per million events for appending (rows and tokens) and sealing (Parquet and
//! sidecar), and the sizes on disk. No parsing: the fields are made up with the records.
//!
//! ```text
//! cargo run --release -p vedette-store --example seal_speed [events]
//! ```
#![allow(clippy::unwrap_used)]

use std::{collections::BTreeMap, time::Instant};

use vedette_event::{Batch, BatchBuilder, Source, SourceId, Time, Value};
use vedette_store::{Granules, Options, Store, Term};

/// User and system time of this process in seconds.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    // Fields 14 and 15 (counted from 1, the second one being the name), in clock ticks of 10 ms.
    fields[11..13].iter().map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / 100.0
}

/// Xorshift: the same events in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        // Small numbers more often than large ones, as hosts and users are.
        let unit = (self.0 >> 11) as f64 / (1u64 << 53) as f64;
        (unit * unit * limit as f64) as u64
    }
}

/// A batch of one of four kinds of records: Windows process creation, sshd, a flow, an API call.
fn batch(kind: u32, first: u64, received: Time, random: &mut Random) -> Batch {
    let names = ["winlog", "sshd", "flow", "cloudtrail"];
    let mut batch = BatchBuilder::new(Source::new(SourceId(kind), &format!("bench:{}", names[kind as usize]), "bench"));
    for seq in first..first + 1000 {
        let host = format!("host-{:04}.corp.example", random.below(800));
        let user = format!("user{:04}", random.below(4000));
        let ip = format!("10.{}.{}.{}", random.below(8), random.below(256), random.below(256));
        let far =
            format!("{}.{}.{}.{}", 11 + random.below(180), random.below(256), random.below(256), random.below(256));
        let (pid, port) = (random.below(65_536) as i64, 1024 + random.below(64_000) as i64);
        let guid =
            format!("{:08x}-{:04x}-4be1-9c0d-{:012x}", random.0 as u32, random.0 >> 48, random.0 & 0xffff_ffff_ffff);
        let time = received.plus_micros(-(random.below(5_000_000) as i64));
        let hash =
            format!("{:016x}{:016x}{:016x}{:016x}", random.0, !random.0, random.0 ^ 0x5555, random.0.rotate_left(9));
        let image = format!("C:\\Program Files\\Vendor{}\\tool{}.exe", random.below(90), random.below(40));
        let mut fields: Vec<(&str, Value<'_>)> =
            vec![("host.name", Value::Str(&host)), ("user.name", Value::Str(&user))];
        let command = format!("\"{image}\" --run {pid} --out C:\\Users\\{user}\\AppData\\Local\\Temp\\{pid}.tmp");
        let raw = match kind {
            0 => {
                fields.extend([
                    ("event.code", Value::Str("1")),
                    ("event.dataset", Value::Str("windows.sysmon_operational")),
                    ("process.executable", Value::Str(&image)),
                    ("process.command_line", Value::Str(&command)),
                    ("process.hash.sha256", Value::Str(&hash)),
                    ("winlog.event_data.ProcessGuid", Value::Str(&guid)),
                ]);
                format!(
                    r#"{{"EventID":1,"Channel":"Microsoft-Windows-Sysmon/Operational","Provider":"Microsoft-Windows-Sysmon","Computer":"{host}","UtcTime":"{time}","ProcessGuid":"{{{guid}}}","ProcessId":{pid},"Image":"{}","CommandLine":"{}","User":"CORP\\{user}","Hashes":"SHA256={hash}","IntegrityLevel":"Medium","ParentImage":"C:\\Windows\\explorer.exe","RuleName":"-","Description":"Tool of the vendor, signed and sealed","Company":"Vendor Incorporated","LogonId":"0x3e7","TerminalSessionId":1}}"#,
                    image.replace('\\', "\\\\"),
                    command.replace('\\', "\\\\").replace('"', "\\\""),
                )
            }
            1 => {
                fields.extend([
                    ("event.dataset", Value::Str("linux.sshd")),
                    ("source.ip", Value::Str(&far)),
                    ("source.port", Value::Int(port)),
                    ("process.pid", Value::Int(pid)),
                ]);
                format!(
                    "<38>{time} {host} sshd[{pid}]: Failed password for invalid user {user} from {far} port {port} ssh2"
                )
            }
            2 => {
                fields.extend([
                    ("event.dataset", Value::Str("suricata.flow")),
                    ("source.ip", Value::Str(&ip)),
                    ("source.port", Value::Int(port)),
                    ("destination.ip", Value::Str(&far)),
                    ("destination.port", Value::Int(443)),
                    ("network.transport", Value::Str("tcp")),
                ]);
                format!(
                    r#"{{"timestamp":"{time}","flow_id":{},"in_iface":"eth0","event_type":"flow","src_ip":"{ip}","src_port":{port},"dest_ip":"{far}","dest_port":443,"proto":"TCP","app_proto":"tls","flow":{{"pkts_toserver":{pid},"pkts_toclient":{port},"bytes_toserver":{},"bytes_toclient":{},"start":"{time}","age":12,"state":"closed","reason":"timeout","alerted":false}},"host":"{host}","user":"{user}"}}"#,
                    random.0 >> 10,
                    pid * 97,
                    port * 31,
                )
            }
            _ => {
                fields.extend([
                    ("event.dataset", Value::Str("aws.cloudtrail")),
                    ("event.action", Value::Str("AssumeRole")),
                    ("source.ip", Value::Str(&far)),
                    ("cloud.region", Value::Str("eu-central-1")),
                    ("aws.cloudtrail.requestID", Value::Str(&guid)),
                ]);
                format!(
                    r#"{{"eventVersion":"1.08","userIdentity":{{"type":"IAMUser","arn":"arn:aws:iam::123456789012:user/{user}","accountId":"123456789012"}},"eventTime":"{time}","eventSource":"sts.amazonaws.com","eventName":"AssumeRole","awsRegion":"eu-central-1","sourceIPAddress":"{far}","userAgent":"aws-cli/2.15.{pid} Python/3.11.6 Linux/5.10","requestParameters":{{"roleArn":"arn:aws:iam::123456789012:role/{host}","roleSessionName":"{user}"}},"requestID":"{guid}","eventType":"AwsApiCall","recipientAccountId":"123456789012"}}"#
                )
            }
        };
        batch.begin(seq, received, raw.as_bytes());
        fields.into_iter().for_each(|(name, value)| batch.push(name, value));
        batch.time(time);
    }
    batch.finish()
}

fn main() {
    let events: u64 = std::env::args().nth(1).map_or(200_000, |count| count.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), Options::default()).unwrap();
    let mut random = Random(42);
    let (mut append, mut seal) = (0.0, 0.0);
    let mut next: BTreeMap<u32, u64> = BTreeMap::new();
    let start = Instant::now();
    for at in 0..events / 1000 {
        let kind = (at % 4) as u32;
        let first = next.entry(kind).or_default();
        let batch = batch(kind, *first, Time::from_secs(1_795_233_600 + at as i64 / 50), &mut random);
        *first += 1000;
        let before = cpu();
        store.append(&batch, at).unwrap();
        let between = cpu();
        if at + 1 == events / 1000 {
            store.seal().unwrap()
        } else {
            store.seal_if_due().unwrap()
        };
        append += between - before;
        seal += cpu() - between;
    }
    let stats = store.stats();
    let million = stats.events as f64 / 1e6;
    let of_raw =
        |bytes: u64| format!("{:.1} MB = {:.3} of raw", bytes as f64 / 1e6, bytes as f64 / stats.raw_bytes as f64);
    println!(
        "{} events, {:.1} MB raw, {:.1} s",
        stats.events,
        stats.raw_bytes as f64 / 1e6,
        start.elapsed().as_secs_f64()
    );
    println!("append (rows, tokens)      {:.2} CPU-s per 1 M events", append / million);
    println!("seal (Parquet, sidecar)    {:.2} CPU-s per 1 M events", seal / million);
    println!("both                       {:.0} events/s and core", stats.events as f64 / (append + seal));
    println!("Parquet                    {}", of_raw(stats.parquet_bytes));
    println!("token sidecars             {}", of_raw(stats.tokens_bytes));

    let segments = store.snapshot().segments;
    let before = cpu();
    const ROUNDS: usize = 20;
    let mut rows = 0;
    for _ in 0..ROUNDS {
        for segment in &segments {
            let granules: Granules = segment.candidates(&Term::Value("10.1.2.3".into()).into());
            rows += segment
                .read(&granules, Some(&["event.original"]))
                .unwrap()
                .map(|rows| rows.unwrap().num_rows())
                .sum::<usize>();
        }
    }
    println!("an exact address           {:.4} CPU-s, {} rows read", (cpu() - before) / ROUNDS as f64, rows / ROUNDS);
}
