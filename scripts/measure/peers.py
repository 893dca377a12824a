"""The peers. Each runs in a process of its own and with one thread, so that its CPU time is its own."""

import json
import subprocess
import sys

from questions import sql

DUCKDB = """
import duckdb, json, sys, time
files, questions = sys.argv[1], json.loads(sys.argv[2])
db = duckdb.connect()
db.execute("set threads=1")
db.execute("set enable_progress_bar=false")  # which goes to standard output
db.execute(f"create view events as select * from read_parquet('{files}', hive_partitioning=false)")
def ask(sql):
    return len(db.execute(sql).fetchall())
"""

CHDB = """
import json, sys, time
from chdb import session
files, questions = sys.argv[1], json.loads(sys.argv[2])
db = session.Session()
def ask(sql):
    sql = sql.replace("FROM events", f"FROM file('{files}', Parquet)") + " SETTINGS max_threads=1"
    return len(db.query(sql, "CSV").bytes().splitlines())
"""

ASK_ALL = """
answers = {}
for name, sql in questions.items():
    spent = []
    for _ in range(3):
        before = time.process_time(); rows = ask(sql); spent.append(time.process_time() - before)
    answers[name] = [min(spent), rows]
print(json.dumps(answers))
"""

TANTIVY = """
import json, os, shutil, sys, time, tantivy
corpus, folder, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
shutil.rmtree(folder, ignore_errors=True); os.makedirs(folder)
builder = tantivy.SchemaBuilder(); builder.add_text_field("raw", stored=True)
index = tantivy.Index(builder.build(), path=folder); writer = index.writer(128 << 20, 1)
before, size = time.process_time(), 0
with open(corpus, encoding="utf-8", errors="replace") as lines:
    for n, line in zip(range(count), lines):
        size += len(line.encode()); writer.add_document(tantivy.Document(raw=line.rstrip("\\n")))
writer.commit(); writer.wait_merging_threads()
spent = time.process_time() - before
print(json.dumps([spent, n + 1, size, sum(entry.stat().st_size for entry in os.scandir(folder))]))
"""

ZSTD = """
import json, sys, zstandard
with open(sys.argv[1], "rb") as file:
    print(json.dumps(sum(len(part) for part in zstandard.ZstdCompressor(level=3).read_to_iter(file))))
"""

# The clock of a terminated child is the only one that holds a short process's time exactly.
RIPGREP = """
import json, resource, subprocess, sys
spent = []
for _ in range(3):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(["rg", "-c", "-F", "-j1", sys.argv[1], sys.argv[2]], stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
print(json.dumps(min(spent)))
"""


def child(code, *arguments):
    """Runs Python code in a fresh process; the last line that it prints is JSON."""
    done = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout.decode().strip().splitlines()[-1])


def duckdb(files):
    return child(DUCKDB + ASK_ALL, files, json.dumps(sql("duckdb")))


def chdb(files):
    return child(CHDB + ASK_ALL, files, json.dumps(sql("chdb")))


def tantivy(corpus, folder, count):
    """CPU seconds, documents, their bytes, bytes of the index (with the stored text)."""
    return child(TANTIVY, corpus, folder, count)


def ripgrep(needle, path):
    return child(RIPGREP, needle, path)


def zstd(path):
    """Bytes of the whole file at level 3, in one piece: what no format with random access reaches."""
    return child(ZSTD, path)
