"""A running Vedette: its CPU time, its memory, its API over the local socket."""

import http.client
import json
import socket
import subprocess
import threading
import time


class LocalConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("local", timeout=600)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self.path))


class Node:
    """`vedette up` on a data folder, until the end of a `with` block."""

    def __init__(self, binary, data, rules=()):
        data.mkdir(parents=True, exist_ok=True)
        config = data.parent / f"{data.name}.yml"
        config.write_text(json.dumps({
            "console": {"listen": "127.0.0.1:0"},
            "receivers": {"syslog": [], "http": [{"listen": "127.0.0.1:0"}], "journald": "off", "local_files": False},
            "detection": {"rules": [str(rule) for rule in rules]},
            "storage": {"seal_after_seconds": 5},
        }))
        self.socket = data / "vedette.sock"
        started = time.perf_counter()
        command = [binary, "up", "--data", data, "--config", config]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.ingest = None
        for line in self.process.stdout:
            words = line.split()
            if words[0] == "listening" and "http" in words[1]:
                self.ingest = words[2]
            if words == ["ready"]:
                break
        self.start_seconds = time.perf_counter() - started
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(timeout=600)

    def cpu(self):
        """CPU seconds of the process so far, all threads."""
        return time.clock_gettime((~self.process.pid << 3) | 2)  # CPUCLOCK_SCHED of the process

    def memory(self, what="VmRSS"):
        """In MB; `VmHWM` is the most so far."""
        for line in open(f"/proc/{self.process.pid}/status"):
            if line.startswith(what):
                return int(line.split()[1]) / 1024

    def get(self, path):
        return self.ask("GET", path)

    def ask(self, method, path, body=None):
        connection = LocalConnection(self.socket)
        connection.request(method, path, json.dumps(body) if body else None, {"content-type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise SystemExit(f"{path} answered {answer.status}: {text[:200]}")
        return json.loads(text)

    def retrohunt(self, text):
        """One rule over all of history: seconds of wall clock, CPU seconds of the whole server, what it came to."""
        cpu, begun = self.cpu(), time.perf_counter()
        number = self.ask("POST", "/api/v1/retrohunts", {"text": text, "days": 3650})["id"]
        while True:
            hunt = self.get(f"/api/v1/retrohunts/{number}")
            if hunt["state"] not in ("waiting", "running"):
                break
            time.sleep(0.02)
        if hunt["state"] != "done":
            raise SystemExit(f"the retro-hunt {hunt['state']}: {hunt['failure']}")
        return time.perf_counter() - begun, self.cpu() - cpu, hunt

    def hunt(self, query, until=None):
        """Best of three: CPU seconds of the whole server, rows."""
        spent = []
        for _ in range(3):
            connection = LocalConnection(self.socket)
            before = self.cpu()
            body = json.dumps({"query": query, "to": until, "limit": 100_000})
            connection.request("POST", "/api/v1/search?format=lines", body, {"content-type": "application/json"})
            answer = connection.getresponse()
            rows = sum(1 for _ in answer)
            if answer.status != 200:
                raise SystemExit(f"{query}: {answer.status}")
            spent.append(self.cpu() - before)
        return min(spent), rows

    def settle(self):
        """Waits until everything that came in lies in segments."""
        while True:
            health = self.get("/api/v1/health/detail")
            if health["store"]["tail_events"] == 0 and health["spool"]["queued_bytes"] == 0:
                return health
            time.sleep(0.5)

    def compacted(self):
        """Waits until the segments have been the same for longer than maintenance sleeps."""
        before, since = None, time.perf_counter()
        while time.perf_counter() - since < 75:
            segments = self.get("/api/v1/health/detail")["store"]["segments"]
            if segments != before:
                before, since = segments, time.perf_counter()
            time.sleep(1)

    def send(self, body):
        """One request to `/ingest`, on a connection of this thread; returns how many records are durable."""
        if not hasattr(LOCAL, "connection") or LOCAL.to != self.ingest:
            LOCAL.to, LOCAL.connection = self.ingest, http.client.HTTPConnection(self.ingest, timeout=600)
        while True:
            LOCAL.connection.request("POST", "/ingest?source=bench", body, {"content-type": "application/x-ndjson"})
            answer = LOCAL.connection.getresponse()
            text = answer.read()
            if answer.status == 200:
                return json.loads(text)
            if answer.status != 429:
                raise SystemExit(f"/ingest answered {answer.status}: {text[:200]}")
            time.sleep(0.05)

    def alerts(self):
        """Alerts as they open or change, from the event stream."""
        connection = LocalConnection(self.socket)
        connection.request("GET", "/api/v1/alerts/stream", headers={"accept": "text/event-stream"})
        for line in connection.getresponse():
            if line.startswith(b"data:"):
                yield json.loads(line[5:])


LOCAL = threading.local()
