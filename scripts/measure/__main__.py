"""Measures Vedette beside its peers on one corpus, in one run, in CPU seconds.

usage: scripts/bench [EVENTS]    (default 1,000,000; needs `cargo build --release`)

Makes the corpus (fixed seed, templates from the test data), measures the stages of the way in, sends the corpus to a
running `vedette up`, then asks it, DuckDB, chdb and ripgrep the same questions over the same files; tantivy indexes the
same lines. Peers get one thread. Prints a Markdown report and leaves it in target/bench/report-EVENTS.md.
"""

import itertools
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import peers
from node import Node
from questions import HUNTS, RETROHUNTS, TEXT

ROOT = Path(__file__).resolve().parent.parent.parent
WORK = ROOT / "target" / "bench"
DATA = Path(os.environ.get("VEDETTE_DATA", ROOT.parent / "shared" / "data"))
VEDETTE = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / "vedette"
BODY = 1 << 20
# One alert for every value of user.name.
NEEDLE_RULE = """
title: Benchmark needle
id: 5d0f5f3a-66f5-4b0c-9f6c-0d1a5d0e7a11
logsource: {product: bench, service: needle}
detection:
  needle: {user.name|startswith: bench-needle-}
  condition: needle
level: low
"""


class Report:
    def __init__(self):
        self.lines = []

    def say(self, text=""):
        print(text, flush=True)
        self.lines.append(text)

    def table(self, *header):
        self.say()
        self.row(*header)
        self.row(*("---" for _ in header))

    def row(self, *cells):
        self.say("| " + " | ".join(map(str, cells)) + " |")


def corpus(events):
    templates = WORK / "templates"
    if not templates.exists():
        for archive in ("otrf/events.tar.xz", "loghub/loghub-2k.tar.xz"):
            with tarfile.open(DATA / archive) as tar:
                tar.extractall(templates / archive.split("/")[0], filter="data")
    path = WORK / f"corpus-{events}.ndjson"
    if not path.exists():
        partial = path.with_suffix(".partial")
        command = [VEDETTE, "bench", "gen", "--events", str(events), "--templates", templates, "-o", partial]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        partial.rename(path)
    return path


def bodies(path, size=BODY):
    """Whole lines of the file, about `size` bytes at a time."""
    with path.open("rb") as file:
        while lines := file.readlines(size):
            yield b"".join(lines)


def stages(report, path):
    report.table("one thread, no disk", "events/s per CPU second", "MB/s per CPU second")
    rules = [DATA / "sigma" / name for name in ("rules", "rules-emerging-threats", "rules-threat-hunting")]
    for extra, name in (((), ""), (rules, " (public rules)")):
        command = [VEDETTE, "bench", "stages", path, "--scratch", WORK]
        if extra:
            command += ["--rules", *extra]
        for stage in map(json.loads, subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.splitlines()):
            if extra and not stage["rules"]:
                continue
            what = f"{stage['stage']}, {stage['rules']} rules" if stage["rules"] else stage["stage"]
            per_second = stage["events"] / stage["cpu_seconds"]
            report.row(what, f"{per_second:,.0f}", f"{per_second * stage['bytes'] / stage['events'] / 1e6:,.0f}")


def way_in(report, node, path, events, raw):
    """The whole corpus through `/ingest`, over four connections, until it lies sealed in segments."""
    cpu, wall, received = node.cpu(), time.perf_counter(), 0
    with ThreadPoolExecutor(4) as senders:
        window = []
        for body in bodies(path):
            window.append(senders.submit(node.send, body))
            if len(window) >= 8:
                received += window.pop(0).result()["received"]
        received += sum(answer.result()["received"] for answer in window)
    taken, taken_cpu = time.perf_counter() - wall, node.cpu() - cpu
    health = node.settle()
    wall, cpu = time.perf_counter() - wall, node.cpu() - cpu
    report.table("way in, whole: receive, fsync, parse, detect, seal, index", "figure")
    report.row("events/s per CPU second", f"{events / cpu:,.0f}")
    report.row("events/s of wall clock until all is sealed (the sender takes its share of the cores)", f"{events / wall:,.0f}")
    report.row("events/s acknowledged (wall clock; CPU s)", f"{events / taken:,.0f} ({taken_cpu:.1f} of {cpu:.1f})")
    report.row("most memory (VmHWM)", f"{node.memory('VmHWM'):.0f} MB")
    cpu = node.cpu()
    node.compacted()
    report.row("compaction afterwards, CPU s", f"{node.cpu() - cpu:.1f}")
    health = node.get("/api/v1/health/detail")
    sources = {source["name"]: source for source in node.get("/api/v1/sources")["sources"]}
    report.row("received, stored, refused, shed", "{received}, {stored}, {refused}, {shed}".format(**sources["http:bench"]))
    return health["store"]


def on_disk(report, store, path, raw, indexed):
    (spent, count, text, size), compressed = indexed, peers.zstd(path)
    report.table("on disk", "bytes", "of raw")
    report.row("Vedette: segments with token index", f"{store['bytes']:,}", f"{store['bytes'] / raw:.3f}")
    report.row("zstd -3 of the raw file, nothing else", f"{compressed:,}", f"{compressed / raw:.3f}")
    report.row(f"tantivy (one field, stored, {count:,} events)", f"{size:,}", f"{size / text:.3f}")
    report.say()
    report.say(f"tantivy indexes {count / spent:,.0f} events/s per CPU second.")


