"""The two servers as child processes on free ports, with folders of their own, stopped by their pids; and what the
kernel tells of them."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "integration"))
from daemon import Daemon  # noqa: E402

DB = "bench"

# A server is at rest when it has used less than this of a core for so many seconds. The peer writes to its disk every
# five seconds, so a shorter rest would not count that.
REST_SHARE, REST_S, REST_LIMIT_S = 0.05, 6, 120


def fetch(url, method, path, body=None, headers=()):
    """Status and body of one request, on a connection of its own."""
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=600)
    try:
        connection.request(method, path, body, dict(headers))
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


class Server:
    """What both have: `name`, `url`, `pid`, `folder` (removed at the end, unless `keep`)."""

    def rss_mib(self, key="VmRSS"):
        with open(f"/proc/{self.pid}/status", encoding="ascii") as status:
            line = next(line for line in status if line.startswith(f"{key}:"))
        return int(line.split()[1]) / 1024

    def cpu_s(self):
        """User and system time so far."""
        with open(f"/proc/{self.pid}/stat", encoding="utf-8") as stat:
            fields = stat.read().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rest(self):
        """Waits until the server has nothing more to do; gives the CPU seconds that it has used by then."""
        quiet, before, limit = 0, self.cpu_s(), time.monotonic() + REST_LIMIT_S
        while quiet < REST_S and time.monotonic() < limit:
            time.sleep(1)
            now = self.cpu_s()
            quiet = quiet + 1 if now - before < REST_SHARE else 0
            before = now
        return before

    def peak_mib(self, work):
        """The most resident memory while `work` runs, and what it gives."""
        with open(f"/proc/{self.pid}/clear_refs", "w", encoding="ascii") as reset:
            reset.write("5")
        result = work()
        return self.rss_mib("VmHWM"), result

    def disk_bytes(self):
        paths = (os.path.join(at, name) for at, _, names in os.walk(self.data) for name in names)
        return sum(os.path.getsize(path) for path in paths)

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class Sealine(Server):
    """Sealine with its defaults, but that it stores no metrics of its own: a 204 waits for fdatasync.
    `settings` as in SEALINE__…, without that prefix."""

    name = "Sealine"

    def __init__(self, work, binary=None, **settings):
        self.folder = os.path.join(work, "sealine")
        self.data = os.path.join(self.folder, "data")
        os.makedirs(self.folder)
        self.daemon = Daemon(binary or os.environ["SEALINE_BIN"], self.folder, UDP__DATABASE=DB, **settings)

    def __enter__(self):
        self.daemon.__enter__()
        self.url, self.pid, self.udp = self.daemon.url, self.daemon.process.pid, self.daemon.udp
        return self

    def kill(self):
        self.daemon.kill()

    def stop(self):
        if self.daemon.process.poll() is None:
            self.daemon.__exit__()

    def admin(self, path):
        """Seconds that `POST path` takes."""
        began = time.monotonic()
        status, body = fetch(self.url, "POST", path)
        assert status == 200, (path, status, body[:300])
        return time.monotonic() - began

    def seal(self):
        return self.admin("/admin/seal")

    def archive(self):
        return self.admin("/admin/archive?force=1")

    def status(self):
        return json.loads(fetch(self.url, "GET", "/admin/status")[1])

    def metric(self, start):
        """The sum of the lines of /metrics that start so."""
        page = fetch(self.url, "GET", "/metrics")[1].decode()
        return sum(float(line.rsplit(" ", 1)[1]) for line in page.splitlines() if line.startswith(start))


class Peer(Server):
    """VictoriaMetrics with what its documentation names for old times and many series; a 204 waits for nothing."""

    name = "VictoriaMetrics"

    def __init__(self, work, *flags):
        self.folder = self.data = os.path.join(work, "peer")
        self.flags = flags

    def __enter__(self):
        self.start()
        return self

    def start(self):
        """Seconds until it answers."""
        http_port, influx_port = free_ports(2)
        self.influx = ("127.0.0.1", influx_port)
        flags = [f"-storageDataPath={self.data}", f"-httpListenAddr=127.0.0.1:{http_port}"]
        flags += [f"-influxListenAddr=127.0.0.1:{influx_port}", "-retentionPeriod=100y", "-search.latencyOffset=0s"]
        flags += ["-search.maxUniqueTimeseries=20000000", "-search.maxSeries=20000000", "-loggerLevel=ERROR"]
        self.url = f"http://127.0.0.1:{http_port}"
        began = time.monotonic()
        self.process = subprocess.Popen([os.environ["PEER"], *flags, *self.flags], stderr=subprocess.DEVNULL)
        self.pid = self.process.pid
        while True:
            try:
                if fetch(self.url, "GET", "/health")[0] == 200:
                    return time.monotonic() - began
            except OSError:
                pass
            assert self.process.poll() is None, "victoria-metrics ended"
            time.sleep(0.005)

    def merge(self):
        """All parts of a month into one, which it does by itself only for months that are over."""
        fetch(self.url, "GET", "/internal/force_merge")
        self.rest()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        """Its files are complete after this only."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(300)
            except subprocess.TimeoutExpired:
                self.kill()
                raise


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    try:
        for probe in sockets:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in sockets]
    finally:
        for probe in sockets:
            probe.close()


class Beside(threading.Thread):
    """Runs `work` on a thread; `result()` waits for what it gives, or raises what it raised."""

    def __init__(self, work):
        super().__init__()
        self.work, self.outcome, self.error = work, None, None
        self.start()

    def run(self):
        self.began = time.perf_counter()
        try:
            self.outcome = self.work()
        except BaseException as error:  # handed to whoever asks
            self.error = error
        self.ended = time.perf_counter()

    def result(self):
        self.join()
        if self.error:
            raise self.error
        return self.outcome
