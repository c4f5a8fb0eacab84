"""Every request that docs/grafana.md lists, as Grafana 10 to 12 writes it: method, encoding, order of parameters, headers.

Grafana's server is written in Go: a form that it makes itself has its keys in order, one that the browser made comes as
the browser's `encodeURIComponent` wrote it.
"""

import gzip
import json
import os
import re
import time
from pathlib import Path
from urllib.parse import quote

import pytest

from daemon import Daemon
from side_by_side.peers import Peer, Prometheus

START_S = 1_700_000_000
END_S = START_S + 600
BUCKETS = ("0.1", "0.5", "+Inf")
FORM = "application/x-www-form-urlencoded"
TIMES = f"start={START_S}&end={END_S}"

# What panels send along.
PANEL = {
    "X-Dashboard-Uid": "adqx7k",
    "X-Panel-Id": "4",
    "X-Grafana-Org-Id": "1",
    "X-Datasource-Uid": "sealine",
    "X-Panel-Plugin-Id": "timeseries",
    "X-Query-Group-Id": "8d7a",
}


def lines():
    for i in range(61):
        at = (START_S + 10 * i) * 10**9
        for host, zone, value in [("a", "eu", 10), ("b", "eu", 20), ("c", "us", 30)]:
            yield f"cpu,host={host},zone={zone} used={value + i},idle={100 - i} {at}"
        for le in BUCKETS:
            yield f"http_seconds,le={le},path=/x bucket={i * 2}i {at}"


@pytest.fixture(scope="module")
def ask(daemon):
    """Asks as Grafana's server does; answers status, headers and JSON."""
    assert daemon.write("\n".join(lines()), db="lab").status == 204

    def ask(method, path, body=None, headers=()):
        sent = {"User-Agent": "Grafana/12.0.0", "Accept-Encoding": "gzip", **dict(headers)}
        if method == "POST":
            sent["Content-Type"] = FORM
        answer = daemon.request(method, path, body, sent)
        if answer.headers.get("content-encoding") == "gzip":
            answer.body = gzip.decompress(answer.body)
        assert answer.headers["content-type"] == "application/json"
        return answer

    return ask


@pytest.fixture(scope="module")
def data(ask):
    """The `data` of an answer that must be a success without warnings."""

    def data(method, path, body=None, headers=()):
        answer = ask(method, path, body, headers)
        assert answer.status == 200, answer.body
        json = answer.json()
        assert (json["status"], set(json)) == ("success", {"status", "data"}), json
        return json["data"]

    return data


def test_save_and_test(ask, data):
    assert data("POST", "/api/v1/query", "query=1%2B1&time=4") == {"resultType": "scalar", "result": [4, "2"]}
    # Older versions try to POST everything, and go on with GET when they are told 405.
    assert ask("POST", "/api/v1/status/buildinfo", "").status == 405
    build = data("GET", "/api/v1/status/buildinfo")
    major, minor, _ = map(int, build["version"].split("."))
    assert (major, minor) >= (2, 24), "from here on, label values are asked for with match[]"
    assert not build.get("features"), "features would make it a Mimir"


def test_a_page_opens(data):
    assert data("GET", "/api/v1/rules") == {"groups": []}
    ends = f"start={START_S * 1000}&end={END_S * 1000}"  # the one place where Grafana sends milliseconds
    assert data("GET", f"/api/v1/query_exemplars?query=test&{ends}") == []


METRICS = ["cpu_idle", "cpu_used", "http_seconds_bucket"]
LABELS = ["__name__", "db", "host", "le", "path", "zone"]


def test_the_editor_loads_what_there_is(data):
    assert data("GET", f"/api/v1/label/__name__/values?limit=40000&{TIMES}") == METRICS
    assert data("GET", f"/api/v1/label/__name__/values?{TIMES}") == METRICS, "as older versions ask"
    assert data("POST", "/api/v1/labels", f"limit=40000&{TIMES}") == LABELS
    assert data("GET", f"/api/v1/labels?{TIMES}") == LABELS
    metadata = data("GET", "/api/v1/metadata?limit=40000")
    assert sorted(metadata) == METRICS
    # Grafana takes the first entry of each without a look whether there is one.
    assert all(set(known[0]) == {"type", "help", "unit"} for known in metadata.values())
    assert data("GET", "/api/v1/metadata").keys() == metadata.keys()


