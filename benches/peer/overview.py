"""Ingest, memory, disk, queries and what a crash costs, at a glance: the table of README.md.

Sizes: HOSTS (10000), POINTS (100), RUNS (20 a query)."""

import os

from load import STEP_S, Lines, Writers, send
from questions import agreement, count, draw, read, time_all, wait_until_seen
from servers import Beside, Peer, Sealine
from tables import machine, markdown, million, percentile, say, setting

START_S = 1_700_000_000


def measure_sealine(work, lines, more, asked):
    got = {}
    server = Sealine(work)
    with server:
        got["ingest"] = send(server, lines)
        got["rss"] = server.rss_mib()
        got["visible"] = count(server.url, lines.start, lines.points)
        status = server.status()
        memory = next(iter(status["databases"].values()))["memory"]
        got["memory_bytes"] = memory["bytes"] / memory["samples"]
        got["wal_bytes"] = status["wal_bytes"] / lines.samples
        got["queries"], got["answers"] = time_all(server.url, asked)
        server.kill()
        began = os.times().elapsed
        server.__enter__()
        got["restart_s"] = os.times().elapsed - began
        got["after_kill"] = count(server.url, lines.start, lines.points)
        before = server.cpu_s()
        with Writers(server, more.paths()) as writers:
            writers.wait_for(more.files // 3)
            sealing = Beside(server.seal)
            sealing.result()
            writers.wait_for(more.files - len(writers.times))
        got["seal_s"] = sealing.ended - sealing.began
        spans = (0, sealing.began), (sealing.began, sealing.ended)
        got["seal_max_ms"] = [max(writers.took_ms(*span)) for span in spans]
        server.seal()
        got["seal_cpu"] = server.cpu_s() - before
        total = lines.samples + more.samples
        got["sealed_bytes"] = server.disk_bytes() / total
        server.archive()
        got["archived_bytes"] = server.disk_bytes() / total
        got["after_archive"] = count(server.url, lines.start, lines.points)
        got["disk_queries"], got["disk_answers"] = time_all(server.url, asked)
        got["rss_sealed"] = server.rss_mib()
    return got


def measure_peer(work, lines, asked):
    got = {}
    with Peer(work) as crashing:
        send(crashing, lines)
        crashing.kill()
        got["restart_s"] = crashing.start()
        _, got["after_kill"] = wait_until_seen(crashing, lines, limit_s=3)
    with Peer(work) as peer:
        got["ingest"] = send(peer, lines)
        got["rss"] = peer.rss_mib()
        got["visible_s"], got["visible"] = wait_until_seen(peer, lines)
        peer.rest()
        got["queries"], got["answers"] = time_all(peer.url, asked)
        peer.stop()
        got["disk_bytes"] = peer.disk_bytes() / lines.samples
    return got


def rows(ours, theirs, lines, asked):
    def ingest(got):
        report = got["ingest"]
        latency = " / ".join(f"{report[key]:.1f}" for key in ("p50_ms", "p99_ms", "max_ms"))
        return million(lines.samples / report["wall_s"]), million(lines.samples / report["server_cpu_s"]), latency

    def lost(got):
        return f"{lines.samples - got['after_kill']:,} of {lines.samples:,}"

    def queries(times, name):
        return " / ".join(f"{percentile(times[name], share):.1f}" for share in (0.5, 0.99))

    same = agreement(asked, ours["answers"], theirs["answers"])
    same_disk = agreement(asked, ours["answers"], ours["disk_answers"])
    mine, other = ingest(ours), ingest(theirs)
    yield "ingest, samples/s", mine[0], other[0]
    yield "ingest, samples per CPU second of the server", mine[1], other[1]
    yield "a write of 50,000 samples, ms: p50 / p99 / max", mine[2], other[2]
    at_once = "at once" if ours["visible"] == lines.samples else f"no: {ours['visible']:,}"
    after = f"after {theirs['visible_s']:.1f} s" if theirs["visible"] == lines.samples else f"no: {theirs['visible']:,}"
    yield "all of it visible to a query", at_once, after
    yield "resident memory after that, MiB", f"{ours['rss']:.0f}", f"{theirs['rss']:.0f}"
    yield "samples lost by kill -9 after the last 204", lost(ours), lost(theirs)
    yield "start after that kill, s", f"{ours['restart_s']:.2f}", f"{theirs['restart_s']:.2f}"
    yield "bytes a sample: chunks in memory", f"{ours['memory_bytes']:.2f}", "-"
    yield "bytes a sample: log", f"{ours['wal_bytes']:.2f}", "none kept"
    mine = f"sealed {ours['sealed_bytes']:.2f}, archived {ours['archived_bytes']:.2f}"
    yield "bytes a sample: disk, all files", mine, f"{theirs['disk_bytes']:.2f}"
    yield "a seal, s (CPU with the writes beside it)", f"{ours['seal_s']:.2f} ({ours['seal_cpu']:.2f})", "-"
    yield "the longest write just before a seal / during it, ms", "{:.1f} / {:.1f}".format(*ours["seal_max_ms"]), "-"
    yield "resident memory when archived, MiB", f"{ours['rss_sealed']:.0f}", "-"
    for name in same:
        note = "" if same[name] == 1 else f" ({same[name]:.0%} of the answers are the same)"
        mine = f"{queries(ours['queries'], name)}; from archive {queries(ours['disk_queries'], name)}"
        yield f"`{name}`, ms: p50 / p99{note}", mine, queries(theirs["queries"], name)
        assert same_disk[name] == 1, f"{name}: memory and archive answer differently"


def main(work):
    hosts, points, runs = setting("HOSTS", 10_000), setting("POINTS", 100), setting("RUNS", 20)
    say("generating lines")
    lines = Lines(work, "data", hosts=hosts, points=points, start=START_S)
    more = Lines(work, "more", hosts=hosts, points=max(points * 2 // 5, 1), start=START_S + points * STEP_S)
    asked = list(draw(read(), hosts, START_S, points, runs))
    say("measuring Sealine")
    ours = measure_sealine(work, lines, more, asked)
    say("measuring VictoriaMetrics")
    theirs = measure_peer(work, lines, asked)
    assert ours["after_kill"] == ours["after_archive"] == lines.samples, "Sealine lost samples"
    print(f"{lines.samples:,} samples of {lines.series:,} series in {lines.files} requests over 2 connections; "
          f"{runs} runs a query. {machine()}\n")
    print(markdown(["what", "Sealine", "VictoriaMetrics"], rows(ours, theirs, lines, asked)))
