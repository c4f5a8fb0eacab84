"""Sealine beside VictoriaMetrics: ingest, memory, disk, queries, what a crash costs. Prints a Markdown table.

    figures.py WORK_DIR [--hosts 10000] [--points 100] [--runs 20]

WORK_DIR holds the tools lpgen and lpsend, and takes data and server folders; run.sh makes and removes it. Both servers
get the same bytes, from the same sender, one after the other; Sealine with its defaults (a 204 waits for fdatasync),
VictoriaMetrics with what its documentation names for old timestamps and many series (a 204 waits for nothing)."""

import argparse
import json
import math
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import http.client
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "integration"))
from daemon import Daemon  # noqa: E402

START_S = 1_700_000_000
STEP_S = 10
FIELDS = [f"usage_{name}" for name in "user system idle nice iowait irq softirq steal guest guest_nice".split()]
DB = "bench"


class Peer:
    """VictoriaMetrics, with as much of integration/daemon.py's interface as is needed here."""

    def __init__(self, binary, folder):
        self.binary, self.folder = binary, folder

    def start(self):
        addresses = []
        for _ in range(2):
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                addresses.append("127.0.0.1:%d" % probe.getsockname()[1])
        http, influx = addresses
        flags = [f"-storageDataPath={self.folder}", f"-httpListenAddr={http}", f"-influxListenAddr={influx}"]
        flags += ["-retentionPeriod=100y", "-search.latencyOffset=0s", "-search.maxUniqueTimeseries=2000000"]
        self.url = f"http://{http}"
        started = time.monotonic()
        self.process = subprocess.Popen([self.binary, *flags, "-loggerLevel=ERROR"], stderr=subprocess.DEVNULL)
        while True:
            try:
                if fetch(self.url, "GET", "/health")[0] == 200:
                    return time.monotonic() - started
            except OSError:
                pass
            assert self.process.poll() is None, "victoria-metrics ended"
            time.sleep(0.005)

    def end(self, how):
        self.process.send_signal(how)
        self.process.wait(120)


