"""Regular expressions beside a real Prometheus: whether one is refused, which values it matches, what its groups hold.

The expressions are those of `side_by_side/patterns.py`, written ones and random ones, whose seed is printed:

    PATTERNS_SEED=1 PATTERNS_RANDOM=20000 integration/run.sh test_patterns.py

Prometheus 3, built with Go 1.26, is what is wanted; Debian's is 2.42, built with Go 1.19. What differs between these two
is taken out of the comparison, and nothing else:

- The dot matches no newline in 2.42: what is sent there has `(?s)` in front.
- `(?<name>)` came with Go 1.22: it is sent as `(?P<name>)`.
- `\\p{…}` takes more names since Go 1.25, and `\\pC` has the unassigned: NEWER_CLASSES are not asked.
- What ends within `\\Q…` runs into the brackets that label_replace and 2.42 put around it: it is sent with an `\\E`.
- A group that is not opened closes those brackets in label_replace, `a)|(b`. Matchers refuse it, and we do for both.
"""

import os
import random
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from daemon import Daemon
from side_by_side import peers
from side_by_side.patterns import VALUES, WRITTEN, Patterns

SEED = int(os.environ.get("PATTERNS_SEED") or int.from_bytes(os.urandom(4)))
RANDOM = int(os.environ.get("PATTERNS_RANDOM") or 2500)
SHOWN = 40
TIME_S = 1_700_000_000

# Neither exposition nor line protocol carries every text; the rest is tried by cargo's tests.
VALUES = [value for value in dict.fromkeys(VALUES) if value and not re.search(r"[\x00-\x1f\x7f\\]", value)]

NEWER_CLASSES = re.compile(
    r"\\[pP](C|\{\^?(C|Cn|LC|L&|Any|ASCII|Assigned|Letter|letter|Uppercase_Letter|uppercaseletter|greek)\})"
)


def open_metrics():
    escaped = lambda text: text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')  # noqa: E731
    lines = [f'm{{v="{escaped(value)}"}} {at} {TIME_S}' for at, value in enumerate(VALUES)]
    return "\n".join(["# TYPE m gauge", *lines, "# EOF"]) + "\n"


def line_protocol():
    escape = lambda text: re.sub(r"([,= \n])", r"\\\1", text)  # noqa: E731
    return "\n".join(f"m,v={escape(value)} value={at} {TIME_S}" for at, value in enumerate(VALUES))


@pytest.fixture(scope="module")
def both(tmp_path_factory, prometheus, promtool):
    """Ours and theirs, with a series for each value."""
    folder = tmp_path_factory.mktemp("patterns")
    (folder / "sealine").mkdir()
    with Daemon(os.environ["SEALINE_BIN"], str(folder / "sealine"), NAMING__DB_LABEL="false") as daemon:
        answer = daemon.request("POST", "/write?db=patterns&precision=s", line_protocol().encode())
        assert answer.status == 204, answer.body
        with peers.Prometheus(prometheus, promtool, folder, open_metrics()) as theirs:
            yield peers.Peer("sealine", *daemon.http), theirs


def quoted(text):
    """As PromQL writes a string."""
    escape = {"\\": "\\\\", '"': '\\"', "\n": "\\n"}
    return '"' + "".join(escape.get(c) or (c if c >= " " else f"\\x{ord(c):02x}") for c in text) + '"'


def for_older(pattern):
    """The same for Prometheus 2.42."""
    closed = pattern + "\\E" if pattern.rfind("\\Q") > pattern.rfind("\\E") else pattern
    return "(?s)" + closed.replace("(?<", "(?P<")


def is_asked(pattern):
    if NEWER_CLASSES.search(pattern):
        return False
    # A look behind of other dialects is refused by both, unless it is made a name.
    return "(?<=" not in pattern and "(?<!" not in pattern


def ask(peer, query):
    """What came of it: "refused", or the label `v` and the label `got` of each series."""
    status, body = peer.ask("/api/v1/query", {"query": query, "time": str(TIME_S)})
    if status in (400, 422):
        return "refused"
    assert status == 200, (query, body)
    # A label that is not there and an empty one are the same.
    return sorted((one["metric"].get("v", ""), one["metric"].get("got", "")) for one in body["data"]["result"])


def compare(both, make, left_out=()):
    """Asks both the queries that `make` makes of each pattern; fails with what differs."""
    grammar = Patterns(random.Random(SEED))
    patterns = [*WRITTEN, *(grammar.pattern() for _ in range(RANDOM))]
    patterns = [pattern for pattern in patterns if is_asked(pattern) and pattern not in left_out]

    def difference(pattern):
        ours, theirs = ask(both[0], make(quoted(pattern))), ask(both[1], make(quoted(for_older(pattern))))
        if ours == theirs:
            return ours, None
        if "refused" in (ours, theirs):
            return ours, f"{pattern!r}: ours {str(ours)[:80]}, theirs {str(theirs)[:80]}"
        more, fewer = set(ours) - set(theirs), set(theirs) - set(ours)
        return ours, f"{pattern!r}: ours has {more or 'no more'}, lacks {fewer or 'nothing'}"

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(difference, patterns))
    refused = sum(ours == "refused" for ours, _ in answers)
    differences = [sentence for _, sentence in answers if sentence]
    matched = sum(len(ours) for ours, _ in answers if ours != "refused")
    print(f"\npatterns, seed {SEED}: {len(answers)} asked, {refused} refused by both, {matched} values matched")
    assert refused > 100 and matched > 1000
    if differences:
        pytest.fail("\n".join([f"{len(differences)} differences, such as", *differences[:SHOWN]]), False)


def test_matchers(both, capsys):
    with capsys.disabled():
        compare(both, lambda pattern: f"m{{v=~{pattern}}}")


def test_what_does_not_match(both, capsys):
    with capsys.disabled():
        compare(both, lambda pattern: f"m{{v!~{pattern}}}")


def test_groups(both, capsys):
    with capsys.disabled():
        compare(both, lambda pattern: f'label_replace(m, "got", "<$0|$1|$2|$3|$n|$x>", "v", {pattern})', ["a)|(b"])
