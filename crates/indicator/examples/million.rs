//! A million indicators: the memory they take, the time to compile them, and what a look-up costs. The same indicators in every run.
//!
//! ```text
//! cargo run --release -p vedette-indicator --example million [indicators]
//! ```
#![allow(clippy::unwrap_used)]

use std::hint::black_box;

use vedette_event::{BatchBuilder, Source, SourceId, Time, Value};
use vedette_indicator::{Builder, Feed, Indicator, Kind, Look, Observable, Options};

/// Xorshift.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 16) % limit
    }

    fn word(&mut self) -> String {
        (0..4 + self.below(9)).map(|_| char::from(b'a' + self.below(26) as u8)).collect()
    }

    fn v4(&mut self) -> String {
        format!("{}.{}.{}.{}", 11 + self.below(200), self.below(256), self.below(256), 1 + self.below(254))
    }

    fn hex(&mut self, digits: usize) -> String {
        (0..digits).map(|_| char::from(b"0123456789abcdef"[self.below(16) as usize])).collect()
    }
}

const KINDS: [Kind; 9] = Kind::ALL;

/// A value of a kind, as feeds have them.
fn value(kind: Kind, random: &mut Random) -> String {
    match kind {
        Kind::Address => random.v4(),
        Kind::Network => format!("{}/{}", random.v4(), 16 + random.below(16)),
        Kind::Domain => format!("{}.{}.example", random.word(), random.word()),
        Kind::Url => format!(
            "http://{}.example/{}/{}.php?id={}",
            random.word(),
            random.word(),
            random.word(),
            random.below(100_000)
        ),
        Kind::Mail => format!("{}@{}.example", random.word(), random.word()),
        Kind::Md5 => random.hex(32),
        Kind::Sha1 => random.hex(40),
        Kind::Sha256 => random.hex(64),
        Kind::Sha512 => random.hex(128),
    }
}

/// The mix of kinds: a quarter addresses, a quarter domains, a fifth URLs, a quarter hashes, networks, mail.
fn kind(number: usize) -> Kind {
    match number % 100 {
        0..25 => Kind::Address,
        25..50 => Kind::Domain,
        50..70 => Kind::Url,
        70..83 => Kind::Sha256,
        83..89 => Kind::Md5,
        89..94 => Kind::Sha1,
        94..98 => Kind::Network,
        _ => Kind::Mail,
    }
}

/// Memory of this process: now and at most, in MB.
fn memory() -> (f64, f64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let of = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() * 1024.0 / 1e6
    };
    (of("VmRSS:"), of("VmHWM:"))
}

/// CPU time of this thread in nanoseconds: other programs' share of the machine does not count.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    stat.split(' ').next().unwrap().parse().unwrap()
}

fn look(kind: Kind) -> Look {
    match kind {
        Kind::Address | Kind::Network => Look::Address,
        Kind::Domain => Look::Domain,
        Kind::Url => Look::Url,
        Kind::Mail => Look::Mail,
        _ => Look::Hash,
    }
}

