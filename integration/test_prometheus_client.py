"""A Python client of Prometheus (`prometheus-api-client`) asks, and Prometheus itself scrapes."""

import datetime
import json
import socket
import subprocess
import time
import urllib.request

import pytest
from prometheus_api_client import PrometheusApiClientException, PrometheusConnect

START_S = 1_700_000_000


@pytest.fixture(scope="module")
def client(daemon):
    lines = [
        f"cpu,host={host},region={region} usage={value + i},idle={100 - i} {(START_S + 10 * i) * 10**9}"
        for host, region, value in [("a", "eu", 10), ("b", "eu", 20), ("c", "us", 30)]
        for i in range(61)
    ]
    assert daemon.write("\n".join(lines)).status == 204
    return PrometheusConnect(url=daemon.url)


def date(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)


def test_it_takes_us_for_a_prometheus(client):
    assert client.check_prometheus_connection()


def test_an_instant_query_has_labels_time_and_value(client):
    got = client.custom_query('cpu_usage{host="a"}', params={"time": START_S + 100})
    labels = {"__name__": "cpu_usage", "db": "test", "host": "a", "region": "eu"}
    assert got == [{"metric": labels, "value": [START_S + 100, "20"]}]


def test_a_range_query_has_every_step(client):
    got = client.custom_query_range("sum by (region) (cpu_usage)", date(START_S), date(START_S + 60), "30")
    assert [(series["metric"], series["values"]) for series in got] == [
        ({"region": "eu"}, [[START_S, "30"], [START_S + 30, "36"], [START_S + 60, "42"]]),
        ({"region": "us"}, [[START_S, "30"], [START_S + 30, "33"], [START_S + 60, "36"]]),
    ]


def test_metrics_and_label_values_are_listed(client):
    # The client gives no times, so the lists are of all that there is.
    assert {"cpu_usage", "cpu_idle"} <= set(client.all_metrics())
    assert client.get_label_values("host") == ["a", "b", "c"]
    assert {"__name__", "db", "host", "region"} <= set(client.get_label_names())


def test_ranges_of_a_metric_come_as_the_client_cuts_them(client):
    got = client.get_metric_range_data(
        "cpu_usage", {"host": "c"}, date(START_S), date(START_S + 600), chunk_size=datetime.timedelta(seconds=600)
    )
    [series] = got
    assert len(series["values"]) == 60, "a range [10m] is open on its left"
    assert series["values"][-1] == [START_S + 600, "90"]


def test_a_wrong_query_is_the_clients_error(client):
    with pytest.raises(PrometheusApiClientException) as failure:
        client.custom_query("sum(")
    assert "400" in str(failure.value) and "bad_data" in str(failure.value)


def test_prometheus_scrapes_our_metrics(daemon, prometheus, tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = "127.0.0.1:%d" % probe.getsockname()[1]
    config = {
        "global": {"scrape_interval": "1s"},
        "scrape_configs": [{"job_name": "sealine", "static_configs": [{"targets": ["%s:%d" % daemon.http]}]}],
    }
    path = tmp_path / "prometheus.yml"
    path.write_text(json.dumps(config))  # YAML takes JSON
    command = [prometheus, f"--config.file={path}", f"--storage.tsdb.path={tmp_path}/data"]
    with open(tmp_path / "log", "wb") as log:
        process = subprocess.Popen([*command, f"--web.listen-address={address}"], stdout=log, stderr=log)
    try:
        up, scraped = None, []
        deadline = time.monotonic() + 20
        while not (up and scraped) and time.monotonic() < deadline:
            time.sleep(0.2)
            ask = lambda query: json.load(urllib.request.urlopen(f"http://{address}/api/v1/query?query={query}"))
            try:
                up = [series["value"][1] for series in ask("up")["data"]["result"]]
                scraped = [s for s in ask("sealine_build_info")["data"]["result"]]
            except OSError:
                continue  # not listening yet
        assert up == ["1"] and len(scraped) == 1, (tmp_path / "log").read_text()
    finally:
        process.terminate()
        process.wait(20)
