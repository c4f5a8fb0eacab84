"""conf/sealine.service: what it forbids the daemon does not need, and what it allows is little."""

import os
import re
import signal
import socket
import subprocess

import pytest

from conftest import program
from daemon import Daemon

CONF = os.path.join(os.path.dirname(__file__), "..", "conf")
UNIT = os.path.join(CONF, "sealine.service")

# systemd-analyze's figure, in tenths: from 0, nothing to attack, to 100. A daemon that serves a network has some; that it
# may ask for slices (sched_setattr) counts as two.
EXPOSURE_MAX = "14"


@pytest.fixture(scope="module")
def systemd_analyze():
    return program("systemd-analyze", "systemd")


def settings(path, name):
    """The values of a setting, in order."""
    with open(path, encoding="utf-8") as file:
        return re.findall(rf"^{name}=(.*)$", file.read(), re.MULTILINE)


def system_calls(systemd_analyze, names):
    """The calls that these names stand for: `@process` is a set of calls and of other sets."""
    calls = set()
    for name in names:
        if not name.startswith("@"):
            calls.add(name)
            continue
        listed = subprocess.run([systemd_analyze, "syscall-filter", name], check=True, capture_output=True, text=True)
        lines = (line.strip() for line in listed.stdout.splitlines()[1:])
        calls |= system_calls(systemd_analyze, [line for line in lines if line and not line.startswith("#")])
    return calls


def allowed(systemd_analyze):
    """The calls that the unit's SystemCallFilter= lets through."""
    calls = set()
    for line in settings(UNIT, "SystemCallFilter"):
        if line.startswith("~"):
            calls -= system_calls(systemd_analyze, line[1:].split())
        else:
            calls |= system_calls(systemd_analyze, line.split())
    return calls


def work(daemon):
    """A little of everything that the daemon does."""
    lines = "".join(f"load,host=h{number} v={number} {1_700_000_000_000 + number}\n" for number in range(500))
    assert daemon.request("POST", "/write?db=unit&precision=ms", body=lines.encode()).status == 204
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"datagram v=1", daemon.udp)
    with socket.create_connection(daemon.tcp) as stream:
        stream.sendall(b"stream v=1\n")
    for _ in range(2):
        assert daemon.request("POST", "/admin/seal").status == 200
        query = "/api/v1/query?query=sum(last_over_time(load_v[1h]))&time=1700000100"
        assert daemon.request("GET", query).status == 200
    assert daemon.request("POST", "/admin/archive?force=true").status == 200
    for page in ("/metrics", "/health", "/api/v1/labels", "/api/v1/status/tsdb", "/admin/status"):
        assert daemon.request("GET", page).status == 200
    assert daemon.request("POST", "/-/reload").status == 200


def test_the_daemon_makes_no_system_call_that_its_unit_forbids(systemd_analyze, tmp_path):
    strace = program("strace", "strace")
    if subprocess.run([strace, "-o", os.devnull, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("strace may not trace here")
    trace = tmp_path / "calls"
    traced = tmp_path / "traced"
    traced.write_text(f'#!/bin/sh\nexec {strace} -f -c -o "{trace}" "{os.environ["SEALINE_BIN"]}" "$@"\n')
    traced.chmod(0o755)
    # The second start finds a log and files.
    made = set()
    for _ in range(2):
        with Daemon(str(traced), str(tmp_path)) as daemon:
            work(daemon)
            end(daemon.process.pid)
            daemon.process.wait(timeout=60)
        rows = [line.split() for line in trace.read_text().splitlines()]
        made |= {row[-1] for row in rows if len(row) >= 5 and row[0][0].isdigit()} - {"total"}
    assert {"fsync", "fdatasync"} & made and "recvmmsg" in made, f"strace saw too little: {sorted(made)}"
    assert made <= allowed(systemd_analyze), "SystemCallFilter= forbids them"


def end(tracer):
    """Ends the daemon below a tracer, which ends with it."""
    with open(f"/proc/{tracer}/task/{tracer}/children", encoding="ascii") as children:
        os.kill(int(children.read().split()[0]), signal.SIGTERM)


def test_the_unit_leaves_little_to_attack(systemd_analyze):
    security = [systemd_analyze, "security", "--offline=true", f"--threshold={EXPOSURE_MAX}", "--no-pager", UNIT]
    judged = subprocess.run(security, capture_output=True, text=True, check=False)
    if "unrecognized option" in judged.stderr:
        pytest.skip("systemd-analyze is too old to judge a unit that is not installed: want 250")
    assert judged.returncode == 0, judged.stdout + judged.stderr
