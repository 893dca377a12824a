"""Measures Vedette beside its peers on one corpus, in one run, in CPU seconds.

usage: bench.py [EVENTS]

Makes the corpus (fixed seed, templates from ../shared/data), brings it into Vedette stage by stage, then asks Vedette,
DuckDB, chdb and ripgrep the same questions and tantivy to index the same lines. Every peer gets one thread. Prints a
Markdown report and leaves it in target/bench/report.md.
"""

import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "target" / "bench"
DATA = Path(os.environ.get("VEDETTE_DATA", ROOT.parent / "shared" / "data"))
VEDETTE = ROOT / "target" / "release" / "vedette"
NEEDLE_IP = "10.23.44.7"
NEEDLE_GUID = "5f3c9a1e-77aa-4be1-9c0d-0123456789ab"


def run(command, **options):
    """Runs a command; returns (CPU seconds of it and its children, wall seconds, stdout)."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False, **options)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in (0, 1):
        raise SystemExit(f"{command[0]} failed with {done.returncode}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, wall, done.stdout.decode(errors="replace")


def child(code, *arguments):
    """Runs Python code in a fresh process, so that its CPU time is its own; the last line it prints is JSON."""
    cpu, wall, out = run([sys.executable, "-c", code, *map(str, arguments)])
    return cpu, wall, json.loads(out.strip().splitlines()[-1])


def templates():
    folder = WORK / "templates"
    if not folder.exists():
        for archive in ("otrf/events.tar.xz", "loghub/loghub-2k.tar.xz"):
            with tarfile.open(DATA / archive) as tar:
                tar.extractall(folder / archive.split("/")[0], filter="data")
    return folder


def corpus(events):
    path = WORK / f"corpus-{events}.ndjson"
    if not path.exists():
        run([VEDETTE, "bench", "gen", "--events", str(events), "--templates", templates(), "-o", path])
    return path


def folder_bytes(folder, *endings):
    return sum(f.stat().st_size for f in folder.rglob("*") if f.is_file() and (not endings or f.suffix in endings))


DUCKDB = """
import duckdb, json, sys, time, resource
files, queries = sys.argv[1], json.loads(sys.argv[2])
c = duckdb.connect(); c.execute("set threads=1"); c.execute(f"create view events as select * from read_parquet('{files}', hive_partitioning=false)")
answers = {}
c.execute("select count(*) from events").fetchall()
for name, sql in queries.items():
    t = time.process_time(); rows = c.execute(sql).fetchall(); answers[name] = [time.process_time() - t, len(rows), str(rows[:1])[:80]]
print(json.dumps(answers))
"""

CHDB = """
import json, sys, time
import chdb
from chdb import session
files, queries = sys.argv[1], json.loads(sys.argv[2])
s = session.Session()
answers = {}
s.query(f"select count() from file('{files}', Parquet)", "CSV")
for name, sql in queries.items():
    t = time.process_time(); rows = s.query(sql.replace("FROM events", f"FROM file('{files}', Parquet)") + " SETTINGS max_threads=1", "CSV").bytes().decode(errors="replace").splitlines()
    answers[name] = [time.process_time() - t, len(rows), rows[0][:80] if rows else ""]
print(json.dumps(answers))
"""

TANTIVY = """
import json, shutil, sys, time, tantivy
corpus, folder, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
shutil.rmtree(folder, ignore_errors=True); import os; os.makedirs(folder)
b = tantivy.SchemaBuilder(); b.add_text_field("raw", stored=True); schema = b.build()
index = tantivy.Index(schema, path=folder); w = index.writer(128 << 20, 1)
t = time.process_time()
with open(corpus, encoding="utf-8", errors="replace") as lines:
    for n, line in enumerate(lines):
        if n == count: break
        w.add_document(tantivy.Document(raw=line.rstrip("\\n")))
