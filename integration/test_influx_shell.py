"""The shell of InfluxDB 1 (`influx`, Debian's package influxdb-client). It can create and list databases, insert lines
and import a file; it cannot read, since InfluxQL's SELECT is not spoken here."""

import subprocess

import pytest


@pytest.fixture
def run(daemon, influx):
    host, port = daemon.http

    def run(*arguments):
        command = [influx, "-host", host, "-port", str(port), *arguments]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
        return done.returncode, done.stdout + done.stderr

    return run


def test_databases_are_created_and_listed(run):
    assert run("-execute", "CREATE DATABASE shell") == (0, "")
    code, output = run("-execute", "SHOW DATABASES")
    assert code == 0 and "shell" in output.split()


def test_a_line_is_inserted(daemon, run):
    assert run("-database", "shell", "-execute", "INSERT shell_line,host=a value=4.5") == (0, "")
    assert daemon.query("shell_line") == {(("db", "shell"), ("host", "a")): 4.5}


def test_a_bad_line_is_told(run):
    _, output = run("-database", "shell", "-execute", "INSERT shell_bad,host=a value=nonsense")
    assert "partial write" in output and "nonsense" in output


def test_a_file_is_imported(daemon, run, tmp_path):
    path = tmp_path / "dump"
    lines = "".join(f"shell_import,host=h{i} value={i} 1700000000\n" for i in range(1000))
    path.write_text("# DDL\nCREATE DATABASE imported\n# DML\n# CONTEXT-DATABASE: imported\n" + lines)
    code, output = run("-import", "-path", str(path), "-precision", "s")
    assert code == 0 and "Failed 0 inserts" in output, output
    assert daemon.values("sum(shell_import)", time=1_700_000_000, db="imported") == [sum(range(1000))]


def test_select_is_refused_and_told_the_way(run):
    code, output = run("-database", "shell", "-execute", "SELECT * FROM shell_line")
    assert code != 0 and "/api/v1/query" in output
