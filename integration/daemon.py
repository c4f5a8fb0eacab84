"""The daemon as a child process: started on free ports of this machine with a folder of its own, stopped by its pid."""

import gzip
import http.client
import json
import os
import signal
import subprocess
import time
import urllib.parse

START_TIMEOUT_S = 30
STOP_TIMEOUT_S = 20

# What the daemon's log says when it has bound an address, and what we call that address.
ADDRESSES = {"serving HTTP": "http", "taking lines by UDP": "udp", "taking lines by TCP": "tcp"}


class Answer:
    """An HTTP answer: `status`, `headers` (names in lower case), `body` as bytes, `json()`."""

    def __init__(self, response):
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()

    def json(self):
        return json.loads(self.body)


class Daemon:
    """Use as a context manager, again on the same folder if need be. `http`, `udp` and `tcp` are (host, port), read from
    the daemon's log."""

    def __init__(self, binary, folder, config=None, **settings):
        self.binary = binary
        self.config = config
        self.folder = folder
        self.log_path = os.path.join(folder, "log.json")
        self.settings = {f"SEALINE__{key}": value for key, value in settings.items()}

    def __enter__(self):
        environment = {
            "SEALINE__LOG__FORMAT": "json",
            "SEALINE__TCP__LISTEN": "127.0.0.1:0",
            # Tests count series and databases; those about the daemon's own turn it on.
            "SEALINE__TELEMETRY__STORE_INTERVAL": "0",
            **self.settings,
        }
        command = [self.binary, "serve", "--data-dir", os.path.join(self.folder, "data")]
        command += ["--config", self.config] if self.config else []
        command += ["--http", "127.0.0.1:0", "--udp", "127.0.0.1:0"]
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stderr=log)
        try:
            self._wait_until_ready()
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise
        return self

    def _wait_until_ready(self):
        bound = {}
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            for event in self.log():
                if name := ADDRESSES.get(event.get("message")):
                    host, port = event["address"].rsplit(":", 1)
                    bound[name] = (host, int(port))
                if event.get("message") == "ready":
                    self.http, self.udp, self.tcp = bound["http"], bound["udp"], bound["tcp"]
                    self.url = "http://%s:%d" % self.http
                    return
            assert self.process.poll() is None, f"the daemon ended with {self.process.returncode}: {self.log_text()}"
            time.sleep(0.02)
        raise AssertionError(f"not ready after {START_TIMEOUT_S} s: {self.log_text()}")

    def kill(self):
        """What a power cut is to a process: SIGKILL."""
        self.process.kill()
        self.process.wait()

    def __exit__(self, *_):
        if self.process.poll() == -signal.SIGKILL:
            return  # by kill()
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"not stopped {STOP_TIMEOUT_S} s after SIGTERM: {self.log_text()}")
        assert code == 0, f"ended with {code}: {self.log_text()}"

    def log_text(self):
        with open(self.log_path, encoding="utf-8") as log:
            return log.read()

    def log(self):
        """The whole lines of the log so far, each as a dict."""
        text = self.log_text()
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]

    def request(self, method, path, body=None, headers=()):
        connection = http.client.HTTPConnection(*self.http, timeout=20)
        try:
            connection.request(method, path, body=body, headers=dict(headers))
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def write(self, lines, db="test", gzipped=False):
        headers = {"Content-Encoding": "gzip"} if gzipped else {}
        body = gzip.compress(lines.encode()) if gzipped else lines.encode()
        return self.request("POST", f"/write?db={db}", body, headers)

    def _result(self, text, parameters):
        path = "/api/v1/query?" + urllib.parse.urlencode({"query": text, **parameters})
        answer = self.request("GET", path)
        assert answer.status == 200, answer.body
        return answer.json()["data"]["result"]

    def query(self, text, **parameters):
        """The result of an instant query about one metric: {labels without its name, as sorted pairs: value}."""
        result = self._result(text, parameters)
        labels = lambda series: tuple(sorted(item for item in series["metric"].items() if item[0] != "__name__"))
        by_labels = {labels(series): float(series["value"][1]) for series in result}
        assert len(by_labels) == len(result), f"{text} gives more than one metric"
        return by_labels

    def values(self, text, **parameters):
        """The values of an instant query, the lowest first."""
        return sorted(float(series["value"][1]) for series in self._result(text, parameters))

    def wait_for(self, text, values, seconds=5, **parameters):
        """For lines that nobody acknowledges: asks until the answer has these values, then checks it."""
        deadline = time.monotonic() + seconds
        while self.values(text, **parameters) != values and time.monotonic() < deadline:
            time.sleep(0.02)
        assert self.values(text, **parameters) == values
