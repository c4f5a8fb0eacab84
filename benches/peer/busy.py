"""Queries and writes on a machine that does other work: endless loops of plain priority, one and two for each core, beside
both servers, which are asked in turn.

Six hours of 500 hosts (HOSTS, POINTS = 2160), sealed; RUNS (10) a query with hosts and windows at random. Meanwhile a
request of 5,000 lines every WRITE_EVERY_S (0.2) seconds, of the same hosts and later times. Client and sender compete
with the loops as well, beside either server."""

import math
import os
import subprocess
import sys
from contextlib import ExitStack, contextmanager

from load import STEP_S, Lines, Writers, send
from queries import asked_of
from questions import Line, agreement, wait_until_seen
from servers import Peer, Sealine
from tables import machine, markdown, percentile, say, setting, three

SEALS = 2


@contextmanager
def loops(count):
    """So many processes that do nothing, as fast as they can."""
    each = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in each:
            process.kill()
            process.wait()


def measure(servers, asked, more, pause_s):
    """{server: ({query: [ms]}, answers, [ms of writes])}. Questions of one kind go to one server and then to the other;
    each is written to while it is asked."""
    got = {server.name: ({}, [], []) for server in servers}
    sent = {server.name: 0 for server in servers}
    kinds = list(dict.fromkeys(name for name, _ in asked))
    for number, kind in enumerate(kinds):
        for server in servers if number % 2 == 0 else servers[::-1]:
            times, answers, took_writes = got[server.name]
            line = Line(server.url)
            with Writers(server, more.paths(), conns=1, pause_s=pause_s) as writers:
                writers.sent = sent[server.name]
                for name, question in asked:
                    if name == kind:
                        took, answer = line.ask(*question)
                        times.setdefault(name, []).append(took)
                        answers.append(answer)
                writers.wait_for(1)
            sent[server.name] = writers.sent
            took_writes += [(end - begin) * 1e3 for begin, end in writers.times]
    return got


def table_of(got):
    ours, theirs = (got[name] for name in (Sealine.name, Peer.name))
    table, ratios = [], []
    for name, mine in ours[0].items():
        other = theirs[0][name]
        ratios.append(percentile(other, 0.5) / percentile(mine, 0.5))
        table.append((f"`{name}`", three(mine), three(other), f"{ratios[-1]:.2f}"))
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
    table.append(("geometric mean", "", "", f"{mean:.2f}"))
    table.append((f"5,000 lines ({len(ours[2])} and {len(theirs[2])} writes)", three(ours[2]), three(theirs[2]),
                  f"{percentile(theirs[2], 0.99) / percentile(ours[2], 0.99):.2f} (p99)"))
    return table


def main(work):
    hosts, points, runs = setting("HOSTS", 500), setting("POINTS", 2160), setting("RUNS", 10)
    pause_s, cores = setting("WRITE_EVERY_S", 0.2), os.cpu_count()
    say("generating lines")
    lines = Lines(work, "data", hosts=hosts, points=points)
    more = Lines(work, "more", hosts=hosts, points=setting("MORE", 2_000), start=lines.end + STEP_S)
    asked = asked_of(hosts, lines.start, points, runs)
    print(f"{lines.samples:,} samples of {lines.series:,} series; {runs} runs a query. {machine()}")
    with ExitStack() as stack:
        ours = stack.enter_context(Sealine(work, MERGE__ENABLED="false"))
        theirs = stack.enter_context(Peer(work))
        for part in range(SEALS):
            send(ours, lines, lines.files * part // SEALS, lines.files * (part + 1) // SEALS, conns=1)
            ours.seal()
        send(theirs, lines)
        wait_until_seen(theirs, lines)
        theirs.rest()
        for count in (0, cores, 2 * cores):
            say(f"{count} loops")
            with loops(count):
                got = measure([ours, theirs], asked, more, pause_s)
            same = agreement(asked_by_kind(asked), got[ours.name][1], got[theirs.name][1])
            head = [f"{count} loops on {cores} cores, ms: p50 / p99 / max", "Sealine", "VictoriaMetrics", "ratio, p50"]
            print(f"\n{markdown(head, table_of(got))}")
            differ = [f"`{name}`: {share:.0%}" for name, share in same.items() if share < 1]
            print("\nAnswers that are the same: " + ("all" if not differ else "all but " + ", ".join(differ)) + ".")


def asked_by_kind(asked):
    """In the order in which [`measure`] asks."""
    kinds = list(dict.fromkeys(name for name, _ in asked))
    return sorted(asked, key=lambda each: kinds.index(each[0]))
