"""The data of the comparison: made once, written twice (OpenMetrics for promtool, line protocol for the daemon).

Six hours across a midnight (UTC), so that they lie in two days' partitions. Times are fixed: a run differs from another
by its seed only. Two rules keep versions 2 and 3 of Prometheus comparable:

- Every sample stands on a millisecond that ends in 7, and no query asks at one, so no sample lies on the border of a
  window, where version 2 has a closed end and version 3 an open one.
- Values are multiples of 1/64 and small enough for sums to be exact, so that a total does not depend on the order in
  which it was taken. The exceptions are in series of their own (`wide_value`).
"""

import random
from dataclasses import dataclass, field

SECOND_MS = 1000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS

# 2023-11-14 21:00:00 UTC; the middle, at which the sealed half ends, is 00:20 of the next day.
START_MS = 1_699_995_600_000
MIDDLE_MS = START_MS + 3 * HOUR_MS + 20 * MINUTE_MS
END_MS = START_MS + 6 * HOUR_MS

# Where counters begin that do not begin at 0. Versions 2 and 3 extrapolate differently where a series begins within a
# window and its first value is a bit more than nothing; neither does anything special to 0 or to this.
LONG_RUN = 1e6


@dataclass
class Series:
    """One series: where it comes from in line protocol, and its samples as (milliseconds, value) in order of time."""

    measurement: str
    field: str
    tags: dict
    samples: list = field(default_factory=list)

    @property
    def name(self):
        return self.measurement if self.field == "value" else f"{self.measurement}_{self.field}"


def times(rng, every_s, start_ms=START_MS, end_ms=END_MS, gaps=()):
    """Times about `every_s` apart, up to 0.3 s late, in milliseconds that end in 7; `gaps` are (from, to) left out."""
    phase_ms = rng.randrange(every_s * 1000)
    at = start_ms + phase_ms
    found = []
    while at < end_ms:
        late = (at + rng.randrange(300)) // 10 * 10 + 7
        if late < end_ms and not any(begin <= late < end for begin, end in gaps):
            found.append(late)
        at += every_s * SECOND_MS
    return found


def counter(rng, at_ms, speed, start, resets=0):
    """Begins at `start`, rises by about `speed` a sample in whole numbers, falls to 0 at `resets` random samples."""
    falls = set(rng.sample(range(1, len(at_ms)), resets))
    value, samples = start, []
    for index, at in enumerate(at_ms):
        value = 0.0 if index in falls else value
        samples.append((at, value))
        value += rng.randrange(2 * speed + 1)
    return samples


def walk(rng, at_ms, start, stride=64):
    """Wanders by up to `stride` / 64 a sample."""
    value, samples = start, []
    for at in at_ms:
        value += rng.randrange(-stride, stride + 1) / 64
        samples.append((at, value))
    return samples


def minutes(*pairs):
    return [(START_MS + begin * MINUTE_MS, START_MS + end * MINUTE_MS) for begin, end in pairs]


def make(seed):
    """All series."""
    rng = random.Random(seed)
    return [
        *http(rng),
        *nodes(rng),
        *shapes(rng),
        *histograms(rng),
        *odd_labels(rng),
        *many(rng),
    ]


def http(rng):
    """Counters with resets, of three instances in two zones; errors only where there were some."""
    for job, instances in {"web": ("a:80", "b:80", "c:80"), "api": ("a:81", "b:81")}.items():
        for number, instance in enumerate(instances):
            zone = "east" if number % 2 == 0 else "west"
            tags = {"job": job, "instance": instance, "zone": zone}
            at = times(rng, 15)
            for code in ("200", "404", "500"):
                speed = {"200": 40, "404": 6, "500": 1}[code]
                samples = counter(rng, at, speed, LONG_RUN, number * 3)
                yield Series("http", "requests_total", {**tags, "code": code}, samples)
            if instance != "c:80":
                yield Series("http", "errors_total", tags, counter(rng, at, 3, LONG_RUN * number, 2))
            target = {"job": job, "instance": instance}
            yield Series("up", "value", target, [(t, float(rng.random() > 0.02)) for t in at])
            info = {**target, "version": f"1.{number}", "os": "debian"}
            yield Series("target", "info", info, [(t, 1.0) for t in times(rng, 60)])


