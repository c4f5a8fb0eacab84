"""The official Python client of InfluxDB 1 (`influxdb`): what it sends is stored, what we answer it understands."""

import time

import pytest
from influxdb import InfluxDBClient
from influxdb.exceptions import InfluxDBClientError


def client(daemon, db, **options):
    host, port = daemon.http
    return InfluxDBClient(host=host, port=port, database=db, retries=1, **options)


def point(measurement, value, host="a", at=None):
    point = {"measurement": measurement, "tags": {"host": host}, "fields": {"value": value}}
    return point if at is None else {**point, "time": at}


def test_ping_tells_a_version_that_the_client_takes(daemon, db):
    assert client(daemon, db).ping().startswith("1.8")


def test_a_created_database_is_listed(daemon, db):
    one = client(daemon, db)
    one.create_database(db)
    assert {"name": db} in one.get_list_database()


def test_a_created_database_may_have_an_odd_name(daemon):
    one = client(daemon, "x")
    one.create_database('two words "quoted"')
    assert {"name": 'two words "quoted"'} in one.get_list_database()


def test_one_point_without_a_time_is_there_at_once(daemon, db):
    assert client(daemon, db).write_points([point("v1_now", 1.5)])
    assert daemon.query("v1_now") == {(("db", db), ("host", "a")): 1.5}


@pytest.mark.parametrize(
    "unit, factor", [("n", 10**9), ("u", 10**6), ("ms", 1000), ("s", 1), ("m", 1 / 60), ("h", 1 / 3600)]
)
def test_each_precision_lands_on_the_same_instant(daemon, db, unit, factor):
    at = 1_699_999_200  # a whole hour
    name = f"v1_precision_{unit}"
    assert client(daemon, db).write_points([point(name, 7, at=int(at * factor))], time_precision=unit)
    assert daemon.values(name, time=at) == [7]
    assert daemon.values(f"timestamp({name})", time=at + 60) == [at]


@pytest.mark.parametrize("gzip", [False, True], ids=["plain", "gzip"])
def test_a_batch_is_stored_whole(daemon, db, gzip):
    name = f"v1_batch_{gzip}"
    points = [point(name, i, host=f"h{i:04}") for i in range(5000)]
    assert client(daemon, db, gzip=gzip).write_points(points, batch_size=2000)
    assert daemon.values(f"count({name})") == [5000]
    assert daemon.values(f"sum({name})") == [sum(range(5000))]


def test_every_type_of_field_arrives(daemon, db):
    fields = {"f": 1.5, "i": -3, "yes": True, "no": False, "text": "dropped, not 0"}
    assert client(daemon, db).write_points([{"measurement": "v1_types", "fields": fields}])
    got = {name: daemon.values(f"v1_types_{name}") for name in fields}
    assert got == {"f": [1.5], "i": [-3], "yes": [1], "no": [0], "text": []}


def test_odd_characters_in_tags_come_back_as_they_were(daemon, db):
    odd = 'a b,c=d "é"'
    assert client(daemon, db).write_points([point("v1_odd", 1, host=odd)])
    assert list(daemon.query("v1_odd")) == [(("db", db), ("host", odd))]


def test_a_backslash_in_a_tag_arrives_doubled_as_the_client_sends_it(daemon, db):
    # The client writes two, and in a tag's value InfluxDB takes two for two: so do we.
    assert client(daemon, db).write_points([point("v1_backslash", 1, host="a\\b")])
    assert list(daemon.query("v1_backslash")) == [(("db", db), ("host", "a\\\\b"))]


def test_a_bad_line_is_the_clients_error_and_costs_only_itself(daemon, db):
    lines = ["v1_bad,host=a value=1", "v1_bad,host=b value=nonsense", "v1_bad,host=c value=3"]
    with pytest.raises(InfluxDBClientError) as failure:
        client(daemon, db).write_points(lines, protocol="line")
    assert failure.value.code == 400
    for part in ("partial write", "line 2", "nonsense", "dropped=1"):
        assert part in str(failure.value)
    assert daemon.values("v1_bad") == [1, 3]


def test_another_statement_is_refused_and_told_the_way(daemon, db):
    with pytest.raises(InfluxDBClientError) as failure:
        client(daemon, db).query("SELECT * FROM cpu")
    assert failure.value.code == 400
    assert "/api/v1/query" in str(failure.value)


def test_udp_of_the_client_arrives(daemon):
    host, port = daemon.udp
    InfluxDBClient(host=host, use_udp=True, udp_port=port).write_points([point("v1_udp", 4)])
    daemon.wait_for("v1_udp", [4])
    assert list(daemon.query("v1_udp")) == [(("db", "udp"), ("host", "a"))]


def test_the_time_of_the_server_is_used_where_a_line_has_none(daemon, db):
    before = time.time()
    client(daemon, db).write_points([point("v1_time", 1)])
    [at] = daemon.values("timestamp(v1_time)")
    assert before - 0.001 <= at <= time.time()


def test_what_a_client_asks_before_it_writes_is_answered(daemon, db):
    one = client(daemon, db)
    one.drop_database(db)  # there is none
    with pytest.raises(InfluxDBClientError, match="database not found"):
        one.get_list_retention_policies(db)
    one.create_database(db)
    one.create_retention_policy("week", "1w", 1, database=db, default=True)
    one.alter_retention_policy("week", database=db, duration="2w")
    policies = one.get_list_retention_policies(db)
    found = [(policy["name"], policy["duration"], policy["default"]) for policy in policies]
    assert found == [("autogen", "0s", True), ("week", "0s", False)]
    assert one.get_list_measurements() == []
    assert one.write_points([point("v1_asked", 1)])
    assert one.get_list_measurements() == [{"name": "v1_asked"}]
    with pytest.raises(InfluxDBClientError, match="cannot be done yet"):
        one.drop_database(db)
    assert daemon.values("v1_asked", db=db) == [1]
