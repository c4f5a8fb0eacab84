"""Bytes a sample of the whole data folder, sealed and archived; how fast an archive is, what it takes, and what it
costs writes. One connection sends, so that the samples of a series come in order, as those of an agent do.

`cpu`: a day (POINTS = 8640) of HOSTS (500); `cpu-float` and `host`: of FLOAT_HOSTS (100) and AGENTS (50);
`cloudwatch`: the recorded series of shared/data/nab."""

import calendar
import csv
import glob
import os
import time

from load import STEP_S, Lines, Writers, send
from servers import Beside, Peer, Sealine
from tables import machine, markdown, million, ratio, say, setting, three

LINES_A_FILE = 5000


class Recorded(Lines):
    """Recorded series as lines: one measurement, a tag for the file that they come from."""

    def __init__(self, work, name, sources):
        self.path, self.gzip = os.path.join(work, name), False
        self.series, lines = len(sources), []
        for source in sources:
            tag = os.path.basename(source).removesuffix(".csv").replace(" ", "_")
            with open(source, encoding="utf-8") as file:
                for row in csv.DictReader(file):
                    at = calendar.timegm(time.strptime(row["timestamp"], "%Y-%m-%d %H:%M:%S"))
                    lines.append((at, f"cloudwatch,file={tag} value={row['value']} {at}000000000\n"))
        lines.sort()
        # Two values of one series at one time are one sample.
        self.samples = len({(at, text.split(" ")[0]) for at, text in lines})
        self.files = -(-len(lines) // LINES_A_FILE)
        os.makedirs(self.path)
        for number in range(self.files):
            with open(f"{self.path}/{number:06}.lp", "w", encoding="utf-8") as file:
                file.writelines(text for _, text in lines[number * LINES_A_FILE:][:LINES_A_FILE])


def cloudwatch(work):
    sources = sorted(glob.glob(os.path.join(os.environ["SEALINE_SHARED"], "data", "nab", "*.csv")))
    sources = [source for source in sources if "machine_temperature" not in source]
    return Recorded(work, "cloudwatch", sources) if sources else None


def ours(work, lines):
    """Bytes a sample sealed and archived; the archive's seconds and peak memory."""
    with Sealine(work, MERGE__ENABLED="false") as server:
        send(server, lines, conns=1)
        server.seal()
        got = {"sealed": server.disk_bytes() / lines.samples, "before": server.rss_mib()}
        got["peak"], got["archive_s"] = server.peak_mib(server.archive)
        got["archived"] = server.disk_bytes() / lines.samples
    return got


def theirs(work, lines):
    with Peer(work) as server:
        send(server, lines, conns=1)
        server.rest()
        server.stop()
        got = {"written": server.disk_bytes() / lines.samples}
        server.start()
        server.merge()
        server.stop()
        got["merged"] = server.disk_bytes() / lines.samples
    return got


def writes_beside_archive(work, lines, more):
    """Milliseconds of requests of 5000 lines without an archive, and beside one."""
    with Sealine(work, MERGE__ENABLED="false") as server:
        send(server, lines, conns=1)
        server.seal()
        with Writers(server, more.paths(), pause_s=0.05) as writers:
            writers.wait_for(40)
            archiving = Beside(server.archive)
            archiving.result()
        return writers.took_ms(0, archiving.began), writers.took_ms(archiving.began, archiving.ended)


def main(work):
    points = setting("POINTS", 8640)
    kinds = {"cpu": setting("HOSTS", 500), "cpu-float": setting("FLOAT_HOSTS", 100), "host": setting("AGENTS", 50)}
    made = [(name, lambda name=name, hosts=hosts: Lines(work, name, kind=name, hosts=hosts, points=points))
            for name, hosts in kinds.items()]
    made.append(("cloudwatch", lambda: cloudwatch(work)))
    sizes, archives = [], []
    for name, make in made:
        say(name)
        lines = make()
        if lines is None:
            say("there are no recorded series: skipped")
            continue
        mine, other = ours(work, lines), theirs(work, lines)
        bytes_each = mine["sealed"], mine["archived"], other["written"], other["merged"]
        sizes.append((f"`{name}`", f"{lines.series:,}", f"{lines.samples:,}", *(f"{each:.3f}" for each in bytes_each),
                      ratio(other["merged"], mine["archived"])))
        speed = million(lines.samples / mine["archive_s"])
        archives.append((f"`{name}`", speed, f"{mine['before']:.0f}", f"{mine['peak']:.0f}"))
        if name == "cpu":
            say("writes beside an archive")
            more = Lines(work, "more", hosts=5000, points=20, start=lines.start + (points + 360) * STEP_S)
            alone, beside = writes_beside_archive(work, lines, more)
            more.remove()
        lines.remove()
    print(machine() + "\n")
    print(markdown(["bytes a sample", "series", "samples", "sealed", "archived", "VictoriaMetrics", "merged by force",
                    "ratio, merged to archived"], sizes) + "\n")
    print(markdown(["archive of", "samples/s", "resident before, MiB", "at most during it"], archives) + "\n")
    writes = [("without an archive", len(alone), three(alone)), ("beside an archive", len(beside), three(beside))]
    print(markdown(["requests of 5000 lines", "how many", "ms: p50 / p99 / max"], writes))