def nodes(rng):
    """Gauges: whole ones, with gaps shorter and longer than the lookback, late, ended, and sparse."""
    kinds = {
        "n1": {},
        "n2": {"gaps": minutes((20, 23), (150, 153), (200, 203))},
        "n3": {"gaps": minutes((40, 52), (190, 215), (290, 301))},
        "n4": {"start_ms": START_MS + 170 * MINUTE_MS},
        "n5": {"end_ms": START_MS + 230 * MINUTE_MS},
        "n6": {"start_ms": START_MS + 190 * MINUTE_MS, "end_ms": START_MS + 210 * MINUTE_MS},
    }
    for number, (node, kind) in enumerate(kinds.items()):
        zone = ("east", "west", "north")[number % 3]
        for sensor in ("cpu", "disk"):
            tags = {"node": node, "zone": zone, "sensor": sensor}
            yield Series("node", "temp", tags, walk(rng, times(rng, 30, **kind), 20.0 * (number - 2)))
        yield Series("node", "load", {"node": node, "zone": zone}, walk(rng, times(rng, 20, **kind), 8.0, stride=200))
        yield Series("node", "limit", {"node": node}, [(t, 30.0 + number) for t in times(rng, 120, **kind)])
        meta = {"node": node, "rack": f"r{number % 2}", "owner": "ops" if number else ""}
        yield Series("node", "meta", meta, [(t, 1.0) for t in times(rng, 60)])
    yield Series("node", "temp", {"node": "slow", "zone": "east", "sensor": "cpu"}, walk(rng, times(rng, 1800), 5.0))


