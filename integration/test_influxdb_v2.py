"""The official Python client of InfluxDB 2 (`influxdb-client`): writes, and the probes that it has."""

import pytest
from influxdb_client import BucketRetentionRules, InfluxDBClient, Point, WritePrecision
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException

AT_S = 1_700_000_000


@pytest.fixture(params=[False, True], ids=["plain", "gzip"])
def client(daemon, request):
    with InfluxDBClient(daemon.url, token="any", org="any", enable_gzip=request.param) as one:
        one.gzip = request.param
        yield one


def test_the_probes_say_that_it_is_ready(client):
    assert client.ping() is True
    assert client.version().startswith("1.8")
    health = client.health()
    assert (health.name, health.status) == ("sealine", "pass")
    ready = client.ready()
    assert ready.status == "ready" and ready.started is not None


@pytest.mark.parametrize("factor, unit", [(10**9, "ns"), (10**6, "us"), (10**3, "ms"), (1, "s")])
def test_a_point_is_stored_in_each_precision(daemon, client, db, factor, unit):
    name = f"v2_{unit}_{client.gzip}"
    point = Point(name).tag("host", "a").field("value", 2.5).time(AT_S * factor, getattr(WritePrecision, unit.upper()))
    client.write_api(write_options=SYNCHRONOUS).write(bucket=db, record=point)
    assert daemon.query(name, time=AT_S) == {(("db", db), ("host", "a")): 2.5}
    assert daemon.values(f"timestamp({name})", time=AT_S + 60) == [AT_S]


def test_a_batch_of_lines_is_stored_whole(daemon, client, db):
    name = f"v2_batch_{client.gzip}"
    lines = [f"{name},host=h{i:04} value={i}i {AT_S}" for i in range(5000)]
    client.write_api(write_options=SYNCHRONOUS).write(bucket=db, record=lines, write_precision=WritePrecision.S)
    assert daemon.values(f"count({name})", time=AT_S) == [5000]
    assert daemon.values(f"sum({name})", time=AT_S) == [sum(range(5000))]


def test_the_batching_writer_loses_nothing(daemon, client, db):
    name = f"v2_batching_{client.gzip}"
    with client.write_api() as writer:
        for i in range(3000):
            writer.write(bucket=db, record=f"{name},host=h{i} value={i} {AT_S}", write_precision=WritePrecision.S)
    assert daemon.values(f"count({name})", time=AT_S) == [3000]


def test_a_bad_line_is_the_clients_error_and_costs_only_itself(daemon, client, db):
    name = f"v2_bad_{client.gzip}"
    lines = f"{name},host=a value=1\n{name},host=b value=nonsense\n{name},host=c value=3"
    with pytest.raises(ApiException) as failure:
        client.write_api(write_options=SYNCHRONOUS).write(bucket=db, record=lines)
    assert failure.value.status == 400
    # The client takes its message from the JSON member that InfluxDB 2 has.
    assert "line 2" in failure.value.message and "dropped=1" in failure.value.message
    assert daemon.values(name) == [1, 3]


def test_a_bucket_may_name_a_retention_policy(daemon, client, db):
    name = f"v2_policy_{client.gzip}"
    client.write_api(write_options=SYNCHRONOUS).write(bucket=f"{db}/autogen", record=f"{name} value=1")
    assert list(daemon.query(name)) == [(("db", db),)]


def test_an_organization_is_found_by_any_name(client):
    found = client.organizations_api().find_organizations(org="home")
    assert [org.name for org in found] == ["home"]
    assert client.organizations_api().find_organization(found[0].id).id == found[0].id


def test_a_bucket_is_made_found_and_written_to(daemon, client, db):
    name = f"{db}_{client.gzip}"
    buckets = client.buckets_api()
    assert buckets.find_bucket_by_name(name) is None
    made = buckets.create_bucket(bucket_name=name, org="home")
    assert made.name == name
    found = buckets.find_bucket_by_name(name)
    assert (found.id, found.type) == (made.id, "user")
    assert buckets.find_bucket_by_id(made.id).name == name
    assert name in [bucket.name for bucket in buckets.find_buckets().buckets]
    client.write_api(write_options=SYNCHRONOUS).write(bucket=name, org="home", record=f"made_{client.gzip} value=1")
    assert daemon.values(f"made_{client.gzip}", db=name) == [1]
    with pytest.raises(ApiException) as failure:
        buckets.create_bucket(bucket_name=name, org="home")
    assert (failure.value.status, failure.value.message) == (422, "a bucket with this name exists already")
    with pytest.raises(ApiException) as failure:
        rule = BucketRetentionRules(type="expire", every_seconds=3600)
        buckets.create_bucket(bucket_name=f"{name}_hour", retention_rules=rule, org="home")
    assert failure.value.status == 400 and "retention.disk" in failure.value.message