@pytest.mark.parametrize(
    "match, labels, hosts",
    [
        ('{__name__="cpu_used"}', ["__name__", "db", "host", "zone"], ["a", "b", "c"]),
        ("cpu_used", ["__name__", "db", "host", "zone"], ["a", "b", "c"]),
        ('{"cpu_used"}', ["__name__", "db", "host", "zone"], ["a", "b", "c"]),
        ('{__name__="cpu_used", zone="eu"}', ["__name__", "db", "host", "zone"], ["a", "b"]),
        ('{zone=~"eu|us",host!="b"}', ["__name__", "db", "host", "zone"], ["a", "c"]),
        ('{__name__=~".*http.*"}', ["__name__", "db", "le", "path"], []),
    ],
)
def test_the_builder_narrows(data, match, labels, hosts):
    match = quote(match, safe="")
    assert data("POST", "/api/v1/labels", f"limit=40000&{TIMES}&match%5B%5D={match}") == labels
    assert data("GET", f"/api/v1/label/host/values?limit=40000&{TIMES}&match%5B%5D={match}") == hosts


def test_a_metric_is_found_by_a_part_of_its_name(data):
    match = quote('{__name__=~".*cpu.*"}', safe="")
    assert data("GET", f"/api/v1/label/__name__/values?limit=40000&{TIMES}&match%5B%5D={match}") == METRICS[:2]
    both = "match[]=cpu_used&match[]=http_seconds_bucket"
    assert data("GET", f"/api/v1/label/__name__/values?{both}") == METRICS[1:]


def test_a_label_with_an_odd_name_comes_escaped(data):
    assert data("GET", f"/api/v1/label/U__host/values?{TIMES}") == ["a", "b", "c"]


def test_the_series_endpoint(data):
    everything = quote('{__name__!=""}', safe="")
    series = data("POST", "/api/v1/series", f"{TIMES}&match%5B%5D={everything}&limit=40000")
    assert len(series) == 2 * 3 + len(BUCKETS)
    assert {"__name__": "cpu_used", "db": "lab", "host": "a", "zone": "eu"} in series


def test_a_list_that_was_cut_says_so(ask):
    json = ask("GET", f"/api/v1/label/host/values?limit=2&{TIMES}").json()
    assert len(json["data"]) == 2 and set(json["data"]) < {"a", "b", "c"}
    assert json["warnings"] == ["results truncated due to limit"]


def test_a_graph(data):
    query = quote('avg by (zone) (cpu_used{host=~".+"})', safe="")
    form = f"end={END_S}&query={query}&start={START_S}&step=300"
    got = data("POST", "/api/v1/query_range", form, PANEL)
    assert got == {
        "resultType": "matrix",
        "result": [
            {"metric": {"zone": "eu"}, "values": [[START_S, "15"], [START_S + 300, "45"], [END_S, "75"]]},
            {"metric": {"zone": "us"}, "values": [[START_S, "30"], [START_S + 300, "60"], [END_S, "90"]]},
        ],
    }
    # As a time range that ends now: times and steps with decimals.
    form = f"end={END_S}.5&query={query}&start={START_S}.25&step=0.25&timeout=30s"
    [_, us] = data("POST", "/api/v1/query_range", form, PANEL)["result"]
    assert us["values"][0] == [START_S + 0.25, "30"] and len(us["values"]) == 600 * 4 + 2


def test_a_table_and_a_stat(data):
    got = data("POST", "/api/v1/query", f"query=cpu_used%7Bhost%3D%22a%22%7D&time={END_S}.123", PANEL)
    metric = {"__name__": "cpu_used", "db": "lab", "host": "a", "zone": "eu"}
    assert got == {"resultType": "vector", "result": [{"metric": metric, "value": [END_S + 0.123, "70"]}]}
    got = data("POST", "/api/v1/query", f"query=cpu_used%7Bhost%3D%22nobody%22%7D&time={END_S}", PANEL)
    assert got == {"resultType": "vector", "result": []}


def test_a_heatmap_of_buckets(data):
    query = quote("sum by (le) (increase(http_seconds_bucket[5m]))", safe="")
    series = data("POST", "/api/v1/query_range", f"end={END_S}&query={query}&start={END_S}&step=60", PANEL)["result"]
    assert sorted(one["metric"]["le"] for one in series) == sorted(BUCKETS)


