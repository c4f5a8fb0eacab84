"""Lines from the generator, and what sends them: `lpsend` for throughput, `Writers` where each request's time is
wanted."""

import glob
import http.client
import json
import os
import shutil
import subprocess
import threading
import time
import urllib.parse

from servers import DB

STEP_S = 10

# Midnight in UTC, 15 November 2023: a day of lines is one day of files.
MIDNIGHT_S = 1_700_006_400


class Lines:
    """A folder of generated requests: `path`, `files`, `lines`, `samples`, `series`, `bytes`."""

    def __init__(self, work, name, kind="cpu", hosts=100, points=100, start=MIDNIGHT_S, batch_lines=5000, gzip=False):
        self.path, self.gzip = os.path.join(work, name), gzip
        self.start, self.points = start, points
        command = [tool("lpgen"), self.path, "--kind", kind, "--hosts", hosts, "--points", points, "--start", start]
        done = subprocess.run([str(part) for part in [*command, "--step-s", STEP_S, "--batch-lines", batch_lines]],
                              capture_output=True, text=True, check=True)
        made = json.loads(done.stdout.splitlines()[-1])
        self.files, self.lines, self.samples = made["files"], made["lines"], made["samples"]
        self.series, self.bytes = made["series"], made["bytes"]
        if gzip:
            for path in self.paths():
                subprocess.run(["gzip", "-1", path], check=True)
        os.sync()  # what the kernel has still to write would be in the way of the servers' own syncs

    @property
    def end(self):
        return self.start + (self.points - 1) * STEP_S

    def paths(self):
        return sorted(glob.glob(f"{self.path}/*.lp") + glob.glob(f"{self.path}/*.lp.gz"))

    def remove(self):
        shutil.rmtree(self.path)


def tool(name):
    return os.path.join(os.environ["BENCH_TOOLS"], name)


def send(server, lines, first=0, last=10**9, conns=2):
    """Sends the files [first, last) as fast as they are answered; what lpsend measured: wall_s, p50_ms, p99_ms, max_ms,
    server_cpu_s until the last answer."""
    command = [tool("lpsend"), lines.path, "--url", f"{server.url}/write?db={DB}", "--conns", str(conns)]
    command += ["--pid", str(server.pid), "--from", str(first), "--to", str(last)]
    report = run_sender(command + (["--gzip"] if lines.gzip else []))
    assert [status.split(":")[0] for status in report["statuses"]] == ["204"], report
    return report


def send_datagrams(address, lines, a_second=0, datagram=1400):
    """Sends all lines in datagrams; 0 a second is as fast as it goes. packets, lines, send_failed, pps."""
    command = [tool("lpsend"), lines.path, "--udp", "%s:%d" % address, "--datagram", str(datagram)]
    return run_sender([*command, "--pps", str(a_second)])


def run_sender(command):
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.replace("NaN", "null"))


class Writers:
    """A context in which `conns` connections send the requests of `paths` one after the other, from the first again
    where they do not last; `pause_s` between two requests of a connection. `times` has (begin, end) of each, by
    time.perf_counter."""

    def __init__(self, server, paths, conns=2, pause_s=0, db=DB):
        self.server, self.pause_s, self.db = server, pause_s, db
        self.bodies = [open(path, "rb").read() for path in paths]
        self.times, self.failed, self.sent, self.over = [], None, 0, threading.Event()
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.run) for _ in range(conns)]

    def run(self):
        connection = http.client.HTTPConnection(urllib.parse.urlsplit(self.server.url).netloc, timeout=120)
        try:
            while not self.over.is_set():
                with self.lock:
                    body, self.sent = self.bodies[self.sent % len(self.bodies)], self.sent + 1
                begin = time.perf_counter()
                connection.request("POST", f"/write?db={self.db}", body)
                answer = connection.getresponse()
                answer.read()
                self.times.append((begin, time.perf_counter()))
                assert answer.status in (200, 204), answer.status
                self.over.wait(self.pause_s)
        except Exception as error:  # told at the end
            self.failed = error
        finally:
            connection.close()

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()
        if self.failed:
            raise self.failed

    def wait_for(self, requests, limit_s=120):
        """Until so many requests have been answered since now."""
        want, limit = len(self.times) + requests, time.monotonic() + limit_s
        while len(self.times) < want and not self.failed and time.monotonic() < limit:
            time.sleep(0.005)

    def took_ms(self, begin, end):
        """Milliseconds of the requests that were under way at some time between the two."""
        return [(b - a) * 1e3 for a, b in self.times if b > begin and a < end]
