"""What costs grow with: ingest against the number of series, queries against series and against range. Prints tables
and writes plots into PLOTS (docs/performance).

SERIES ("10000 100000 1000000 5000000"): how many to ingest, in turn; the peer takes part up to PEER_SERIES (1000000).
Each run sends all series once, which makes them, and then as often as gives 12 M samples (SAMPLES), but 3 times at
least. WIDE_HOSTS (10000) and a DAY of points (8640) are what queries are asked over, archived."""

from load import STEP_S, Lines, send
from plots import draw
from questions import ask, wait_until_seen
from servers import Peer, Sealine
from series import room
from tables import machine, markdown, percentile, ratio, say, setting

MIB = 1 << 20
NAMES = ("Sealine", "VictoriaMetrics")


def ingest(server, lines, hosts):
    """µs of wall time a new series; CPU nanoseconds a sample afterwards; bytes of resident memory a series."""
    first = max(hosts // 5000, 1)  # files with the first point of each
    empty = server.rss_mib()
    began = server.cpu_s()
    made = send(server, lines, 0, first)
    created = server.cpu_s()
    went_on = send(server, lines, first)
    share = first * 5000 * 10 / lines.samples
    return {"new": made["wall_s"] / lines.series * 1e6, "new_cpu": (created - began) / lines.series * 1e6,
            "ns": (server.cpu_s() - created) / (lines.samples * (1 - share)) * 1e9,
            "rate": lines.samples * (1 - share) / went_on["wall_s"],
            "bytes": (server.rss_mib() - empty) * MIB / lines.series}


def p50(server, text, start, end, step, runs):
    return percentile([ask(server.url, text, start, end, step)[0] for _ in range(runs)], 0.5)


def queries_by_series(server, lines, hosts, runs):
    """{series read: p50 ms} of a rate over 20 minutes, a step a minute."""
    found, count = {}, 10
    while count <= hosts:
        # host_0 to host_9, then those of two digits, and so on: 90 % of `count` from the second on.
        pattern = "host_[0-9]" if count == 10 else f"host_[1-9][0-9]{{{len(str(count)) - 2}}}"
        series = 10 if count == 10 else count * 9 // 10
        text = f'sum(rate(cpu_usage_user{{hostname=~"{pattern}"}}[5m]))'
        found[series] = p50(server, text, lines.end - 1200, lines.end, 60, runs)
        count *= 10
    return found


def queries_by_range(server, lines, runs):
    """{minutes of the range: p50 ms} of an average by region over 100 series, a step a minute."""
    found = {}
    for minutes in (15, 60, 240, 720, 1380):
        if minutes * 60 < lines.points * STEP_S:
            text = "avg by (region) (avg_over_time(cpu_usage_user[5m]))"
            found[minutes] = p50(server, text, lines.end - minutes * 60, lines.end, 60, runs)
    return found


def over_files(work, lines, measure):
    """What both answer in, Sealine from its archive."""
    got = []
    for kind in (Sealine, Peer):
        with kind(work) as server:
            send(server, lines)
            if kind is Sealine:
                server.seal()
                server.archive()
            else:
                wait_until_seen(server, lines)
                server.rest()
            got.append(measure(server, lines))
    return got


def ingest_tables(work, sizes, samples, peer_series):
    got = {name: {} for name in NAMES}
    for series in sizes:
        say(f"{series:,} series")
        lines = Lines(work, "data", hosts=series // 10, points=max(samples // series, 4))
        for kind in (Sealine, Peer):
            if kind is Sealine or series <= peer_series:
                with kind(work, **(room(series) if kind is Sealine else {})) as server:
                    got[kind.name][series] = ingest(server, lines, series // 10)
        lines.remove()
    head, rows = ["series", "µs a new series", "CPU µs", "CPU ns a sample", "samples/s", "bytes a series"], []
    for name in NAMES:
        for series, one in got[name].items():
            rows.append((f"{name}, {series:,}", f"{one['new']:.2f}", f"{one['new_cpu']:.2f}", f"{one['ns']:.0f}",
                         f"{one['rate'] / 1e6:.2f} M", f"{one['bytes']:,.0f}"))
    print(markdown(head, rows) + "\n", flush=True)
    for file, title, label, key in (
            ("ingest-by-series", "CPU time a sample, of series that are there", "nanoseconds a sample", "ns"),
            ("new-series", "Time to make a series", "microseconds a series", "new"),
            ("memory-by-series", "Resident memory a series", "bytes a series", "bytes")):
        lines = {name: [(series, one[key]) for series, one in got[name].items() if one[key] > 0] for name in NAMES}
        draw(file, title, "series", label, lines)


def query_table(what, got, file, title, label):
    rows = [(f"{x:,}", f"{ms:.2f}", f"{got[1][x]:.2f}", ratio(got[1][x], ms)) for x, ms in got[0].items()]
    print(markdown([what, "Sealine, ms", "VictoriaMetrics, ms", "ratio"], rows) + "\n", flush=True)
    draw(file, title, label, "milliseconds", {name: list(one.items()) for name, one in zip(NAMES, got)})


def main(work):
    sizes = [int(word) for word in setting("SERIES", "10000 100000 1000000 5000000").split()]
    runs, wide_hosts = setting("RUNS", 10), setting("WIDE_HOSTS", 10_000)

    print(machine() + "\n", flush=True)
    ingest_tables(work, sizes, setting("SAMPLES", 12_000_000), setting("PEER_SERIES", 1_000_000))

    say("queries by series")
    lines = Lines(work, "wide", hosts=wide_hosts, points=200)
    got = over_files(work, lines, lambda server, lines: queries_by_series(server, lines, wide_hosts, runs))
    query_table("series read", got, "query-by-series", "A rate over 20 minutes, p50", "series read")
    lines.remove()

    say("queries by range")
    lines = Lines(work, "deep", hosts=100, points=setting("DAY", 8640))
    got = over_files(work, lines, lambda server, lines: queries_by_range(server, lines, runs))
    title = "An average of 100 series by region, a point a minute, p50"
    query_table("minutes", got, "query-by-range", title, "minutes")
    lines.remove()
