"""Queries: drawn once so that every server is asked the same, timed, and their answers compared."""

import json
import math
import os
import random
import re
import socket
import time
import urllib.parse

from load import STEP_S
from servers import fetch

HERE = os.path.dirname(os.path.abspath(__file__))
FIELDS = [f"usage_{name}" for name in "user system idle nice iowait irq softirq steal guest guest_nice".split()]
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def read(path=os.path.join(HERE, "queries.json")):
    with open(path, encoding="utf-8") as file:
        return json.load(file)["queries"]


def draw(queries, hosts, start, points, runs):
    """(name, (text, start, end, step)) of `runs` questions for each query: hosts and windows at random."""
    rng = random.Random(7)
    for q in queries:
        for _ in range(runs):
            some = [f"host_{rng.randrange(hosts)}" for _ in range(8)]
            text = q["query"].replace("{H1}", some[0]).replace("{H8}", "|".join(some))
            # Off the samples by an odd number of milliseconds, so that no boundary falls on one.
            low, high = start + q.get("range_s", 3600), start + (points - 1) * STEP_S - q["window_s"]
            begin = rng.randint(min(low, high), max(low, high)) + 0.137
            yield q["name"], (text, begin, begin + q["window_s"], q["step_s"])


def form_of(text, start, end, step):
    """Path and body that ask it: a query at one time where start is the end. The peer is told not to answer from its
    cache."""
    form = {"query": text, "start": start, "end": end, "step": step, "nocache": 1}
    path = "/api/v1/query_range"
    if start == end:
        form, path = {"query": text, "time": end, "nocache": 1}, "/api/v1/query"
    return path, urllib.parse.urlencode(form)


def ask(url, text, start, end, step):
    """Milliseconds from the request to the last byte of the answer, on a connection of its own, and the result."""
    path, form = form_of(text, start, end, step)
    began = time.perf_counter()
    status, answer = fetch(url, "POST", path, form, FORM)
    took = (time.perf_counter() - began) * 1e3
    assert status == 200, (text, status, answer[:300])
    return took, json.loads(answer)["data"]["result"]


class Line:
    """One connection that is kept, as a dashboard's is: requests are bytes before the clock starts, and an answer is
    looked at after it has stopped, so that of a short query little is the client's."""

    def __init__(self, url):
        where = urllib.parse.urlsplit(url)
        self.host, self.buffer = where.netloc, bytearray(64 << 20)
        self.socket = socket.create_connection((where.hostname, where.port), timeout=600)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, text, start, end, step):
        """Milliseconds from the request to the last byte of the answer, and the result."""
        path, form = form_of(text, start, end, step)
        head = f"POST {path} HTTP/1.1\r\nHost: {self.host}\r\nContent-Type: {FORM['Content-Type']}\r\n"
        request = f"{head}Content-Length: {len(form)}\r\n\r\n{form}".encode()
        began = time.perf_counter()
        self.socket.sendall(request)
        body, length = self._read()
        took = (time.perf_counter() - began) * 1e3
        answer = bytes(self.buffer[body:length])
        if self._length_in(body) is None:
            answer = b"".join(chunks_of(answer))
        assert self.buffer[9:12] == b"200", (text, bytes(self.buffer[:300]))
        return took, json.loads(answer)["data"]["result"]

    def _read(self):
        """Reads one answer; where its body starts and ends."""
        view, got, body = memoryview(self.buffer), 0, None
        while True:
            more = self.socket.recv_into(view[got:])
            assert more, "the connection was closed"
            got += more
            if body is None and (at := self.buffer.find(b"\r\n\r\n", 0, got)) >= 0:
                body = at + 4
                length = self._length_in(body)
            if body is None:
                continue
            if got == body + length if length is not None else self.buffer[got - 5 : got] == b"0\r\n\r\n":
                return body, got

    def _length_in(self, body):
        found = re.search(rb"content-length: *(\d+)", self.buffer[:body].lower())
        return int(found[1]) if found else None


def chunks_of(body):
    """The parts of a body in HTTP's chunks."""
    at = 0
    while size := int(body[at : (line := body.index(b"\r\n", at))], 16):
        yield body[line + 2 : line + 2 + size]
        at = line + 4 + size


def look_up(url, path, **parameters):
    """Milliseconds of a look-up of series, labels or values, and how many it gave."""
    began = time.perf_counter()
    status, answer = fetch(url, "GET", f"{path}?{urllib.parse.urlencode(parameters, doseq=True)}")
    took = (time.perf_counter() - began) * 1e3
    assert status == 200, (path, parameters, status, answer[:300])
    return took, len(json.loads(answer)["data"])


def time_all(url, asked):
    """{name: [milliseconds, ...]}, and the answers in the order of `asked`."""
    times, answers, line = {}, [], Line(url)
    for name, question in asked:
        took, answer = line.ask(*question)
        times.setdefault(name, []).append(took)
        answers.append(answer)
    return times, answers


def count(url, start, points):
    """How many samples of lpgen's cpu the server answers for."""
    span = points * STEP_S
    text = " + ".join(f"sum(count_over_time(cpu_{name}[{span}s]))" for name in FIELDS)
    at = start + span - 1
    _, result = ask(url, text, at, at, STEP_S)
    return int(float(result[0]["value"][1])) if result else 0


def wait_until_seen(server, lines, limit_s=60):
    """Until a query sees all; the peer takes seconds for that. Seconds, and how many samples were seen."""
    began, seen = time.monotonic(), -1
    while seen != lines.samples and time.monotonic() - began < limit_s:
        seen = count(server.url, lines.start, lines.points)
        if seen != lines.samples:
            time.sleep(0.2)
    return time.monotonic() - began, seen


def agreement(asked, ours, theirs):
    """{name: share of answers that are the same series with values within 1e-6}. Metric names are left out where labels
    alone tell the series apart, since servers differ in what keeps them. Which of two equals topk names is open, so for
    it the values at each time are compared."""
    def values(series):
        return series["values"] if "values" in series else [series["value"]]

    def by_time(result):
        rows = {}
        for series in result:
            for t, v in values(series):
                rows.setdefault(round(float(t), 3), []).append(float(v))
        return {t: list(enumerate(sorted(each))) for t, each in rows.items()}

    def table(result):
        plain = lambda labels: tuple(sorted(item for item in labels.items() if item[0] not in ("__name__", "db")))
        rows = {}
        for series in result:
            name = series["metric"].get("__name__", "")
            rows[(name, plain(series["metric"]))] = [(round(float(t), 3), float(v)) for t, v in values(series)]
        nameless = {labels: each for (_, labels), each in rows.items()}
        return nameless if len(nameless) == len(rows) else rows

    def close(a, b):
        return len(a) == len(b) and all(t == u and math.isclose(v, w, rel_tol=1e-6) for (t, v), (u, w) in zip(a, b))

    same = {}
    for (name, _), a, b in zip(asked, ours, theirs):
        a, b = (by_time(a), by_time(b)) if name.startswith("topk") else (table(a), table(b))
        same.setdefault(name, []).append(a.keys() == b.keys() and all(close(a[key], b[key]) for key in a))
    return {name: sum(each) / len(each) for name, each in same.items()}
