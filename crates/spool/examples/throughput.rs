//! How many records per CPU-second the spool makes durable: `cargo run --release -p vedette-spool --example
//! throughput [folder] [appends]`. Four threads append 1,000 records of some 750 bytes each and wait.

use std::{error::Error, path::PathBuf, thread, time::Instant};

use bytes::Bytes;
use vedette_spool::{Options, Spool};

const THREADS: usize = 4;
const RECORDS: usize = 1000;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let appends: usize = arguments.next().map_or(Ok(400), |count| count.parse())?;
    let folder = tempfile::tempdir_in(folder)?;
    let spool = Spool::open(folder.path(), Options { min_free_bytes: 0, ..Options::default() })?;
    let batches: Vec<Vec<Bytes>> = (0..THREADS).map(batch).collect();
    let bytes: usize = batches.iter().flatten().map(Bytes::len).sum::<usize>() / THREADS * appends;

    let (began, cpu_began) = (Instant::now(), cpu_seconds());
    thread::scope(|scope| {
        let threads: Vec<_> = batches
            .iter()
            .enumerate()
            .map(|(index, batch)| {
                let spool = &spool;
                scope.spawn(move || {
                    let source = spool.source(&format!("bulk:{index}"), "bulk", None)?;
                    for _ in 0..appends / THREADS {
                        spool.append(&source, batch.clone())?.wait_blocking()?;
                    }
                    Ok::<(), vedette_spool::Refused>(())
                })
            })
            .collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("a thread does not panic"))
    })?;
    let (seconds, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds() - cpu_began);

    let status = spool.status();
    let records = status.records as f64;
    println!("{records} records of {} bytes in {} frames", bytes / (appends * RECORDS), status.frames);
    println!("{:.0} records per CPU-second, {:.0} per second", records / cpu, records / seconds);
    println!("{:.0} MB per CPU-second", bytes as f64 / 1e6 / cpu);
    println!("{:.3} of the raw size on disk", status.disk_bytes as f64 / bytes as f64);
    Ok(())
}

/// JSON as an endpoint sensor writes it, with varying values.
fn batch(thread: usize) -> Vec<Bytes> {
    let record = |index: usize| {
        let hash = (index * THREADS + thread).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        format!(
            r#"{{"@timestamp":"2026-11-21T04:11:{:02}.{:06}Z","event":{{"code":"1","provider":"Microsoft-Windows-Sysmon","module":"sysmon"}},"host":{{"name":"ws-{:03}.example.org","ip":"10.{}.{}.{}"}},"process":{{"pid":{},"executable":"C:\\Windows\\System32\\cmd.exe","command_line":"cmd.exe /c \"C:\\ProgramData\\job-{hash:016x}.cmd\" --run {index}","parent":{{"pid":{},"executable":"C:\\Windows\\explorer.exe"}},"entity_id":"{{{hash:016x}-{:08x}}}","hash":{{"sha256":"{hash:016x}{:016x}{:016x}{:016x}"}}}},"user":{{"name":"user{}","domain":"EXAMPLE","id":"S-1-5-21-1004336348-1177238915-682003330-{}"}},"winlog":{{"channel":"Microsoft-Windows-Sysmon/Operational","record_id":{},"computer_name":"ws-{:03}.example.org"}}}}"#,
            index % 60,
            hash % 1_000_000,
            hash % 400,
            hash % 251,
            hash % 241,
            hash % 239,
            hash % 65_521,
            hash % 32_749,
            index,
            hash.rotate_left(13),
            hash.rotate_left(29),
            hash.rotate_left(47),
            hash % 97,
            1000 + hash % 97,
            index,
            hash % 400,
        )
    };
    (0..RECORDS).map(|index| record(index).into()).collect()
}

/// CPU time of this process, all threads: user and system ticks of 10 ms (proc(5), stat).
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}
