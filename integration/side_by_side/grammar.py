"""Random queries that are well typed, made from the grammar of PromQL.

Two engines that add in another order differ in the last digit, and a floor, a comparison or a subtraction can make that
the first one. So each expression knows what its values are like, and goes only where that does no harm:

- exact: sums and differences of the data, of which every digit is right in both;
- positive: cannot cancel each other in a sum.

What versions 2 and 3 have different opinions about is left out: `atan2` (which keeps the metric's name in version 2),
windows with a sample or a step on their border, and the rate of what starts near zero within a gap.
"""

from dataclasses import dataclass

from . import data
from .queries import Query, instant, older, over

LABELS = {
    "http_requests_total": ("job", "instance", "zone", "code"),
    "http_errors_total": ("job", "instance", "zone"),
    "up": ("job", "instance"),
    "target_info": ("job", "instance", "version", "os"),
    "node_temp": ("node", "zone", "sensor"),
    "node_load": ("node", "zone"),
    "node_limit": ("node",),
    "node_meta": ("node", "rack", "owner"),
    "shape_gauge": ("kind",),
    "latency_seconds_bucket": ("instance", "job", "le"),
    "latency_seconds_count": ("instance", "job"),
    "label_odd": ("text", "other", "parity"),
    "user_actions_total": ("user", "shard", "tier"),
}
COUNTERS = ("http_requests_total", "user_actions_total")
GAUGES = ("node_temp", "node_load", "node_limit", "shape_gauge", "up", "label_odd", "node_meta")
FAMILIES = (
    ("http_requests_total", "http_errors_total", "up", "target_info", "latency_seconds_count"),
    ("node_temp", "node_load", "node_limit", "node_meta"),
)
MATCHERS = {
    "job": ('job="web"', 'job!="web"', 'job=~"w.*|api"', 'job=~".+"'),
    "instance": ('instance="a:80"', 'instance=~"[ab].*"', 'instance!~"b.*"'),
    "zone": ('zone="east"', 'zone!="east"', 'zone=~"(ea|we)st"', 'zone!~"n.*"'),
    "code": ('code="200"', 'code=~"4..|5.."', 'code!="404"'),
    "node": ('node="n1"', 'node=~"n[1-4]"', 'node!="n2"', 'node!~"n3|slow"'),
    "sensor": ('sensor="cpu"', 'sensor!="cpu"'),
    "kind": ('kind="ramp"', 'kind=~"s.*"', 'kind!="spike"', 'kind=~"constant|zero|square"'),
    "rack": ('rack="r1"', 'rack=~"r."'),
    "le": ('le="0.5"', 'le!="+Inf"', 'le=~"1|2.5|.Inf"'),
    "parity": ('parity="1"', 'parity=~""', 'parity!=""'),
    "text": ('text=~".*a.*"', 'text!~"[0-9]+"'),
    "shard": ('shard="3"', 'shard=~"[0-2]"'),
    "tier": ('tier="gold"', 'tier!="basic"'),
    "user": ('user=~"u00.."', 'user=~"u.*7"'),
}
GROUPINGS = sorted({label for labels in LABELS.values() for label in labels} - {"user", "le"})
STEPS_S = (20, 30, 60, 120)


@dataclass(frozen=True)
class Vector:
    text: str
    exact: bool = False
    positive: bool = False
    metric: str = ""


