//! How long recording findings takes, without risk and with it: `cargo run --release -p vedette-alert --example record_speed [findings]`.
//!
//! Three shapes: `spread` (30 rules, many users, hosts and addresses), `noisy` (one rule, one address, one host), `spray` (one address
//! that tries a new user with every finding).
use vedette_alert::{Alerts, Sighting};
use vedette_event::{Entity, EventId, Finding, FindingId, Level, RuleRef, SourceId, Time};

const BATCH: usize = 256;
const TACTICS: [&str; 5] = ["initial-access", "execution", "persistence", "credential-access", "lateral-movement"];
const LEVELS: [Level; 5] = [Level::Informational, Level::Low, Level::Low, Level::Medium, Level::High];

fn finding(seq: u64, rule: u64, [user, host, ip]: [u64; 3]) -> Finding {
    let entity = |kind: &str, number: u64| Entity { kind: kind.into(), value: format!("{kind}-{number}") };
    let (rule_id, event) = (format!("rule-{rule}"), EventId { source: SourceId(1), seq });
    Finding {
        id: FindingId::of(&rule_id, &[event]),
        rule: RuleRef {
            title: format!("Rule number {rule}"),
            id: rule_id,
            level: LEVELS[(rule % 5) as usize],
            author: None,
            techniques: vec!["T1110".into()],
            tactics: vec![TACTICS[(rule % 7 % 5) as usize].into()],
        }
        .into(),
        // 100,000 findings are 28 hours.
        time: Time::from_secs(1_760_000_000 + seq as i64),
        events: vec![event],
        entities: vec![entity("ip", ip), entity("user", user), entity("host", host)],
        matched: vec![],
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let count: u64 = std::env::args().nth(1).map_or(Ok(100_000), |arg| arg.parse())?;
    let mixed = |seq: u64, of: u64| seq.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29) % of;
    let shapes: [(&str, &dyn Fn(u64) -> Finding); 3] = [
        ("spread", &|seq| {
            let [rule, user, host, ip] = [30, 401, 211, 997].map(|of| mixed(seq, of));
            finding(seq, rule, [user, host, ip])
        }),
        ("noisy", &|seq| finding(seq, 3, [1, 1, 1])),
        ("spray", &|seq| finding(seq, 3, [seq, 1, 1])),
    ];
    for (name, shape) in shapes {
        let findings: Vec<Finding> = (0..count).map(shape).collect();
        let folder = tempfile::tempdir()?;
        let mut files = [
            File::new("without risk", Alerts::open(&folder.path().join("without.db"))?.without_risk()),
            File::new("with risk", Alerts::open(&folder.path().join("with.db"))?),
        ];
        // By turns, so that whatever else the machine does is shared fairly.
        for batch in findings.chunks(BATCH) {
            files.iter_mut().try_for_each(|file| file.record(batch))?;
        }
        println!("{name}: {count} findings");
        for file in &files {
            let (each, slowest) = (file.seconds * 1e6 / count as f64, file.slowest * 1e3);
            println!("  {:12} {each:6.0} µs of a processor each, slowest batch of {BATCH} {slowest:.0} ms", file.name);
        }
        println!("  ratio        {:6.2}", files[1].seconds / files[0].seconds);
    }
    Ok(())
}

struct File {
    name: &'static str,
    alerts: Alerts,
    seconds: f64,
    slowest: f64,
}

impl File {
    fn new(name: &'static str, alerts: Alerts) -> Self {
        File { name, alerts, seconds: 0.0, slowest: 0.0 }
    }

    fn record(&mut self, batch: &[Finding]) -> Result<(), Box<dyn std::error::Error>> {
        let sightings: Vec<Sighting<'_>> = batch.iter().map(Sighting::from).collect();
        let before = on_processor()?;
        self.alerts.record(&sightings, Time::from_secs(1_770_000_000))?;
        let took = on_processor()? - before;
        self.seconds += took;
        self.slowest = self.slowest.max(took);
        Ok(())
    }
}

/// Seconds that this process has been on a processor, which other processes disturb less than the clock's.
fn on_processor() -> Result<f64, Box<dyn std::error::Error>> {
    let times = std::fs::read_to_string("/proc/self/schedstat")?;
    Ok(times.split(' ').next().ok_or("no times")?.parse::<f64>()? / 1e9)
}
