"""Many series: a million new ones at once (HOSTS = 100000 with ten gauges each, POINTS = 12), look-ups over them, and
series that come and go (CHURN_HOSTS = 1000, CHURN_POINTS = 1440, a tenth of the hosts replaced every 60 points).

With more than 100,000 HOSTS, Sealine alone is measured, with both 100,000 and that many: time and memory a series."""

from load import STEP_S, Lines, send
from questions import look_up, wait_until_seen
from servers import Peer, Sealine
from tables import machine, markdown, percentile, ratio, say, setting

MIB = 1 << 20

# Beyond this many hosts the peer is left out.
PEER_HOSTS_MAX = 100_000


def room(series):
    """Settings under which so many series are taken: by default there may be one for each 2 KiB of memory.limit."""
    return {"CARDINALITY__MAX_SERIES": str(2 * series), "MEMORY__LIMIT": str(max(2 << 30, 2048 * series))}


def look_ups(server, lines, hosts, runs):
    """{what: (p50 ms, results)}"""
    span = {"start": lines.start, "end": lines.end}
    prefix = '{__name__="cpu_usage_user",hostname=~"host_7.*"}'
    asked = {
        "values of `hostname`": ("/api/v1/label/hostname/values", span),
        "values of `region`": ("/api/v1/label/region/values", span),
        "values of `hostname` where `region=\"eu-west-1\"`":
            ("/api/v1/label/hostname/values", {**span, "match[]": '{region="eu-west-1"}'}),
        "label names": ("/api/v1/labels", span),
        "series of a host": ("/api/v1/series", {**span, "match[]": f'{{hostname="host_{hosts // 2}"}}'}),
        "series where `hostname=~\"host_7.*\"`": ("/api/v1/series", {**span, "match[]": prefix}),
        "series of a metric in a region":
            ("/api/v1/series", {**span, "match[]": 'cpu_usage_user{region="eu-west-1"}'}),
    }
    found = {}
    for what, (path, parameters) in asked.items():
        times = [look_up(server.url, path, **parameters) for _ in range(runs)]
        found[what] = (percentile([ms for ms, _ in times], 0.5), times[-1][1])
    return found


def new_series(server, lines, hosts, runs):
    before = server.cpu_s()
    report = send(server, lines)
    got = {"s": report["wall_s"], "cpu": server.cpu_s() - before, "rss": server.rss_mib()}
    got["seen"] = wait_until_seen(server, lines)[1] if hosts <= PEER_HOSTS_MAX else None
    got["look_ups"] = look_ups(server, lines, hosts, runs) if runs else {}
    if isinstance(server, Sealine):
        got["index"] = server.metric('sealine_memory_bytes{pool="index"}') / MIB
    return got


def churn(server, lines):
    """An eighth of the points at a time, a seal after each, as half hours would have it. What there is afterwards."""
    parts = 8
    for part in range(parts):
        send(server, lines, lines.files * part // parts, lines.files * (part + 1) // parts, conns=1)
        if isinstance(server, Sealine):
            server.seal()
    server.rest()
    got = {"rss": server.rss_mib()}
    if isinstance(server, Sealine):
        server.archive()
        got["index"] = server.metric('sealine_memory_bytes{pool="index"}') / MIB
        got["series"] = server.metric('sealine_tier_series{tier="memory"}')
    server.stop()
    got["disk"] = server.disk_bytes() / lines.samples
    return got


def million_rows(ours, theirs, lines):
    def pair(what, a, b, text="{:.1f}"):
        return what, text.format(a), text.format(b), ratio(b, a)

    yield pair(f"{lines.series:,} new series, {lines.samples:,} samples, s", ours["s"], theirs["s"])
    yield pair("CPU seconds of the server", ours["cpu"], theirs["cpu"])
    yield pair("resident memory afterwards, MiB", ours["rss"], theirs["rss"], "{:.0f}")
    yield "of that the index, MiB", f"{ours['index']:.0f}", "-", "-"
    for what, (ms, results) in ours["look_ups"].items():
        other, other_results = theirs["look_ups"][what]
        note = f"{results:,} results" if results == other_results else f"{results:,} and {other_results:,} results"
        yield pair(f"{what}: ms, {note}", ms, other)


def churn_rows(got):
    for what, key, text in (("resident memory, MiB", "rss", "{:.0f}"), ("index in memory, MiB", "index", "{:.1f}"),
                            ("series in memory", "series", "{:,.0f}"),
                            ("bytes a sample on disk, archived", "disk", "{:.2f}")):
        yield what, *(text.format(one[key]) if key in one else "-" for one in got)


def main(work):
    hosts, points, runs = setting("HOSTS", 100_000), setting("POINTS", 12), setting("RUNS", 5)
    if hosts > PEER_HOSTS_MAX:
        table = []
        for count in (PEER_HOSTS_MAX, hosts):
            say(f"{count * 10:,} series")
            lines = Lines(work, "data", hosts=count, points=points)
            with Sealine(work, **room(lines.series)) as server:
                got = new_series(server, lines, count, runs=0)
            each = got["s"] * 1e6, got["rss"] * MIB, got["index"] * MIB
            table.append((f"{lines.series:,}", f"{got['s']:.1f}", f"{each[0] / lines.series:.2f}", f"{got['rss']:.0f}",
                          *(f"{whole / lines.series:.0f}" for whole in each[1:])))
            lines.remove()
        print(machine() + "\n")
        print(markdown(["new series", "s", "µs a series", "resident, MiB", "bytes a series", "of the index"], table))
        return
    say("new series")
    lines = Lines(work, "data", hosts=hosts, points=points)
    with Sealine(work, **room(lines.series)) as server:
        ours = new_series(server, lines, hosts, runs)
    with Peer(work) as server:
        theirs = new_series(server, lines, hosts, runs)
    assert ours["seen"] == lines.samples, f"Sealine answers for {ours['seen']:,} of {lines.samples:,} samples"
    table = list(million_rows(ours, theirs, lines))
    lines.remove()
    print(machine() + "\n")
    print(markdown(["what", "Sealine", "VictoriaMetrics", "ratio, more is better"], table) + "\n", flush=True)

    hosts, points = setting("CHURN_HOSTS", 1000), setting("CHURN_POINTS", 1440)
    got = []
    for kind in ("cpu", "churn"):
        lines = Lines(work, kind, kind=kind, hosts=hosts, points=points, batch_lines=min(5000, hosts * points // 64))
        for server in (Sealine, Peer):
            say(f"{kind}: {server.name}")
            with server(work) as running:
                got.append(churn(running, lines))
        lines.remove()
    steady_ours, steady_theirs, churn_ours, churn_theirs = got
    head = [f"{hosts:,} hosts for {points * STEP_S // 60} min", "Sealine, steady", "a tenth replaced every 10 min",
            "VictoriaMetrics, steady", "a tenth replaced every 10 min"]
    print(markdown(head, churn_rows((steady_ours, churn_ours, steady_theirs, churn_theirs))))
