"""Two builds of Sealine beside one another: what check.sh has measured, and ingest in turn. As ratios."""

import glob
import json
import os
import re
import statistics

from load import Lines, send
from servers import Sealine
from tables import markdown, ratio, say, setting


def criterion(folder):
    """{benchmark: {baseline: nanoseconds}} of what criterion has saved."""
    found = {}
    for path in glob.glob(f"{folder}/**/estimates.json", recursive=True):
        name, baseline = os.path.split(os.path.relpath(os.path.dirname(path), folder))
        with open(path, encoding="utf-8") as file:
            estimates = json.load(file)
        found.setdefault(name, {})[baseline] = (estimates["slope"] or estimates["mean"])["point_estimate"]
    return found


def queries(folder):
    """{query: {baseline: milliseconds}} of the tables that benches/promql.rs prints."""
    found = {}
    for baseline in ("base", "head"):
        path = f"{folder}/promql-{baseline}"
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                for line in file:
                    if match := re.match(r"(.*\S)\s+([\d.]+)(\s+[\d.]+){4}$", line):
                        found.setdefault(f"`{match[1]}`", {})[baseline] = float(match[2])
    return found


def ingest(work, lines, rounds):
    """{what: {baseline: median}}, the two in turn."""
    binaries = {"base": os.environ["BASE_BIN"], "head": os.environ["SEALINE_BIN"]}
    got = {name: [] for name in binaries}
    for number in range(rounds):
        for name in sorted(binaries, reverse=number % 2 == 1):
            with Sealine(work, binaries[name]) as server:
                before = server.cpu_s()
                report = send(server, lines)
                cpu = server.rest() - before
                seal = server.seal()
                archive = server.archive()
                got[name].append((report["wall_s"], cpu, report["p99_ms"], server.rss_mib(), seal, archive))
    whats = ("wall s", "CPU s", "p99 of a request, ms", "resident memory, MiB", "a seal, s", "an archive, s")
    return {f"ingest: {what}": {name: statistics.median(each[at] for each in runs) for name, runs in got.items()}
            for at, what in enumerate(whats)}


def rows(found):
    for what, by in sorted(found.items()):
        if len(by) == 2:
            yield what, f"{by['base']:,.4g}", f"{by['head']:,.4g}", ratio(by["base"], by["head"])


def main(work):
    measured = os.environ.get("CRITERION_HOME", "")
    table = [*rows(criterion(measured)), *rows(queries(os.path.dirname(measured)))]
    say("ingest")
    lines = Lines(work, "data", hosts=setting("HOSTS", 4000), points=setting("POINTS", 360))
    table += rows(ingest(work, lines, setting("ROUNDS", 3)))
    print(markdown(["what (ns of micro-benchmarks, ms of queries)", "base", "here", "base / here"], table))
