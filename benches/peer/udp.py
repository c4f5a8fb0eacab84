"""Datagrams of 1.4 kB: A_SECOND (100000) for FOR_S (10), and as fast as they go with writes by HTTP beside them, which
are measured on the same server before that. Those go to a database of their own: each series gets its samples in order.

Each datagram has whole lines of lpgen's `cpu`. Sent lines are stored lines plus counted ones, to the last."""

import time

from load import Lines, Writers, send_datagrams
from questions import count
from servers import Peer, Sealine
from tables import machine, markdown, say, setting, three

# Lines of ten tags and ten fields in 1.4 kB, about.
LINES_A_DATAGRAM = 4
HOSTS = 5000

# Requests by HTTP: those that make the series, those before datagrams come, and enough that none is sent twice.
HTTP_FIRST = 20
HTTP_ALONE = 200
HTTP_REQUESTS = 600

# How often everything is sent as fast as it goes.
ROUNDS = 4


def ours(work, lines, a_second, beside=None):
    with Sealine(work) as server:
        before = server.cpu_s()
        if beside:
            with Writers(server, beside.paths(), conns=1, pause_s=0.02, db="beside") as writers:
                writers.wait_for(HTTP_FIRST)
                alone = time.perf_counter()
                writers.wait_for(HTTP_ALONE)
                began = time.perf_counter()
                report = send_datagrams(server.udp, lines, a_second)
                ended = time.perf_counter()
            report["alone"], report["http"] = writers.took_ms(alone, began), writers.took_ms(began, ended)
        else:
            report = send_datagrams(server.udp, lines, a_second)
        took = 0
        while took != server.metric("sealine_udp_datagrams_total"):  # what waits is stored
            took = server.metric("sealine_udp_datagrams_total")
            server.rest()
        report["cpu"] = server.cpu_s() - before
        stored = server.metric('sealine_ingested_lines_total{protocol="udp"}')
        refused = server.metric('sealine_rejected_lines_total{protocol="udp"')
        kernel = server.metric("sealine_udp_kernel_drops_total")
        report.update(stored=int(stored + refused), kernel=int(kernel), refused=int(refused))
        assert kernel or stored + refused == report["lines"], f"not all accounted for: {report}"
        counted = took + kernel + report["send_failed"]
        assert counted == report["packets"], f"datagrams that nobody counted: {counted} {report}"
    return report


def together(reports):
    """Rounds as one: a second or three are too few requests to tell the slowest of a hundred."""
    summed = {key: sum((report[key] for report in reports), type(reports[0][key])())
              for key in ("packets", "lines", "stored", "kernel", "cpu", "alone", "http") if key in reports[0]}
    return summed | {"pps": sum(report["pps"] for report in reports) / len(reports)}


def theirs(work, lines, a_second):
    with Peer(work) as server:
        report = send_datagrams(server.influx, lines, a_second)
        server.rest()
        report["stored"] = count(server.url, lines.start, lines.points) // 10
    return report


def row(what, report):
    lost = report["lines"] - report["stored"]
    share = f"{lost / report['lines']:.3%}" if lost else "none"
    return (what, f"{report['pps']:,.0f}", f"{report['packets']:,}", share,
            f"{report['kernel']:,}" if "kernel" in report else "not told",
            f"{report['cpu'] / report['packets'] * 1e6:.2f}" if "cpu" in report else "-",
            three(report.get("alone", [])), three(report.get("http", [])))


def main(work):
    a_second, seconds = setting("A_SECOND", 100_000), setting("FOR_S", 10)
    say("generating lines")
    points = max(a_second * seconds * LINES_A_DATAGRAM // HOSTS, 2)
    lines = Lines(work, "data", hosts=HOSTS, points=points)
    beside = Lines(work, "beside", hosts=HOSTS, points=HTTP_REQUESTS)
    table = []
    for what, rate in ((f"{a_second:,} a second", a_second), ("as fast as they go", 0)):
        say(what)
        blasts = [ours(work, lines, rate, beside) for _ in range(ROUNDS)] if rate == 0 else [ours(work, lines, rate)]
        table.append(row(f"Sealine, {what}", together(blasts)))
        table.append(row(f"VictoriaMetrics, {what}", theirs(work, lines, rate)))
    print(machine() + "\n")
    print(markdown(["datagrams of 1.4 kB", "sent a second", "sent", "lines lost", "counted drops",
                    "CPU µs a datagram", "5000 lines by HTTP, ms: p50 / p99 / max, before", "beside"], table))
