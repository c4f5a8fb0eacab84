"""Dashboard queries over a day of 500 hosts (HOSTS, POINTS = 8640), RUNS (20) each with hosts and windows at random:
over sealed files, over the archive, and the peer without its cache.

The day is sealed eight times, as a day of half hours is merged to about that many files. Queries of several metrics
that are told apart by `__name__` after a function are an error in Prometheus, where functions drop the name: they are
asked with the name copied to a label, which all servers answer."""

import math
import os
import re

from load import Lines, send
from questions import agreement, draw, read, time_all, wait_until_seen
from servers import Peer, Sealine
from tables import machine, markdown, percentile, say, setting

SEALS = 8

# Which answers may differ, and why.
MAY_DIFFER = {
    "rate-by-region": "MetricsQL's rate does not extrapolate to the ends of the window",
}


def as_prometheus_has_it(text):
    """The form `max(f({__name__=~…}[1m])) by (__name__, …)` with the name in the label `name`."""
    match = re.fullmatch(r"(\w+)\((\w+_over_time\(\{__name__=~.*\]\))\) by \(__name__(.*)\)", text)
    if not match:
        return text
    aggregate, inner, others = match.groups()
    return f"{aggregate} by (name{others}) (label_replace({inner}, 'name', '$1', '__name__', '(.+)'))"


def asked_of(hosts, start, points, runs):
    path = os.path.join(os.environ["SEALINE_SHARED"], "bench", "queries.json")
    queries = [{**q, "query": as_prometheus_has_it(q["query"])} for q in read(path)]
    # Windows are cut where the day is shorter than they are.
    queries = [{**q, "window_s": min(q["window_s"], points * 10 // 2)} for q in queries]
    return list(draw(queries, hosts, start, points, runs))


def both(times):
    return f"{percentile(times, 0.5):.1f} / {percentile(times, 0.99):.1f}"


def main(work):
    hosts, points, runs = setting("HOSTS", 500), setting("POINTS", 8640), setting("RUNS", 20)
    say("generating lines")
    lines = Lines(work, "data", hosts=hosts, points=points)
    asked = asked_of(hosts, lines.start, points, runs)
    got = {}
    say("Sealine")
    with Sealine(work, MERGE__ENABLED="false") as server:
        for part in range(SEALS):
            send(server, lines, lines.files * part // SEALS, lines.files * (part + 1) // SEALS, conns=1)
            server.seal()
        got["sealed"] = time_all(server.url, asked)
        server.archive()
        got["archived"] = time_all(server.url, asked)
        rss = server.rss_mib()
    say("VictoriaMetrics")
    with Peer(work) as server:
        send(server, lines)
        wait_until_seen(server, lines)
        server.rest()
        got["peer"] = time_all(server.url, asked)
        peer_rss = server.rss_mib()

    same = agreement(asked, got["archived"][1], got["peer"][1])
    table, ratios, differ = [], {"sealed": [], "archived": []}, []
    for name in same:
        cells = {kind: times[name] for kind, (times, _) in got.items()}
        for kind, all_ratios in ratios.items():
            all_ratios.append(percentile(cells["peer"], 0.5) / percentile(cells[kind], 0.5))
        table.append((f"`{name}`", *(both(cells[kind]) for kind in ("sealed", "archived", "peer")),
                      *(f"{ratios[kind][-1]:.2f}" for kind in ratios)))
        if same[name] < 1:
            why = MAY_DIFFER.get(name, "not explained")
            differ.append(f"`{name}`: {same[name]:.0%} of the answers are the same ({why})")
    mean = {kind: math.exp(sum(map(math.log, each)) / len(each)) for kind, each in ratios.items()}
    table.append(("geometric mean", "", "", "", *(f"{mean[kind]:.2f}" for kind in ratios)))
    print(f"{lines.samples:,} samples of {lines.series:,} series; {runs} runs a query. {machine()}\n")
    head = ["query, ms: p50 / p99", "Sealine, sealed", "archived", "VictoriaMetrics", "ratio, sealed", "archived"]
    print(markdown(head, table))
    verdict = "Answers that differ: " + "; ".join(differ) if differ else "All answers of the two are the same"
    print(f"\nResident memory afterwards: {rss:.0f} MiB and {peer_rss:.0f} MiB. {verdict}.")
    own = agreement(asked, got["sealed"][1], got["archived"][1])
    assert min(own.values()) == 1, f"sealed and archived data answer differently: {own}"