class Grammar:
    def __init__(self, rng):
        self.rng = rng
        # Whether `@` may be used: inside of `predict_linear` and `timestamp` it goes wrong in 2.42.
        self.fixed_times = True

    def query(self):
        roll = self.rng.random()
        if roll < 0.04:
            text = self.scalar(3)[0]
        elif roll < 0.08:
            text = self.range(self.exact(1).text, bare=False)
        elif roll < 0.15:
            text = self.ranking(3)
        else:
            text = self.vector(self.rng.choice((1, 2, 2, 3, 3, 4))).text
        return Query("random", text, older(text))

    def asks(self):
        """An instant and a range anywhere in the data, at times that end in 333 ms."""
        second = lambda begin, end: self.rng.randrange(begin, end, 1000) + 333
        start = second(data.START_MS - data.HOUR_MS // 4, data.END_MS)
        length = self.rng.choice((0, 1, 10, 60, 240)) * data.MINUTE_MS
        step = self.rng.choice((7, 15, 60, 61, 300)) if length <= data.HOUR_MS else self.rng.choice((181, 600))
        middle = second(data.MIDDLE_MS - 5 * data.MINUTE_MS, data.MIDDLE_MS + 15 * data.MINUTE_MS)
        name = f"from {start} for {length} by {step}"
        return instant(f"at {middle}", middle), over(name, start, start + length, step)

    # Vectors

    def vector(self, depth):
        if depth <= 0:
            return self.selector()
        kinds = {
            self.selector: 1,
            self.over_time: 5,
            self.value_function: 3,
            self.aggregation: 5,
            self.with_scalar: 3,
            self.with_vector: 4,
            self.set_operation: 2,
            self.relabelled: 1,
            self.special: 1,
        }
        return self.rng.choices(list(kinds), list(kinds.values()))[0](depth)

    def selector(self, _=0, metrics=tuple(LABELS)):
        metric = self.rng.choice(metrics)
        return Vector(self.matched(metric) + self.shift(), True, metric in (*COUNTERS, "up"), metric)

    def matched(self, metric):
        labels = [label for label in LABELS[metric] if label in MATCHERS]
        matchers = [self.rng.choice(MATCHERS[label]) for label in self.some(labels, 0.35)]
        if metric == "user_actions_total" and not matchers:
            matchers = ['tier="gold"'] if self.rng.random() < 0.7 else []
        return metric + (f"{{{','.join(matchers)}}}" if matchers else "")

    def shift(self):
        parts = []
        if self.fixed_times and self.rng.random() < 0.07:
            at = self.rng.randrange(data.START_MS, data.END_MS) // 1000
            parts.append(self.rng.choice((f"@ {at}.5", f"@ {at}.5", "@ start()", "@ end()")))
        if self.rng.random() < 0.12:
            parts.append(f"offset {self.rng.choice(('', '-'))}{self.rng.choice(('11s', '1m', '7m', '1h30m'))}")
        self.rng.shuffle(parts)
        return "".join(f" {part}" for part in parts)

    def lifted(self, vector):
        """Above zero."""
        return vector if vector.positive else Vector(f"({vector.text} + 65536)", vector.exact, True)

    def exact(self, depth):
        for _ in range(5):
            vector = self.vector(depth)
            if vector.exact:
                return vector
        return self.selector()

    def over_time(self, depth):
        rng, roll = self.rng, self.rng.random()
        if roll < 0.25:
            function = self.word("rate rate increase irate resets changes")
            window = self.range(self.selector(metrics=COUNTERS).text)
            return Vector(f"{function}({window})", function in ("resets", "changes"), True)
        if roll < 0.4:
            window = self.range(self.selector(metrics=GAUGES).text)
            function = self.word("deriv delta idelta stddev_over_time stdvar_over_time")
            return Vector(f"{function}({window})", function == "idelta", "std" in function)
        if roll < 0.47:
            self.fixed_times, before = False, self.fixed_times
            window = self.range(self.selector(metrics=GAUGES).text)
            self.fixed_times = before
            ahead = rng.choice(("60", "-600", "3600", "scalar(node_limit{node='n1'})"))
            return Vector(f"predict_linear({window}, {ahead})")
        if roll < 0.52:
            factors = ", ".join(rng.choice(("0.1", "0.5", "0.9")) for _ in "ab")
            return Vector(f"double_exponential_smoothing({self.range(self.selector(metrics=GAUGES).text)}, {factors})")
        inner = self.exact(depth - 2) if depth > 1 and rng.random() < 0.5 else self.selector()
        function = self.word("sum min max count last present avg quantile changes absent")
        if function == "avg":
            inner = self.lifted(inner)
        window = self.range(inner.text, bare=bool(inner.metric))
        if function == "changes":
            return Vector(f"changes({window})", True, True)
        if function == "quantile":
            return Vector(f"quantile_over_time({self.quantile()}, {window})", False, inner.positive)
        positive = inner.positive or function in ("count", "present", "absent")
        return Vector(f"{function}_over_time({window})", function != "avg", positive)

    def range(self, inner, bare=True):
        """A window over an expression: of a selector's samples, or a subquery. Its length is no multiple of a step."""
        rng = self.rng
        if bare and rng.random() < 0.65 and not any(word in inner for word in (" @", " offset", "(")):
            return f"{inner}[{rng.choice(('33s', '2m', '5m', '17m', '1h3m'))}]{self.shift()}"
        step = rng.choice(STEPS_S)
        length = rng.choice(("2m7s", "5m7s", "13m17s", "29m3s"))
        return f"{self.bracketed(inner)}[{length}:{'' if rng.random() < 0.1 else f'{step}s'}]{self.shift()}"

    def bracketed(self, text):
        plain = all(character.isalnum() or character in "_:" for character in text)
        return text if plain else f"({text})"

    def value_function(self, depth):
        rng, roll = self.rng, self.rng.random()
        inner = self.exact(depth - 1)
        if roll < 0.3:
            function = self.word("abs ceil floor sgn - +")
            if function in "+-":
                return Vector(f"{function}{self.bracketed(inner.text)}", True, inner.positive and function == "+")
            return Vector(f"{function}({inner.text})", True, inner.positive or function == "abs")
        if roll < 0.45:
            return Vector(f"round({inner.text}{rng.choice(('', ', 0.25', ', 5', ', -2'))})", True, inner.positive)
        if roll < 0.6:
            low, high = rng.choice((("-5", "40"), ("0", "1e6"), ("20", "3"), ("time() - 1.7e9", "1e5")))
            function, limits = rng.choice((("clamp", f"{low}, {high}"), ("clamp_min", low), ("clamp_max", high)))
            return Vector(f"{function}({inner.text}, {limits})")
        if roll < 0.7:
            function = self.word("minute hour day_of_week day_of_month day_of_year days_in_month month year")
            return Vector(f"{function}({rng.choice((inner.text, ''))})", True, True)
        if roll < 0.8:
            self.fixed_times, before = False, self.fixed_times
            inner = self.vector(depth - 1)
            self.fixed_times = before
            return Vector(f"timestamp({inner.text})", False, True)
        # No `sinh`: Go's overflows a little early.
        function = self.word("sqrt exp ln log2 log10 sin cos tan atan asinh deg rad tanh")
        return Vector(f"{function}({inner.text})", False, function == "exp")

    def quantile(self):
        return self.rng.choice(("0.07", "0.5", "0.83", "1", "0", "-1", "1.5"))

    def aggregation(self, depth):
        rng = self.rng
        operator = self.word("sum sum avg min max count group stddev stdvar quantile count_values")
        if operator in ("stddev", "stdvar"):
            inner = self.selector(metrics=GAUGES)  # of large numbers that lie close together few digits are left
        else:
            inner = self.exact(depth - 1) if operator in ("count_values", "quantile") else self.vector(depth - 1)
        if operator == "avg" or operator == "sum" and not inner.exact:
            inner = self.lifted(inner)
        parameter = {
            "quantile": self.quantile() + ", ",
            "count_values": rng.choice(('"value"', '"zone"', '"le"')) + ", ",
        }.get(operator, "")
        exact = operator in ("count", "group", "count_values") or inner.exact and operator in ("sum", "min", "max")
        positive = inner.positive or operator in ("count", "group", "count_values", "stddev", "stdvar")
        return Vector(self.grouped(operator, parameter + inner.text), exact, positive)

    def ranking(self, depth):
        """Only outermost: which of equal values stay is not said, and operators around it would make more of that."""
        count = self.rng.choice(("0", "1", "2", "5", "100"))
        return self.grouped(self.rng.choice(("topk", "bottomk")), f"{count}, {self.exact(depth).text}")

    def grouped(self, operator, arguments):
        labels = self.some(GROUPINGS, 0.2)
        if operator == "count_values":
            labels = labels[:2]  # of more, 2.42 forgets some from the second step on
        labels = ", ".join(labels)
        grouping = self.rng.choice(("", "", f"by ({labels})", f"by ({labels})", f"without ({labels})"))
        if not grouping:
            return f"{operator}({arguments})"
        return self.rng.choice((f"{operator} {grouping} ({arguments})", f"{operator}({arguments}) {grouping}"))

    def with_scalar(self, depth):
        rng = self.rng
        scalar, exact_scalar = self.scalar(depth - 1)
        inner = self.vector(depth - 1)
        exact = inner.exact and exact_scalar
        operators = ["*", "/"]
        if exact:
            operators += ["+", "-", "%", "==", "!=", "<", ">", "<=", ">=", "== bool", "> bool", "<= bool"]
        operator = rng.choice(operators)
        left, right = self.bracketed(inner.text), self.bracketed(scalar)
        if rng.random() < 0.4:
            left, right = right, left
        bool = operator.endswith("bool")
        # The remainder of a division by 0 is NaN, of which 2.42 makes dates, and a variance of 0.
        return Vector(f"{left} {operator} {right}", exact and operator not in "*/%", bool)

    def with_vector(self, depth):
        """Mostly within one family of metrics, so that something matches; sometimes with an error as the outcome."""
        rng = self.rng
        family = rng.choice(FAMILIES)
        if rng.random() < 0.5:
            left, right = (self.selector(metrics=family) for _ in "ab")
        elif rng.random() < 0.5:
            left = right = self.vector(depth - 1)
        else:
            left, right = self.vector(depth - 1), self.vector(depth - 1)
        operators = ["*", "/"]
        exact = left.exact and right.exact
        if exact:
            operators += ["+", "-", "-", "==", "!=", "<", ">", "<=", ">", "> bool", "!= bool"]
        operator = rng.choice(operators)
        labels = self.some(LABELS[left.metric] if left.metric else GROUPINGS, 0.5)
        matching = rng.choice(("", "on", "on", "ignoring"))
        if matching:
            matching = f" {matching} ({', '.join(labels)})"
            groups = ("", "group_left ()", "group_left (zone)", "group_right ()", "group_right (rack, job)")
            matching += f" {rng.choice(groups)}"
        text = f"{self.bracketed(left.text)} {operator}{matching} {self.bracketed(right.text)}"
        return Vector(text, exact and operator not in "*/", operator.endswith("bool"))

    def set_operation(self, depth):
        rng = self.rng
        left, right = self.vector(depth - 1), self.vector(depth - 1)
        labels = ", ".join(self.some(GROUPINGS, 0.15))
        matching = rng.choice(("", "", f" on ({labels})", f" ignoring ({labels})"))
        operator = self.word("and or unless")
        text = f"{self.bracketed(left.text)} {operator}{matching} {self.bracketed(right.text)}"
        return Vector(text, left.exact and right.exact, left.positive and right.positive)

    def relabelled(self, depth):
        rng = self.rng
        inner = self.vector(depth - 1)
        target, source = rng.choice(("new", "zone", "job")), rng.choice(("instance", "node", "kind", "zone", "missing"))
        call = rng.choice(
            (
                f'label_replace({inner.text}, "{target}", "$1-x", "{source}", "(.).*")',
                f'label_replace({inner.text}, "{target}", "", "{source}", ".*")',
                f'label_join({inner.text}, "{target}", "/", "{source}", "zone")',
            )
        )
        return Vector(call, inner.exact, inner.positive)

    def special(self, depth):
        rng, roll = self.rng, self.rng.random()
        if roll < 0.3:
            buckets = self.matched("latency_seconds_bucket")
            inner = rng.choice(
                (buckets, f"rate({buckets}[5m])", f"increase({buckets}[17m]{self.shift()})", f"sum by (le) ({buckets})")
            )
            return Vector(f"histogram_quantile({self.word('0.37 0.83 0.991')}, {inner})", False, True)
        if roll < 0.55:
            return Vector(f"absent({self.vector(depth - 1).text})", True, True)
        if roll < 0.75:
            scalar, exact = self.scalar(depth - 1)
            return Vector(f"vector({scalar})", exact)
        inner = self.exact(depth - 1)
        return Vector(f"{rng.choice(('sort', 'sort_desc'))}({inner.text})", True, inner.positive)

    # Scalars

    def scalar(self, depth):
        """The text, and whether its values are exact."""
        rng, roll = self.rng, self.rng.random()
        if depth <= 0 or roll < 0.6:
            return rng.choice(("0", "1", "2", "-3", "0.5", "20", "64", "1e3", "0x10", "-0.25")), True
        if roll < 0.7:
            return rng.choice(("time()", "pi()")), False
        if roll < 0.85:
            return f"scalar({self.vector(depth - 1).text})", False
        (left, left_exact), (right, right_exact) = self.scalar(depth - 1), self.scalar(depth - 1)
        if left_exact and right_exact:
            return f"({left} {rng.choice(('+', '-', '== bool', '> bool'))} {right})", True
        return f"({left} {rng.choice('*/')} {right})", False

    def word(self, words):
        return self.rng.choice(words.split())

    def some(self, items, share):
        return [item for item in items if self.rng.random() < share]