w.commit(); w.wait_merging_threads()
size = sum(os.path.getsize(os.path.join(folder, f)) for f in os.listdir(folder))
print(json.dumps([time.process_time() - t, n, size]))
"""

HUNTS = {
    "rare address": NEEDLE_IP,
    "rare GUID": NEEDLE_GUID,
    "half a GUID (infix)": "*1e-77aa-4be1-9c0*",
    "phrase, many hits: count": '"authentication failure" | summarize n=count()',
    "field and 6 h: count": "source.ip:10.1.0.1 and @timestamp:[2026-11-01T06:00:00Z to 2026-11-01T12:00:00Z] | summarize n=count()",
    "top 10 users": "* | summarize n=count() by user.name | sort n desc | take 10",
    "events per minute": "* | summarize n=count() by bin(@timestamp, 1m)",
}


def sql(dialect):
    raw = '"event.original"' if dialect == "chdb" else 'decode("event.original")'
    at = '"@timestamp"'
    like = (lambda needle: f"position({raw}, '{needle}') > 0") if dialect == "chdb" else (
        lambda needle: f"contains({raw}, '{needle}')")
    minute = f"toStartOfMinute({at})" if dialect == "chdb" else f"date_trunc('minute', {at})"
    count = "count()" if dialect == "chdb" else "count(*)"
    span = f"{at} >= '2026-11-01 06:00:00' and {at} < '2026-11-01 12:00:00'"
    return {
        "rare address": f'SELECT "vedette.seq" FROM events WHERE {like(NEEDLE_IP)}',
        "rare GUID": f'SELECT "vedette.seq" FROM events WHERE {like(NEEDLE_GUID)}',
        "half a GUID (infix)": f'SELECT "vedette.seq" FROM events WHERE {like("1e-77aa-4be1-9c0")}',
        "phrase, many hits: count": f"SELECT {count} FROM events WHERE {like('authentication failure')}",
        "field and 6 h: count": f"SELECT {count} FROM events WHERE \"source.ip\" = '10.1.0.1' and {span}",
        "top 10 users": f'SELECT "user.name", {count} AS n FROM events GROUP BY "user.name" ORDER BY n DESC LIMIT 10',
        "events per minute": f"SELECT {minute} AS m, {count} FROM events GROUP BY m",
    }


def main():
    events = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    WORK.mkdir(parents=True, exist_ok=True)
    lines, path = [], corpus(events)
    say = lambda text="": (print(text, flush=True), lines.append(text))
    raw_bytes = path.stat().st_size
    cpu_name = next((l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), "?")
    say(f"Machine: {os.cpu_count()} cores ({cpu_name}), {platform.platform()}. Corpus: {events:,} events, {raw_bytes:,} bytes.")
    say()

    data = WORK / f"data-{events}"
    shutil.rmtree(data, ignore_errors=True)
    _, _, out = run([VEDETTE, "bench", "ingest", path, "--data", data])
    say("| way in | events/s per CPU second | CPU s | wall s | peak memory |")
    say("|---|---|---|---|---|")
    for stage in map(json.loads, out.splitlines()):
        say(f"| {stage['stage']} | {stage['events'] / stage['cpu_seconds']:,.0f} | {stage['cpu_seconds']:.1f} | {stage['wall_seconds']:.1f} | {stage['peak_rss_mb']} MB |")
    count = min(events, 100_000)
    cpu, _, (_, indexed, size) = child(TANTIVY, path, WORK / "tantivy", count)
    say(f"| tantivy (Python binding), one field, {indexed:,} events | {indexed / cpu:,.0f} | {cpu:.1f} | | |")
    say()

    say("| on disk | bytes | of raw |")
    say("|---|---|---|")
    parquet, total = folder_bytes(data, ".parquet"), folder_bytes(data)
    for name, value in (("Parquet", parquet), ("everything else (token sidecar, manifest)", total - parquet), ("all", total),
                        ("tantivy, extrapolated", size * events // max(indexed, 1))):
        say(f"| {name} | {value:,} | {value / raw_bytes:.3f} |")
    say()

    files = str(data / "store" / "segments" / "**" / "*.parquet")
    _, _, duck = child(DUCKDB, files, json.dumps(sql("duckdb")))
    try:
        _, _, ch = child(CHDB, files, json.dumps(sql("chdb")))
    except (SystemExit, json.JSONDecodeError) as error:
        say(f"chdb did not run: {error}")
        ch = {}
    base, _, _ = run([VEDETTE, "hunt", "event.kind:nosuchkind", "--data", data, "-o", "json"])
    say(f"CPU seconds, one thread, warm page cache. Vedette's start of process ({base:.2f} s) is inside its figures.")
    say()
    say("| question | Vedette | DuckDB | chdb | ripgrep on raw |")
    say("|---|---|---|---|---|")
    for name, hunt in HUNTS.items():
        run([VEDETTE, "hunt", hunt, "--data", data, "-o", "json", "-n", "0"])
        cpu, _, out = run([VEDETTE, "hunt", hunt, "--data", data, "-o", "json", "-n", "0"])
        needle = {"rare address": NEEDLE_IP, "rare GUID": NEEDLE_GUID, "half a GUID (infix)": "1e-77aa-4be1-9c0",
                  "phrase, many hits: count": "authentication failure"}.get(name)
        rg = f"{run(['rg', '-c', '-F', '-j1', needle, path])[0]:.2f}" if needle else "–"
        peer = lambda answers: f"{answers[name][0]:.3f} ({answers[name][1]})" if name in answers else "–"
        say(f"| {name} | {cpu:.3f} ({len(out.splitlines())}) | {peer(duck)} | {peer(ch)} | {rg} |")
    (WORK / "report.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
