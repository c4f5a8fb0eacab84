"""The two that are asked: both are loaded with the same data and then only read."""

import http.client
import json
import socket
import subprocess
import threading
import time
import urllib.parse

from . import data

START_TIMEOUT_S = 30
ANSWER_TIMEOUT_S = 60
BODY_LINES = 20_000


class Peer:
    """Answers queries over kept-alive connections, one for each thread that asks."""

    def __init__(self, name, host, port):
        self.name, self.host, self.port = name, host, port
        self.local = threading.local()

    def ask(self, path, parameters):
        """The status and the decoded body."""
        body = urllib.parse.urlencode(parameters)
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        for last in (False, True):
            if not hasattr(self.local, "connection"):
                self.local.connection = http.client.HTTPConnection(self.host, self.port, timeout=ANSWER_TIMEOUT_S)
            try:
                self.local.connection.request("POST", path, body, headers)
                response = self.local.connection.getresponse()
                return response.status, json.loads(response.read())
            except (http.client.HTTPException, OSError):
                # A connection that was idle for long may have been closed; a new one must do.
                self.local.connection.close()
                del self.local.connection
                if last:
                    raise


def load(daemon, all_series):
    """Gives the daemon the first half of the data, which it seals and archives, and the rest, which stays in memory."""
    write(daemon, data.line_protocol(all_series, data.START_MS, data.MIDDLE_MS))
    for action in ("seal", "archive?force=1"):
        answer = daemon.request("POST", f"/admin/{action}")
        assert answer.status == 200, answer.body
    write(daemon, data.line_protocol(all_series, data.MIDDLE_MS, data.END_MS))
    held = daemon.request("GET", "/admin/status").json()["databases"]["side"]
    halves = [held[tier]["samples"] for tier in ("disk", "memory")]
    assert all(halves) and sum(halves) == sum(len(series.samples) for series in all_series), held
    assert held["partitions"] == 2, held
    return Peer("sealine", *daemon.http)


def write(daemon, lines):
    lines = lines.splitlines()
    for at in range(0, len(lines), BODY_LINES):
        answer = daemon.request("POST", "/write?db=side&precision=ms", "\n".join(lines[at : at + BODY_LINES]).encode())
        assert answer.status == 204, answer.body


class Prometheus:
    """Debian's Prometheus over blocks that its promtool made of a text in the OpenMetrics format.

    Use as a context manager that gives a `Peer`."""

    def __init__(self, prometheus, promtool, folder, open_metrics):
        text = folder / "data.om"
        text.write_text(open_metrics, encoding="utf-8")
        command = [promtool, "tsdb", "create-blocks-from", "openmetrics", "--quiet", str(text), str(folder / "blocks")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        text.unlink()
        (folder / "prometheus.yml").write_text("{}\n")
        self.command, self.folder = prometheus, folder

    def __enter__(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        log_path = self.folder / "prometheus.log"
        with open(log_path, "wb") as log:
            self.process = subprocess.Popen(
                [
                    self.command,
                    f"--config.file={self.folder / 'prometheus.yml'}",
                    f"--storage.tsdb.path={self.folder / 'blocks'}",
                    "--storage.tsdb.retention.time=100y",
                    f"--web.listen-address=127.0.0.1:{port}",
                    "--log.level=warn",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        peer = Peer("prometheus", "127.0.0.1", port)
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            assert self.process.poll() is None, f"prometheus ended: {log_path.read_text()}"
            try:
                if peer.ask("/api/v1/query", {"query": "1", "time": "0"})[0] == 200:
                    return peer
            except (http.client.HTTPException, OSError, ValueError):
                pass
            time.sleep(0.05)
        self.__exit__()
        raise AssertionError(f"prometheus is not ready after {START_TIMEOUT_S} s: {log_path.read_text()}")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(START_TIMEOUT_S)