fn main() {
    let count: usize = std::env::args().nth(1).map_or(1_000_000, |count| count.parse().unwrap());
    let feeds = ["threatfox", "urlhaus", "bazaar", "misp.corp.example", "otx"].map(Feed::new);
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (before, _) = memory();
    let start = cpu();
    let mut builder = Builder::new(Options::default());
    for number in 0..count {
        let Ok(observable) = Observable::read(kind(number), &value(kind(number), &mut random)) else { continue };
        let mut indicator = Indicator::new(&feeds[number % feeds.len()], observable);
        indicator.confidence = random.below(101) as u8;
        indicator.valid_from = Some(Time::from_secs(1_790_000_000 + random.below(5_000_000) as i64));
        indicator.valid_until = Some(Time::from_secs(1_800_000_000 + random.below(5_000_000) as i64));
        indicator.name = format!("Malware family {}", random.below(2_000));
        indicator.labels = vec!["malicious-activity".into(), format!("tag{}", random.below(500)), "tlp:amber".into()];
        indicator.reference = format!(
            "indicator--{}-{}-4{}-8{}-{}",
            random.hex(8),
            random.hex(4),
            random.hex(3),
            random.hex(3),
            random.hex(12)
        );
        indicator.modified = Some(Time::from_secs(1_790_000_000));
        builder.push(&indicator);
    }
    let (set, settled) = builder.finish();
    let elapsed = (cpu() - start) / 1e9;
    let (after, most) = memory();
    println!("{settled:?}");
    println!("compiled in {elapsed:.2} CPU seconds, making the indicators included");
    println!(
        "memory: {:.0} MB by its own count, {:.0} MB of the process; at most {:.0} MB while compiling",
        set.bytes() as f64 / 1e6,
        after - before,
        most - before
    );

    println!("\n| look-up | known | unknown |\n|---|---|---|");
    for kind in KINDS.into_iter().filter(|kind| *kind == Kind::Network || set.count(*kind) > 0) {
        let known: Vec<String> = set
            .observables()
            .map(|known| known.observable())
            .filter(|observable| observable.kind() == kind)
            .map(|observable| match kind {
                // An address of the network.
                Kind::Network => observable.to_string().split('/').next().unwrap().to_owned(),
                Kind::Domain => format!("www.cdn.{observable}"),
                _ => observable.to_string(),
            })
            .take(200_000)
            .collect();
        let unknown: Vec<String> = (0..known.len())
            .map(|_| match kind {
                Kind::Domain => format!("www.cdn.{}", value(kind, &mut random)),
                Kind::Network => value(Kind::Address, &mut random),
                _ => value(kind, &mut random),
            })
            .collect();
        // Texts lie one behind the other in the order of asking, as the values of a batch do; only the set is out of the caches.
        let cost = |texts: &[String], random: &mut Random| {
            let mut order = String::new();
            let ends: Vec<usize> = (0..500_000)
                .map(|_| {
                    order.push_str(&texts[random.below(texts.len() as u64) as usize]);
                    order.len()
                })
                .collect();
            let mut found = Vec::new();
            let mut best = (f64::MAX, 0.0);
            for _ in 0..5 {
                let (mut begin, mut total) = (0, 0);
                let start = cpu();
                for end in &ends {
                    found.clear();
                    set.look_up(look(kind), black_box(&order[begin..*end]), &mut found);
                    total += found.len();
                    begin = *end;
                }
                let each = (cpu() - start) / ends.len() as f64;
                best = (best.0.min(each), total as f64 / ends.len() as f64);
            }
            best
        };
        let (hit, found) = cost(&known, &mut random);
        let (miss, _) = cost(&unknown, &mut random);
        println!("| {kind} | {hit:.0} ns ({found:.2} found) | {miss:.0} ns |");
    }

    let mut batch = BatchBuilder::new(Source::new(SourceId(1), "bench:1", "bench"));
    for seq in 0..1_000 {
        batch.begin(seq, Time::from_secs(1_795_000_000), b"");
        for (name, kind) in [
            ("source.ip", Kind::Address),
            ("destination.ip", Kind::Address),
            ("dns.question.name", Kind::Domain),
            ("url.full", Kind::Url),
            ("process.hash.sha256", Kind::Sha256),
        ] {
            batch.push(name, Value::Str(&value(kind, &mut random)));
        }
        batch.push("message", Value::Str("nothing that is looked at"));
        batch.push("process.pid", Value::Int(7));
    }
    let batch = batch.finish();
    let mut findings = Vec::new();
    let start = cpu();
    let rounds = 200;
    for _ in 0..rounds {
        findings.clear();
        set.matches(black_box(&batch), &mut findings);
    }
    let each = (cpu() - start) / f64::from(rounds) / 1_000.0;
    println!("\nan event with five values: {each:.0} ns, {} findings of 1,000 events", findings.len());
}
