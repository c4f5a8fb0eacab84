"""Asks both sides everything and keeps the books."""

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from . import compare

# Threads that ask; each holds a connection to either side.
ASKERS = 4


@dataclass
class Count:
    """What came of the questions of a section."""

    asked: int = 0
    errors: int = 0
    values: int = 0
    exact: int = 0
    known: int = 0
    different: int = 0


@dataclass
class Difference:
    section: str
    query: str
    theirs: str
    ask: str
    sentence: str

    def __str__(self):
        other = "" if self.theirs == self.query else f"\n    as {self.theirs}"
        return f"  [{self.section}] {self.query}{other}\n    {self.ask}: {self.sentence}"


@dataclass
class Books:
    counts: dict = field(default_factory=lambda: defaultdict(Count))
    differences: list = field(default_factory=list)
    known: dict = field(default_factory=lambda: defaultdict(int))

    def table(self):
        """The counts of each section, and below them the known differences with their reasons."""
        columns = ("asked", "errors", "values", "exact", "known", "different")
        rows = [("section", *columns)]
        rows += [(name, *(str(getattr(count, c)) for c in columns)) for name, count in self.counts.items()]
        rows.append(("all", *(str(sum(getattr(count, c) for count in self.counts.values())) for c in columns)))
        lines = [f"{row[0]:24}" + "".join(f"{cell:>10}" for cell in row[1:]) for row in rows]
        return "\n".join(lines + [f"known, {times} times: {reason}" for reason, times in self.known.items()])


def compare_all(questions, ours, theirs, known):
    """Asks each (query, ask) of `questions` on both sides.

    `known(query, ours, theirs)` gives the reason why answers that differ are meant to, or None.
    """

    def one(question):
        query, ask = question
        mine = ours.ask(ask.path, (("query", query.ours), *ask.parameters))
        other = theirs.ask(ask.path, (("query", query.theirs), *ask.parameters))
        sentence = compare.difference(mine, other, query.ordered)
        reason = known(query, mine, other) if sentence else None
        return query, ask, sentence, reason, mine[0] != 200, compare.exact(mine, other)

    books = Books()
    with ThreadPoolExecutor(ASKERS) as pool:
        for query, ask, sentence, reason, failed, (exact, values) in pool.map(one, questions):
            count = books.counts[query.section]
            count.asked += 1
            count.errors += failed
            count.values += values
            count.exact += exact
            if reason:
                count.known += 1
                books.known[reason] += 1
            elif sentence:
                count.different += 1
                books.differences.append(Difference(query.section, query.ours, query.theirs, ask.name, sentence))
    return books
