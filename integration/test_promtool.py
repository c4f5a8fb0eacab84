"""promtool, as Debian's package `prometheus` has it, against the running daemon."""

import subprocess

import pytest

START_S = 1_700_000_000


@pytest.fixture(scope="module")
def run(daemon, promtool):
    lines = [f"net,host={host} rx={100 * i}i {(START_S + 10 * i) * 10**9}" for host in "ab" for i in range(31)]
    assert daemon.write("\n".join(lines), db="lab").status == 204

    def run(*arguments, input=None):
        done = subprocess.run([promtool, *arguments], input=input, capture_output=True, text=True, timeout=20)
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    return run


def test_instant(daemon, run):
    got = run("query", "instant", f"--time={START_S + 60}", daemon.url, "net_rx")
    want = ['net_rx{db="lab", host="%s"} => 600 @[%d]' % (host, START_S + 60) for host in "ab"]
    assert sorted(got.splitlines()) == want


def test_instant_of_a_scalar(daemon, run):
    assert run("query", "instant", "--time=10", daemon.url, "1 + 0.5") == "scalar: 1.5 @[10]\n"


def test_range(daemon, run):
    times = [f"--start={START_S + 100}", f"--end={START_S + 300}", "--step=100s"]
    got = run("query", "range", *times, daemon.url, "sum(rate(net_rx[1m]))")
    assert got == "{} =>\n" + "\n".join(f"20 @[{START_S + at}]" for at in (100, 200, 300)) + "\n"


def test_series_and_labels(daemon, run):
    times = [f"--start={START_S}", f"--end={START_S + 300}"]
    got = run("query", "series", *times, "--match=net_rx", daemon.url)
    assert got.splitlines() == ['{__name__="net_rx", db="lab", host="%s"}' % host for host in "ab"]
    assert run("query", "labels", *times, daemon.url, "host") == "a\nb\n"


def test_our_own_metrics_pass_its_lint(daemon, run):
    answer = daemon.request("GET", "/metrics")
    assert answer.status == 200
    assert run("check", "metrics", input=answer.body.decode()) == ""