def fetch(url, method, path, body=None, headers=()):
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=300)
    try:
        connection.request(method, path, body, dict(headers))
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def send(work, data, url, pid, first=0, last=10**9, conns=2):
    """Runs the sender over files [first, last) of `data`; gives what it measured."""
    command = [f"{work}/lpsend", data, "--url", f"{url}/write?db={DB}", "--conns", str(conns), "--pid", str(pid)]
    done = subprocess.run([*command, "--from", str(first), "--to", str(last)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert [status.split(":")[0] for status in report["statuses"]] == ["204"], (report, done.stderr)
    return report


def ask(url, query, start, end, step):
    """A range query: milliseconds from the request to the last byte of the answer, and the result."""
    form = {"query": query, "start": start, "end": end, "step": step, "nocache": 1}
    body = urllib.parse.urlencode(form)
    began = time.perf_counter()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    status, answer = fetch(url, "POST", "/api/v1/query_range", body, headers)
    took = (time.perf_counter() - began) * 1e3
    assert status == 200, (query, status, answer[:300])
    return took, json.loads(answer)["data"]["result"]


def count(url, points):
    """How many samples the server answers for, over all series of the first `points` points."""
    span = points * STEP_S
    at = START_S + span - 1
    text = " + ".join(f"sum(count_over_time(cpu_{name}[{span}s]))" for name in FIELDS)
    query = urllib.parse.urlencode({"query": text, "time": at})
    status, answer = fetch(url, "GET", f"/api/v1/query?{query}&nocache=1")
    assert status == 200, (status, answer[:300])
    result = json.loads(answer)["data"]["result"]
    return int(float(result[0]["value"][1])) if result else 0


def rounds(queries, hosts, points, runs):
    """For each query, the texts and windows that every server is asked, drawn once."""
    rng = random.Random(7)
    for q in queries:
        for _ in range(runs):
            some = [f"host_{rng.randrange(hosts)}" for _ in range(8)]
            text = q["query"].replace("{H1}", some[0]).replace("{H8}", "|".join(some))
            # Off the samples by an odd number of milliseconds, so that no boundary falls on one.
            low, high = START_S + q["range_s"], START_S + (points - 1) * STEP_S - q["window_s"]
            start = rng.randint(min(low, high), max(low, high)) + 0.137
            yield q["name"], (text, start, start + q["window_s"], q["step_s"])


def time_queries(url, asked):
    """{name: (milliseconds, ...)} and the answers, in the order of `asked`."""
    times, answers = {}, []
    for name, question in asked:
        took, answer = ask(url, *question)
        times.setdefault(name, []).append(took)
        answers.append(answer)
    return times, answers


def agreement(asked, ours, theirs):
    """{name: share of answers that are the same series with values within 1e-6}. Metric names are left out where labels
    alone tell the series apart, since servers differ in what keeps them. Which of two equals topk names is open, so for
    it the values at each time are compared."""
    def by_time(result):
        rows = {}
        for series in result:
            for t, v in series["values"]:
                rows.setdefault(round(float(t), 3), []).append(float(v))
        return {t: list(enumerate(sorted(values))) for t, values in rows.items()}

    def table(result):
        plain = lambda labels: tuple(sorted(item for item in labels.items() if item[0] not in ("__name__", "db")))
        rows = {}
        for series in result:
            name = series["metric"].get("__name__", "")
            rows[(name, plain(series["metric"]))] = [(round(float(t), 3), float(v)) for t, v in series["values"]]
        nameless = {labels: values for (_, labels), values in rows.items()}
        return nameless if len(nameless) == len(rows) else rows

    def close(a, b):
        return len(a) == len(b) and all(t == u and math.isclose(v, w, rel_tol=1e-6) for (t, v), (u, w) in zip(a, b))

    same = {}
    for (name, _), a, b in zip(asked, ours, theirs):
        a, b = (by_time(a), by_time(b)) if name.startswith("topk") else (table(a), table(b))
        same.setdefault(name, []).append(a.keys() == b.keys() and all(close(a[key], b[key]) for key in a))
    return {name: sum(each) / len(each) for name, each in same.items()}


def percentile(values, share):
    values = sorted(values)
    return values[min(int(len(values) * share), len(values) - 1)]


def rss_mib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        line = next(line for line in status if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


def cpu_s(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
        fields = stat.read().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def disk_bytes(folder):
    paths = (os.path.join(at, name) for at, _, names in os.walk(folder) for name in names)
    return sum(os.path.getsize(path) for path in paths)


def seal_while_sending(work, data, files, daemon):
    """Seconds of a seal that runs beside a sender, the longest write just before and during it, and how many files were
    sent: four at a time, and from the first again where they do not last, which makes no sample more."""
    sealing, before, during, sent = threading.Event(), [], [], 0
    outcome = {}

    def send_four(reports):
        nonlocal sent
        at = sent % files
        reports.append(send(work, data, daemon.url, daemon.process.pid, at, at + 4)["max_ms"])
        sent += 4

    def seal():
        began = time.monotonic()
        try:
            outcome["status"], outcome["body"] = fetch(daemon.url, "POST", "/admin/seal")
            outcome["seal_s"] = time.monotonic() - began
        finally:
            sealing.clear()

    for _ in range(5):
        send_four(before)
    sealing.set()
    thread = threading.Thread(target=seal)
    thread.start()
    while sealing.is_set() or not during:
        send_four(during)
    thread.join()
    assert outcome.get("status") == 200, outcome
    return outcome["seal_s"], (max(before), max(during)), min(sent, files)


def measure_sealine(work, binary, data, more, size, asked):
    got = {}
    folder = f"{work}/sealine"
    os.makedirs(folder)
    daemon = Daemon(binary, folder)
    with daemon:
        pid = daemon.process.pid
        got["ingest"] = send(work, data, daemon.url, pid)
        got["rss"] = rss_mib(pid)
        got["visible"] = count(daemon.url, size.points)
        status = json.loads(fetch(daemon.url, "GET", "/admin/status")[1])
        memory = status["databases"][DB]["memory"]
        got["memory_bytes"] = memory["bytes"] / memory["samples"]
        got["wal_bytes"] = status["wal_bytes"] / size.samples
        got["queries"], got["answers"] = time_queries(daemon.url, asked)
        daemon.kill()
    began = time.monotonic()
    with daemon:
        while fetch(daemon.url, "GET", "/ready")[0] != 200:
            time.sleep(0.005)
        got["restart_s"] = time.monotonic() - began
        got["after_kill"] = count(daemon.url, size.points)
        pid = daemon.process.pid
        before = cpu_s(pid)
        got["seal_s"], got["seal_max_ms"], sent = seal_while_sending(work, more, size.more_files, daemon)
        fetch(daemon.url, "POST", "/admin/seal")
        got["seal_cpu"] = cpu_s(pid) - before
        total = size.samples + min(sent * size.batch_samples, size.more_samples)
        got["sealed_bytes"] = disk_bytes(f"{folder}/data") / total
        status, body = fetch(daemon.url, "POST", "/admin/archive?force=1")
        assert status == 200, body
        got["archived_bytes"] = disk_bytes(f"{folder}/data") / total
        got["after_archive"] = count(daemon.url, size.points)
        got["disk_queries"], got["disk_answers"] = time_queries(daemon.url, asked)
        got["rss_sealed"] = rss_mib(pid)
    return got


def measure_peer(work, binary, data, size, asked):
    got = {}
    crashing = Peer(binary, f"{work}/peer-crash")
    crashing.start()
    send(work, data, crashing.url, crashing.process.pid)
    crashing.end(signal.SIGKILL)
    got["restart_s"] = crashing.start()
    time.sleep(2)
    got["after_kill"] = count(crashing.url, size.points)
    crashing.end(signal.SIGINT)

    peer = Peer(binary, f"{work}/peer")
    peer.start()
    pid = peer.process.pid
    got["ingest"] = send(work, data, peer.url, pid)
    got["rss"] = rss_mib(pid)
    began = time.monotonic()
    while (seen := count(peer.url, size.points)) != size.samples and time.monotonic() - began < 60:
        time.sleep(0.2)
    got["visible"], got["visible_s"] = seen, time.monotonic() - began
    time.sleep(5)  # its merges come to rest
    got["queries"], got["answers"] = time_queries(peer.url, asked)
    peer.end(signal.SIGINT)
    got["disk_bytes"] = disk_bytes(f"{work}/peer") / size.samples
    return got


def table(ours, theirs, size, asked):
    """The Markdown table: (what, Sealine, VictoriaMetrics) rows."""
    def ingest(got):
        report = got["ingest"]
        latency = " / ".join(f"{report[key]:.1f}" for key in ("p50_ms", "p99_ms", "max_ms"))
        return f"{size.samples / report['wall_s'] / 1e6:.2f} M", f"{size.samples / report['server_cpu_s'] / 1e6:.2f} M", latency

    def lost(got):
        return f"{size.samples - got['after_kill']:,} of {size.samples:,}"

    def queries(times, name):
        return " / ".join(f"{percentile(times[name], share):.1f}" for share in (0.5, 0.99))

    same = agreement(asked, ours["answers"], theirs["answers"])
    same_disk = agreement(asked, ours["answers"], ours["disk_answers"])
    mine, other = ingest(ours), ingest(theirs)
    rows = [
        ("ingest, samples/s", mine[0], other[0]),
        ("ingest, samples per CPU second of the server", mine[1], other[1]),
        ("a write of 50,000 samples, ms: p50 / p99 / max", mine[2], other[2]),
        ("all of it visible to a query", "at once" if ours["visible"] == size.samples else f"no: {ours['visible']:,}",
         f"after {theirs['visible_s']:.1f} s" if theirs["visible"] == size.samples else f"no: {theirs['visible']:,}"),
        ("resident memory after that, MiB", f"{ours['rss']:.0f}", f"{theirs['rss']:.0f}"),
        ("samples lost by kill -9 after the last 204", lost(ours), lost(theirs)),
        ("start after that kill, s", f"{ours['restart_s']:.2f}", f"{theirs['restart_s']:.2f}"),
        ("bytes a sample: chunks in memory", f"{ours['memory_bytes']:.2f}", "-"),
        ("bytes a sample: log", f"{ours['wal_bytes']:.2f}", "none kept"),
        ("bytes a sample: disk, all files", f"sealed {ours['sealed_bytes']:.2f}, archived {ours['archived_bytes']:.2f}",
         f"{theirs['disk_bytes']:.2f}"),
        ("a seal, s (CPU with the writes beside it)", f"{ours['seal_s']:.2f} ({ours['seal_cpu']:.2f})", "-"),
        ("the longest write just before a seal / during it, ms", "{:.1f} / {:.1f}".format(*ours["seal_max_ms"]), "-"),
        ("resident memory when archived, MiB", f"{ours['rss_sealed']:.0f}", "-"),
    ]
    for name in same:
        note = "" if same[name] == 1 else f" ({same[name]:.0%} of the answers are the same)"
        mine = f"{queries(ours['queries'], name)}; from archive {queries(ours['disk_queries'], name)}"
        rows.append((f"`{name}`, ms: p50 / p99{note}", mine, queries(theirs["queries"], name)))
        assert same_disk[name] == 1, f"{name}: memory and archive answer differently"
    lines = ["| what | Sealine | VictoriaMetrics |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {what} | {mine} | {other} |" for what, mine, other in rows)])


def version(binary):
    """What a program says that it is or, as Debian's victoria-metrics says nothing, what its package says."""
    owner = ["dpkg-query", "-W", "-f", "${Package} ${Version}", os.path.basename(binary)]
    for command in ([binary, "--version"], owner):
        try:
            done = subprocess.run(command, capture_output=True, text=True)
        except FileNotFoundError:
            continue
        if lines := (done.stdout + done.stderr).strip().splitlines():
            return lines[0]
    return os.path.basename(binary)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("work")
    arguments.add_argument("--hosts", type=int, default=10_000)
    arguments.add_argument("--points", type=int, default=100)
    arguments.add_argument("--runs", type=int, default=20)
    size = arguments.parse_args()
    work, peer, sealine = size.work, os.environ["PEER"], os.environ["SEALINE_BIN"]

    def generate(name, points, start):
        command = [f"{work}/lpgen", f"{work}/{name}", "--kind", "cpu", "--hosts", str(size.hosts)]
        done = subprocess.run([*command, "--points", str(points), "--start", str(start)], capture_output=True, check=True)
        return json.loads(done.stdout.splitlines()[-1])

    say = lambda text: print(f"bench-peer: {text}", file=sys.stderr, flush=True)
    say("generating lines")
    made = generate("data", size.points, START_S)
    more = generate("more", max(size.points * 2 // 5, 1), START_S + size.points * STEP_S)
    size.samples, size.more_samples, size.more_files = made["samples"], more["samples"], more["files"]
    size.batch_samples = size.samples // made["files"] if made["files"] == 1 else 5000 * len(FIELDS)
    with open(os.path.join(HERE, "queries.json"), encoding="utf-8") as file:
        asked = list(rounds(json.load(file)["queries"], size.hosts, size.points, size.runs))

    say("measuring Sealine")
    ours = measure_sealine(work, sealine, f"{work}/data", f"{work}/more", size, asked)
    say("measuring VictoriaMetrics")
    theirs = measure_peer(work, peer, f"{work}/data", size, asked)

    assert ours["after_kill"] == ours["after_archive"] == size.samples, "Sealine lost samples"
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = next((line.split(": ")[1].strip() for line in file if line.startswith("model name")), "unknown")
    print(f"{size.samples:,} samples of {made['series']:,} series in {made['files']} requests over 2 connections; "
          f"{size.runs} runs a query. {os.cpu_count()} cores of {model}, Linux {os.uname().release}; "
          f"{version(sealine)}, {version(peer)}.\n")
    print(table(ours, theirs, size, asked))


main()