def shapes(rng):
    """Values that functions treat in ways of their own."""
    at = times(rng, 15)
    middle = len(at) // 2
    yield Series("shape", "gauge", {"kind": "constant"}, [(t, 3.5) for t in at])
    yield Series("shape", "gauge", {"kind": "zero"}, [(t, 0.0) for t in at])
    yield Series("shape", "gauge", {"kind": "ramp"}, [(t, i / 4) for i, t in enumerate(at)])
    yield Series("shape", "gauge", {"kind": "fall"}, [(t, -2.0 * i) for i, t in enumerate(at)])
    yield Series("shape", "gauge", {"kind": "step"}, [(t, 1.0 if i < middle else 9.0) for i, t in enumerate(at)])
    yield Series("shape", "gauge", {"kind": "square"}, [(t, float(i // 7 % 2)) for i, t in enumerate(at)])
    yield Series("shape", "gauge", {"kind": "spike"}, [(t, 1e6 if i % 97 == 0 else 1.0) for i, t in enumerate(at)])
    yield Series("shape", "gauge", {"kind": "fraction"}, [(t, rng.randrange(-63, 64) / 64) for t in at])
    yield Series("shape", "unix_seconds", {"kind": "days"}, [(t, 951_700_000.0 + 43_200 * i) for i, t in enumerate(at)])
    yield Series("shape", "unix_seconds", {"kind": "past"}, [(t, -86_399.0 - 1e6 * i) for i, t in enumerate(at)])
    # Large numbers that cancel, and fractions that no sum of doubles gets right without compensation.
    wide = (1e16, 1.0, -1e16, 0.1)
    yield Series("wide", "value", {"kind": "cancelling"}, [(t, wide[i % len(wide)]) for i, t in enumerate(at)])
    yield Series("wide", "value", {"kind": "tenths"}, [(t, 0.1 * (i % 10)) for i, t in enumerate(at)])
    yield Series("wide", "value", {"kind": "huge"}, [(t, 1.7e308) for t in at])
    yield Series("wide", "value", {"kind": "tiny"}, [(t, 1e-300 * (i % 3)) for i, t in enumerate(at)])


def histograms(rng):
    """Classic histograms: resets, a missing +Inf, counts that fall, bounds below zero, one bound in two spellings."""
    bounds = ("0.05", "0.1", "0.25", "0.5", "1", "2.5", "+Inf")
    for number, instance in enumerate(("a:80", "b:80", "c:80")):
        at = times(rng, 15)
        resets = set(rng.sample(range(len(at)), 2 * number))
        counts, total, rows = [0.0] * len(bounds), 0.0, []
        for index, t in enumerate(at):
            if index in resets:
                counts, total = [0.0] * len(bounds), 0.0
            for _ in range(rng.randrange(6) if rows else 0):
                slot = min(rng.randrange(len(bounds)), rng.randrange(len(bounds)))
                counts = [count + (at_bound >= slot) for at_bound, count in enumerate(counts)]
                total += 2.0 ** (slot - 4)
            rows.append((t, counts, total))
        tags = {"instance": instance, "job": "web"}
        for at_bound, le in enumerate(bounds):
            yield Series("latency_seconds", "bucket", {**tags, "le": le}, [(t, c[at_bound]) for t, c, _ in rows])
        yield Series("latency_seconds", "count", tags, [(t, c[-1]) for t, c, _ in rows])
        yield Series("latency_seconds", "sum", tags, [(t, s) for t, _, s in rows])
    at = times(rng, 60)
    odd = {
        "no_inf": {"1": 2.0, "2": 4.0},
        "falling": {"1": 5.0, "2": 3.0, "4": 8.0, "+Inf": 7.0},
        "negative": {"-4": 1.0, "-1": 3.0, "0": 3.0, "2": 6.0, "+Inf": 6.0},
        "twice": {"1": 2.0, "1.0": 1.0, "2": 4.0, "+Inf": 5.0},
        "only_inf": {"+Inf": 9.0},
        "empty": {"1": 0.0, "+Inf": 0.0},
        "malformed": {"1": 1.0, "much": 2.0, "+Inf": 3.0},
        "exponent": {"1e-3": 1.0, "1e3": 7.0, "+Inf": 9.0},
    }
    for kind, buckets in odd.items():
        for le, count in buckets.items():
            samples = [(t, count * (i + 1)) for i, t in enumerate(at)]
            yield Series("odd_hist", "bucket", {"kind": kind, "le": le}, samples)
    yield Series("odd_hist", "bucket", {"kind": "no_le"}, [(t, 1.0) for t in at])


def odd_labels(rng):
    """Label values that need escapes, or are easily taken for something else."""
    values = ("plain", "a b,c=d", 'say "so"', "back\\slash", "grün 🦀", "1.5", "10", "9", "a.b", "a+b", "^a$", "A")
    at = times(rng, 60)
    for number, value in enumerate(values):
        tags = {"text": value, "other": values[-1 - number], "parity": str(number % 2)}
        yield Series("label", "odd", tags, [(t, float(number)) for t in at])


def many(rng):
    """Many short series, which begin and end around the middle."""
    for number in range(1200):
        start = MIDDLE_MS - rng.randrange(5, 25) * MINUTE_MS
        end = MIDDLE_MS + rng.randrange(5, 25) * MINUTE_MS
        tags = {"user": f"u{number:04}", "shard": str(number % 7), "tier": "gold" if number % 50 == 0 else "basic"}
        at = times(rng, 60, start, end)
        yield Series("user", "actions_total", tags, counter(rng, at, 5, LONG_RUN + rng.randrange(1 << 16)))


def quoted(value):
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def open_metrics(all_series):
    """The text that promtool makes blocks from."""
    lines = []
    for series in all_series:
        labels = ",".join(f"{name}={quoted(value)}" for name, value in series.tags.items() if value)
        lines += [f"{series.name}{{{labels}}} {value!r} {at / 1000:.3f}" for at, value in series.samples]
    return "\n".join([*lines, "# EOF", ""])


def line_protocol(all_series, from_ms, to_ms):
    """The samples of that time (its end not included) as lines, a sample each, with times in milliseconds."""
    escape = lambda text: text.replace(",", "\\,").replace("=", "\\=").replace(" ", "\\ ")
    lines = []
    for series in all_series:
        tags = "".join(f",{escape(name)}={escape(value)}" for name, value in series.tags.items() if value)
        head = f"{series.measurement}{tags} {series.field}="
        lines += [f"{head}{value!r} {at}" for at, value in series.samples if from_ms <= at < to_ms]
    return "\n".join(lines)