def search(report, node, files, path):
    duck, ch = peers.duckdb(files), peers.chdb(files)
    report.say()
    report.say("CPU seconds of one question, best of three, warm page cache (rows or groups in the answer).")
    report.table("question", "Vedette", "DuckDB", "chdb", "ripgrep on raw", "Vedette / best peer on the same files")
    for name, hunt in HUNTS.items():
        # What Vedette keeps of itself has these very questions in it; the corpus ends before.
        spent, rows = node.hunt(hunt, "2026-11-10T00:00:00Z" if name in TEXT else None)
        lines = f"{peers.ripgrep(TEXT[name], path):.3f}" if name in TEXT else "–"
        best = min(duck[name][0], ch[name][0])
        peer = lambda answer: f"{answer[name][0]:.3f} ({answer[name][1]})"
        report.row(name, f"{spent:.4f} ({rows})", peer(duck), peer(ch), lines, f"{spent / best:.3f}")


def retrohunts(report, node):
    report.table("one rule over all of history", "wall s", "CPU s", "events looked at", "findings")
    for what, rule in RETROHUNTS.items():
        wall, cpu, hunt = min((node.retrohunt((DATA / "sigma" / rule).read_text()) for _ in range(3)), key=lambda run: run[1])
        found = sum(rule["findings"] for rule in hunt["rules"])
        report.row(f"{what} (`{Path(rule).stem}`)", f"{wall:.2f}", f"{cpu:.2f}", f"{hunt['events_read']:,}", f"{found:,}")


def delay(report, node, path, per_second=10_000, seconds=30):
    """From the moment an event is sent, under load, to its alert on the event stream."""
    sent, seen = {}, {}

    def watch():
        for alert in node.alerts():
            for entity in alert["entities"]:
                if entity["value"] in sent and entity["value"] not in seen:
                    seen[entity["value"]] = time.perf_counter()

    def needles():
        for n in range(seconds * 4):
            name = f"bench-needle-{n}"
            sent[name] = time.perf_counter()
            node.send(json.dumps({"user.name": name, "event.dataset": "bench.needle", "message": "needle"}).encode() + b"\n")
            time.sleep(max(0, start + (n + 1) / 4 - time.perf_counter()))

    threading.Thread(target=watch, daemon=True).start()
    time.sleep(1)
    cpu, start = node.cpu(), time.perf_counter()
    needle_thread = threading.Thread(target=needles)
    needle_thread.start()
    # A short corpus comes round again.
    load, count = itertools.chain.from_iterable(bodies(path, 76 * per_second) for _ in itertools.count()), 0
    for n in range(seconds * 10):
        body = next(load)
        count += body.count(b"\n")
        node.send(body)
        time.sleep(max(0, start + (n + 1) / 10 - time.perf_counter()))
    needle_thread.join()
    rate, share = count / (time.perf_counter() - start), (node.cpu() - cpu) / (time.perf_counter() - start)
    time.sleep(5)
    delays = sorted(seen[name] - sent[name] for name in seen)
    report.table(f"event → alert at {rate:,.0f} events/s ({share:.0%} of one core)", "seconds")
    for share in (0.5, 0.95, 0.99):
        report.row(f"p{share * 100:.0f}", f"{delays[min(len(delays) - 1, int(len(delays) * share))]:.2f}")
    report.row(f"alerts seen of {len(sent)} sent", len(seen))


def main():
    events = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    WORK.mkdir(parents=True, exist_ok=True)
    report, path = Report(), corpus(events)
    raw = path.stat().st_size
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    report.say(f"Machine: {os.cpu_count()} cores ({cpu}), {platform.system()} {platform.release().split('-')[0]}.")
    report.say(f"Corpus: {events:,} events, {raw:,} bytes.")

    stages(report, path)
    data = WORK / f"data-{events}"
    shutil.rmtree(data, ignore_errors=True)
    rule = WORK / "needle.yml"
    rule.write_text(NEEDLE_RULE)
    with Node(VEDETTE, data, [rule]) as node:
        time.sleep(10)
        idle, before = node.memory(), node.cpu()
        time.sleep(10)
        report.table("idle", "figure")
        report.row("from start to ready", f"{node.start_seconds:.2f} s")
        report.row("memory", f"{idle:.0f} MB")
        report.row("CPU", f"{(node.cpu() - before) / 10:.2%} of one core")
        store = way_in(report, node, path, events, raw)
        on_disk(report, store, path, raw, peers.tantivy(path, WORK / "tantivy", min(events, 100_000)))
        search(report, node, str(data / "store" / "segments" / "**" / "*.parquet"), path)
        retrohunts(report, node)
        delay(report, node, path)
        report.row("memory after all of this (now, most)", f"{node.memory():.0f} MB, {node.memory('VmHWM'):.0f} MB")
    (WORK / f"report-{events}.md").write_text("\n".join(report.lines) + "\n")


if __name__ == "__main__":
    main()
