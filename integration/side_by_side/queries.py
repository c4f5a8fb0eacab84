"""Reads queries.txt, and says when the queries are asked and which differences to Prometheus 2.42 are meant to be."""

import itertools
import re
from dataclasses import dataclass
from pathlib import Path

from . import data

NAMES = {"mid": f"{data.MIDDLE_MS // 1000}"}
CHOICE = re.compile(r"«([^«»]*)»")

# What is called otherwise in 2.42.
RENAMED = {"double_exponential_smoothing": "holt_winters"}


@dataclass(frozen=True)
class Query:
    section: str
    ours: str
    theirs: str

    @property
    def ordered(self):
        """Whether the order of an instant answer counts: not that of groups, nor where the two are asked apart."""
        ranked = re.match(r"(sort|sort_desc|topk|bottomk)\(", self.ours)
        return bool(ranked) and self.ours == newer(self.theirs) and not re.search(r"\b(by|without)\b", self.ours)


@dataclass(frozen=True)
class Ask:
    """A way to ask: the endpoint and its parameters besides the query."""

    name: str
    path: str
    parameters: tuple


def instant(name, at_ms):
    return Ask(name, "/api/v1/query", (("time", f"{at_ms / 1000:.3f}"),))


def over(name, start_ms, end_ms, step_s):
    times = (("start", f"{start_ms / 1000:.3f}"), ("end", f"{end_ms / 1000:.3f}"), ("step", f"{step_s}"))
    return Ask(name, "/api/v1/query_range", times)


# At times of 333 ms no step of a subquery, which is a whole second, lies on the border of a window.
ASKS = (
    instant("before the border", data.START_MS + 47 * data.MINUTE_MS + 333),
    instant("behind the border", data.MIDDLE_MS + 130_333),
    over("across the border", data.MIDDLE_MS - 12 * data.MINUTE_MS + 333, data.MIDDLE_MS + 13 * data.MINUTE_MS, 47),
    over("the whole time", data.START_MS - 11 * data.MINUTE_MS + 333, data.END_MS + 11 * data.MINUTE_MS, 613),
)


def queries():
    """All queries of the file, in its order."""
    section, found = None, []
    text = (Path(__file__).parent / "queries.txt").read_text(encoding="utf-8")
    for line in text.splitlines():
        if line.startswith("=== "):
            section = line.removeprefix("=== ")
        elif section and line:
            found += [Query(section, *sides(query)) for query in expand(line)]
    return list(dict.fromkeys(found))


def expand(line):
    """Every query that a line stands for."""
    pieces = CHOICE.split(line)
    choices = [[piece] if at % 2 == 0 else alternatives(piece) for at, piece in enumerate(pieces)]
    return ["".join(chosen) for chosen in itertools.product(*choices)]


def alternatives(piece):
    return [NAMES[piece]] if piece in NAMES else piece.split("|")


def sides(text):
    """What ours is asked and what theirs is."""
    ours, _, theirs = text.partition(" ≡ ")
    return ours, older(theirs or ours)


def older(text):
    """The query as 2.42 has it."""
    for new, old in RENAMED.items():
        text = text.replace(new, old)
    return text


def newer(text):
    """The query as ours has it."""
    for new, old in RENAMED.items():
        text = text.replace(old, new)
    return text
