"""Tokens, as the clients of both InfluxDBs send them: a daemon with one that writes and one that reads."""

import os
import subprocess

import pytest
from influxdb import InfluxDBClient
from influxdb.exceptions import InfluxDBClientError
from influxdb_client import InfluxDBClient as InfluxDBClient2
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException

from daemon import Daemon


def made(binary, *arguments):
    """A token, and its block for the configuration."""
    done = subprocess.run([binary, "token", *arguments], check=True, capture_output=True, text=True)
    return done.stderr.splitlines()[1], done.stdout


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    binary = os.environ["SEALINE_BIN"]
    folder = tmp_path_factory.mktemp("guarded")
    writer, writer_block = made(binary, "writer", "--rights", "write", "--database", "mine")
    reader, reader_block = made(binary, "reader", "--rights", "read", "--database", "mine")
    file = folder / "sealine.toml"
    file.write_text(f"{writer_block}\n{reader_block}")
    with Daemon(binary, str(folder), config=str(file)) as daemon:
        daemon.writer, daemon.reader = writer, reader
        yield daemon


def value(daemon, query):
    answer = daemon.request("GET", f"/api/v1/query?query={query}", headers={"Authorization": f"Bearer {daemon.reader}"})
    assert answer.status == 200, answer.body
    return [float(series["value"][1]) for series in answer.json()["data"]["result"]]


def v1(daemon, database, **options):
    host, port = daemon.http
    return InfluxDBClient(host=host, port=port, database=database, retries=1, **options)


def test_influxdb_1_sends_the_token_as_a_password(guarded):
    client = v1(guarded, "mine", username="anybody", password=guarded.writer)
    client.create_database("mine")
    assert {"name": "mine"} in client.get_list_database()
    assert client.write_points(["auth_v1 value=1"], protocol="line")
    assert value(guarded, "auth_v1") == [1]


def test_influxdb_1_is_told_what_its_token_may_not(guarded):
    for database, password, code, part in [
        ("other", guarded.writer, 403, "not on the database `other`"),
        ("mine", guarded.reader, 403, "does not have the right `write`"),
        ("mine", "guessed", 401, "not one of those"),
    ]:
        with pytest.raises(InfluxDBClientError) as failure:
            v1(guarded, database, username="x", password=password).write_points(["m value=1"], protocol="line")
        assert failure.value.code == code
        assert part in str(failure.value)


def test_influxdb_2_sends_the_token(guarded):
    with InfluxDBClient2(url=guarded.url, token=guarded.writer, org="-") as client:
        client.write_api(write_options=SYNCHRONOUS).write(bucket="mine", record="auth_v2 value=2")
        assert value(guarded, "auth_v2") == [2]
        with pytest.raises(ApiException) as failure:
            client.write_api(write_options=SYNCHRONOUS).write(bucket="other", record="auth_v2 value=2")
    assert failure.value.status == 403


def test_influxdb_2_with_a_wrong_token_is_unauthorized(guarded):
    with InfluxDBClient2(url=guarded.url, token="guessed", org="-") as client:
        with pytest.raises(ApiException) as failure:
            client.write_api(write_options=SYNCHRONOUS).write(bucket="mine", record="auth_wrong value=2")
    assert failure.value.status == 401


def test_the_parameters_of_influxdb_1_are_taken(guarded):
    target = f"/write?db=mine&u=anybody&p={guarded.writer}"
    assert guarded.request("POST", target, b"auth_parameters value=3").status == 204
    assert guarded.request("POST", "/write?db=mine&u=anybody&p=x", b"auth_parameters value=3").status == 401
    assert value(guarded, "auth_parameters") == [3]


def test_a_large_body_without_a_token_gets_its_answer(guarded):
    answer = guarded.request("POST", "/write?db=mine", b"auth_large value=1\n" * 40_000)
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == "Bearer"
