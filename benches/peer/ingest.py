"""What ingest costs: samples a second, samples a CPU second, how long requests take, also while a seal runs; memory.

`cpu`: 4000 hosts (HOSTS) with ten gauges each, 360 points (POINTS). `host`: what agents of 200 hosts (AGENTS) send,
720 points (AGENT_POINTS), gzip. Requests of 5000 lines over two connections. CPU time is the server's own until it is
at rest, and once more with a seal and an archive."""

from load import STEP_S, Lines, Writers, send
from servers import Beside, Peer, Sealine
from tables import machine, markdown, million, ratio, say, setting, three


def ingest(server, lines):
    """Throughput, CPU, latencies, memory. `server` has just started."""
    before = server.cpu_s()
    report = send(server, lines)
    cpu = max(server.rest() - before, 0.01)
    got = {"wall": lines.samples / report["wall_s"], "cpu": lines.samples / cpu, "rss": server.rss_mib()}
    got["ms"] = [report[key] for key in ("p50_ms", "p99_ms", "max_ms")]
    if isinstance(server, Sealine):
        server.seal()
        server.archive()
        got["cpu_sealed"] = lines.samples / max(server.rest() - before, 0.01)
    return got


def beside_a_seal(server, lines, more):
    """Milliseconds of requests before a seal of all of `lines`, and of those during it; seconds of the seal."""
    send(server, lines)
    with Writers(server, more.paths()) as writers:
        writers.wait_for(max(more.files // 3, 10))
        sealing = Beside(server.seal)
        sealing.result()
    before, during = writers.took_ms(0, sealing.began), writers.took_ms(sealing.began, sealing.ended)
    return before, during, sealing.ended - sealing.began


def rows(name, ours, theirs):
    def latency(got):
        return " / ".join(f"{ms:.1f}" for ms in got["ms"])

    def rate(what, a, b):
        return f"`{name}`: {what}", million(a), million(b), ratio(a, b)

    yield rate("samples/s", ours["wall"], theirs["wall"])
    yield rate("samples a CPU second", ours["cpu"], theirs["cpu"])
    yield rate("the same, sealed and archived", ours["cpu_sealed"], theirs["cpu"])
    rss, p99 = (ours["rss"], theirs["rss"]), (ours["ms"][1], theirs["ms"][1])
    yield f"`{name}`: a request, ms: p50 / p99 / max", latency(ours), latency(theirs), ratio(p99[1], p99[0])
    yield f"`{name}`: resident memory, MiB", f"{rss[0]:.0f}", f"{rss[1]:.0f}", ratio(rss[1], rss[0])


def main(work):
    hosts, points = setting("HOSTS", 4000), setting("POINTS", 360)
    agents, agent_points = setting("AGENTS", 200), setting("AGENT_POINTS", 720)
    table = []
    for name, made in (("cpu", {"hosts": hosts, "points": points}),
                       ("host", {"hosts": agents, "points": agent_points, "gzip": True})):
        say(f"{name}: generating lines")
        lines = Lines(work, name, kind=name, **made)
        got = []
        for kind in (Sealine, Peer):
            say(f"{name}: {kind.name}")
            with kind(work) as server:
                got.append(ingest(server, lines))
        table += rows(f"{name}{' gzip' if lines.gzip else ''}", *got)
        size = f"{lines.samples:,} samples, {lines.series:,} series, {lines.files} requests"
        table.insert(len(table) - 5, (f"`{name}`: {size}", "", "", ""))
        if name == "cpu":
            say("cpu: a seal beside writes")
            more = Lines(work, "more", hosts=hosts, points=points, start=lines.start + points * STEP_S)
            with Sealine(work) as server:
                before, during, took = beside_a_seal(server, lines, more)
            for what, ms in (("before a seal", before), (f"while one runs ({took:.2f} s)", during)):
                table.append((f"`cpu`: {len(ms)} requests {what}, ms", three(ms), "-", "-"))
            more.remove()
        lines.remove()
    print(machine() + "\n")
    print(markdown(["what", "Sealine", "VictoriaMetrics", "ratio, more is better"], table))