def test_exemplars_and_annotations(data):
    query = "histogram_quantile(0.9,+http_seconds_bucket)"
    assert data("POST", "/api/v1/query_exemplars", f"end={END_S}&query={query}&start={START_S}") == []
    query = quote('changes(cpu_used{host="a"}[1m]) > 0', safe="")
    got = data("POST", "/api/v1/query_range", f"end={END_S}&query={query}&start={START_S}&step=60", PANEL)
    assert got["resultType"] == "matrix" and len(got["result"]) == 1


def test_an_alert_rule(data):
    rule = {"FromAlert": "true", "X-Cache-Skip": "true", "X-Rule-Uid": "r1", "X-Rule-Name": "hot", "X-Grafana-Org-Id": "1"}
    got = data("POST", "/api/v1/query", f"query=max%28cpu_used%29+%3E+50&time={END_S}", rule)
    assert got == {"resultType": "vector", "result": [{"metric": {}, "value": [END_S, "90"]}]}


@pytest.mark.parametrize(
    "variable, method, path, form, want",
    [
        ("label_values(host)", "GET", f"/api/v1/label/host/values?{TIMES}", None, ["a", "b", "c"]),
        (
            'label_values(cpu_used{zone="eu"}, host)',
            "GET",
            f"/api/v1/label/host/values?match%5B%5D=cpu_used%7Bzone%3D%22eu%22%7D&{TIMES}",
            None,
            ["a", "b"],
        ),
        ("label_names()", "POST", "/api/v1/labels", TIMES, LABELS),
        (
            "label_names(cpu)",
            "POST",
            "/api/v1/labels",
            f"{TIMES}&match%5B%5D=%7B__name__%3D~%22.*cpu.*%22%7D",
            ["__name__", "db", "host", "zone"],
        ),
        ("metrics(cpu.*)", "GET", f"/api/v1/label/__name__/values?{TIMES}", None, METRICS),
        (
            "metrics(cpu.*), newer",
            "GET",
            f"/api/v1/label/__name__/values?limit=40000&{TIMES}&match%5B%5D=%7B__name__%3D~%22cpu.*%22%7D",
            None,
            METRICS[:2],
        ),
        (
            "an ad hoc filter",
            "GET",
            f"/api/v1/label/host/values?{TIMES}&match%5B%5D=%7Bzone%3D%22us%22%7D",
            None,
            ["c"],
        ),
    ],
)
def test_variables(data, variable, method, path, form, want):
    assert data(method, path, form) == want


def test_variables_of_queries_and_of_series(data):
    got = data("POST", "/api/v1/query", f"query=topk(1%2C%20cpu_used)&time={END_S}")
    [top] = got["result"]
    assert (got["resultType"], top["metric"]["host"], top["value"]) == ("vector", "c", [END_S, "90"])
    got = data("POST", "/api/v1/series", f"match%5B%5D=cpu_used%7Bhost%3D%22a%22%7D&{TIMES}")
    assert got == [{"__name__": "cpu_used", "db": "lab", "host": "a", "zone": "eu"}]


def test_a_database_by_custom_query_parameters(data):
    assert data("GET", f"/api/v1/label/host/values?{TIMES}&db=lab") == ["a", "b", "c"]
    assert data("GET", f"/api/v1/label/host/values?{TIMES}&db=other") == []
    assert data("POST", "/api/v1/query", f"query=count%28cpu_used%29&time={END_S}&db=other")["result"] == []


def test_a_wrong_query_is_told_the_same_by_either_method(ask):
    form = f"query=sum%28&time={END_S}"
    posted, got = ask("POST", "/api/v1/query", form), ask("GET", f"/api/v1/query?{form}")
    assert (posted.status, got.status) == (400, 400)
    assert posted.json() == got.json()
    assert posted.json()["errorType"] == "bad_data" and "parse error" in posted.json()["error"]


def test_a_step_that_is_too_small_is_told_which_would_do(ask):
    form = f"end={END_S}&query=cpu_used&start={END_S - 86400 * 7}&step=15"
    answer = ask("POST", "/api/v1/query_range", form)
    assert (answer.status, answer.json()["errorType"]) == (400, "bad_data")
    step = re.search(r"the smallest step that works for this range is ([0-9a-z]+)", answer.json()["error"]).group(1)
    assert ask("POST", "/api/v1/query_range", form.replace("step=15", f"step={step}")).status == 200


