"""PromQL side by side with a real Prometheus: the same data, the same questions, the same answers.

`side_by_side/queries.txt` has what is asked; `side_by_side/grammar.py` makes random queries from the grammar. Their
seed is printed and can be given back, and there may be more of them:

    SIDE_BY_SIDE_SEED=1 SIDE_BY_SIDE_RANDOM=20000 integration/run.sh test_side_by_side.py

The data are the same in every run, unless SIDE_BY_SIDE_DATA_SEED says otherwise.
"""

import os
import random

import pytest

from daemon import Daemon
from side_by_side import data, peers, queries
from side_by_side.grammar import Grammar
from side_by_side.known import known
from side_by_side.runner import compare_all

DATA_SEED = int(os.environ.get("SIDE_BY_SIDE_DATA_SEED") or 1)
SEED = int(os.environ.get("SIDE_BY_SIDE_SEED") or int.from_bytes(os.urandom(4)))
RANDOM = int(os.environ.get("SIDE_BY_SIDE_RANDOM") or 1500)
SHOWN = int(os.environ.get("SIDE_BY_SIDE_SHOWN") or 40)


@pytest.fixture(scope="module")
def both(tmp_path_factory, prometheus, promtool):
    """Ours and theirs, with the same data."""
    all_series = data.make(DATA_SEED)
    folder = tmp_path_factory.mktemp("side_by_side")
    (folder / "sealine").mkdir()
    with Daemon(os.environ["SEALINE_BIN"], str(folder / "sealine"), NAMING__DB_LABEL="false") as daemon:
        with peers.Prometheus(prometheus, promtool, folder, data.open_metrics(all_series)) as theirs:
            yield peers.load(daemon, all_series), theirs


def check(books, capsys):
    with capsys.disabled():
        print(f"\nside by side, seed {SEED}, seed of the data {DATA_SEED}\n{books.table()}")
    if books.differences:
        shown = [str(difference) for difference in books.differences[:SHOWN]]
        pytest.fail("\n".join([f"{len(books.differences)} differences, of which these are the first:", *shown]), False)


def test_written_queries(both, capsys):
    questions = [(query, ask) for query in queries.queries() for ask in queries.ASKS]
    check(compare_all(questions, *both, known), capsys)


def test_random_queries(both, capsys):
    grammar = Grammar(random.Random(SEED))
    questions = [(query, ask) for query in (grammar.query() for _ in range(RANDOM)) for ask in grammar.asks()]
    check(compare_all(questions, *both, known), capsys)