def test_statistics(ask):
    form = f"end={END_S}&query=sum%28cpu_used%29&start={END_S - 60}&step=60&stats=all"
    stats = ask("POST", "/api/v1/query_range", form).json()["data"]["stats"]
    assert set(stats["timings"]) == {
        "evalTotalTime", "resultSortTime", "queryPreparationTime", "innerEvalTime", "execQueueTime", "execTotalTime"
    }  # fmt: skip
    assert stats["samples"]["totalQueryableSamplesPerStep"] == [[END_S - 60, 3], [END_S, 3]]
    assert stats["samples"]["totalQueryableSamples"] == 6


def test_the_log_says_which_panel_was_slow(tmp_path):
    with Daemon(os.environ["SEALINE_BIN"], str(tmp_path), QUERY__SLOW="1ms") as daemon:
        query = "count_over_time(vector(1)[90000s:1s])"
        sent = {"Content-Type": FORM, "User-Agent": "Grafana/12.0.0", **PANEL}
        assert daemon.request("POST", "/api/v1/query", f"query={quote(query)}&time={END_S}", sent).status == 200
        deadline = time.monotonic() + 5
        slow = []
        while not slow and time.monotonic() < deadline:
            slow = [event for event in daemon.log() if event["message"] == "slow query"]
        [event] = slow
    want = {"query": query, "time": str(END_S), "outcome": "ok", "dashboard": "adqx7k", "panel": "4", "org": "1"}
    assert {name: event[name] for name in want} == want
    assert event["user_agent"] == "Grafana/12.0.0" and event["seconds"] >= 0.001


DASHBOARD = json.loads((Path(__file__).parent.parent / "conf/grafana/dashboard.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]

# Panels that a daemon without trouble leaves empty: they show only what happens at a rate above zero.
EMPTY = {"Lines rejected", "Requests rejected"}


class Scraper(Prometheus):
    """A Prometheus that scrapes the daemon."""

    def __init__(self, prometheus, folder, daemon):
        scrape = {"job_name": "sealine", "static_configs": [{"targets": ["%s:%d" % daemon.http]}]}
        config = {"global": {"scrape_interval": "1s"}, "scrape_configs": [scrape]}
        (folder / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML
        self.command, self.folder = prometheus, folder


def empty_panels(peer, daemon):
    """The panels of which a query has no result, once there are samples for the others; asked as Grafana does when its
    variables are known."""
    deadline = time.monotonic() + 30
    while True:
        daemon.query("cpu_used")  # something to see in the rates of queries
        time.sleep(1)
        now = time.time()
        empty = set()
        for panel in PANELS:
            for target in panel["targets"]:
                assert target["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, target
                query = target["expr"].replace("$instance", ".*").replace("$__rate_interval", "1m")
                assert "$" not in query, query
                form = {"query": query, "start": now - 60, "end": now, "step": 1}
                status, answer = peer.ask("/api/v1/query_range", form)
                assert status == 200, (panel["title"], answer)
                if not answer["data"]["result"]:
                    empty.add(panel["title"])
        if empty == EMPTY or time.monotonic() > deadline:
            return empty


@pytest.mark.parametrize("kept_by", ["sealine", "prometheus"])
def test_the_dashboard_of_the_daemon(kept_by, request, tmp_path):
    interval = {"sealine": "1s", "prometheus": "0"}[kept_by]
    with Daemon(os.environ["SEALINE_BIN"], str(tmp_path), TELEMETRY__STORE_INTERVAL=interval) as daemon:
        assert daemon.write("cpu used=1").status == 204
        if kept_by == "sealine":
            empty = empty_panels(Peer("sealine", *daemon.http), daemon)
            instances = daemon.request("GET", "/api/v1/label/instance/values?match[]=sealine_build_info").json()["data"]
            assert [instance.rsplit(":", 1)[1] for instance in instances] == [str(daemon.http[1])]
            assert "_internal" in daemon.request("GET", "/query?q=SHOW+DATABASES").body.decode()
        else:
            with Scraper(request.getfixturevalue("prometheus"), tmp_path, daemon) as peer:
                empty = empty_panels(peer, daemon)
    assert len(PANELS) > 15
    assert empty == EMPTY


def test_the_variables_of_the_dashboard_are_its_own():
    variables = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
    assert set(variables) == {"datasource", "instance"}
    assert variables["instance"]["definition"] == "label_values(sealine_build_info, instance)"
    assert variables["instance"]["allValue"] == ".*"
