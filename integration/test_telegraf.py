"""What Telegraf puts on the wire, byte for byte: the InfluxDB outputs, and socket_writer over UDP and TCP.

The requests are written out here after what Telegraf's outputs send, so the test needs no Telegraf; telegraf/telegraf.conf
is a configuration to run a real one with."""

import gzip
import os
import socket
import tomllib

import pytest

AT_S = 1_700_000_010

LINES = "".join(
    line + "\n"
    for line in [
        f"cpu,cpu=cpu-total,host=web-1 usage_user=12.5,usage_system=3.25,usage_idle=84.25 {AT_S}000000000",
        f"mem,host=web-1 total=16777216000i,used=8388608000i,used_percent=50 {AT_S}000000000",
        f'system,host=web-1 load1=0.53,uptime=86400i,uptime_format="1 day,  0:00" {AT_S}000000000',
        rf"disk,device=nvme0n1p1,fstype=ext4,host=web-1,mode=rw,path=/my\ data free=1000i,used=2000i {AT_S}000000000",
        f"kernel,host=web-1 context_switches=1234567u,file-max=9 {AT_S}000000000",
    ]
)

# Series -> value, as PromQL must see them afterwards.
WANT = {
    'cpu_usage_user{host="web-1",cpu="cpu-total"}': [12.5],
    'mem_total{host="web-1"}': [16777216000],
    'mem_used_percent{host="web-1"}': [50],
    'system_load1{host="web-1"}': [0.53],
    'system_uptime_format{host="web-1"}': [],
    'disk_free{path="/my data"}': [1000],
    "kernel_context_switches": [1234567],
    "kernel_file_max": [9],
}


def exchange(daemon, request):
    """Sends bytes as they are; gives the status line and the headers of the answer, names in lower case."""
    with socket.create_connection(daemon.http, timeout=10) as connection:
        connection.sendall(request)
        answer = connection.makefile("rb")
        status = int(answer.readline().split()[1])
        headers = {}
        while line := answer.readline().strip():
            name, value = line.decode().split(":", 1)
            headers[name.lower()] = value.strip()
        body = answer.read(int(headers.get("content-length", 0)))
        return status, headers, body


def post(daemon, target, body, *headers):
    host, port = daemon.http
    head = [f"POST {target} HTTP/1.1", f"Host: {host}:{port}", "User-Agent: Telegraf/1.32.0 Go/1.23.0", *headers]
    return exchange(daemon, "\r\n".join([*head, "Accept-Encoding: gzip", "", ""]).encode() + body)


def assert_stored(daemon, database):
    for selector, values in WANT.items():
        assert daemon.values(selector, time=AT_S, db=database) == values, selector


def test_the_influxdb_output_creates_its_database_and_writes_gzip(daemon):
    form = b"q=CREATE+DATABASE+%22telegraf%22"
    status, headers, body = post(
        daemon, "/query", form, f"Content-Length: {len(form)}", "Content-Type: application/x-www-form-urlencoded"
    )
    assert (status, body) == (200, b'{"results":[{"statement_id":0}]}')
    assert headers["x-influxdb-version"].startswith("1.")

    packed = gzip.compress(LINES.encode())
    # Telegraf packs while it sends, so the length is not known beforehand: one chunk, then the end.
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(packed), packed)
    status, _, body = post(
        daemon,
        "/write?consistency=any&db=telegraf",
        chunked,
        "Transfer-Encoding: chunked",
        "Content-Encoding: gzip",
        "Content-Type: text/plain; charset=utf-8",
    )
    assert (status, body) == (204, b"")
    assert_stored(daemon, "telegraf")


def test_the_statement_may_stand_in_the_address(daemon):
    status, _, body = post(daemon, "/query?q=CREATE%20DATABASE%20%22from_address%22", b"", "Content-Length: 0")
    assert (status, body) == (200, b'{"results":[{"statement_id":0}]}')


def test_the_influxdb_output_writes_plain_to_a_retention_policy(daemon):
    body = LINES.encode()
    status, _, _ = post(
        daemon,
        "/write?consistency=any&db=telegraf_rp&rp=autogen",
        body,
        f"Content-Length: {len(body)}",
        "Content-Type: text/plain; charset=utf-8",
    )
    assert status == 204
    assert_stored(daemon, "telegraf_rp")


def test_the_influxdb_v2_output_writes_to_a_bucket(daemon):
    packed = gzip.compress(LINES.encode())
    status, _, _ = post(
        daemon,
        "/api/v2/write?bucket=telegraf_v2&org=any",
        packed,
        f"Content-Length: {len(packed)}",
        "Authorization: Token not-looked-at",
        "Content-Encoding: gzip",
        "Content-Type: text/plain; charset=utf-8",
    )
    assert status == 204
    assert_stored(daemon, "telegraf_v2")


def test_a_bad_line_is_told_so_that_telegraf_drops_it_and_goes_on(daemon):
    body = b"kept value=1\nbroken value=\nkept_too value=2\n"
    status, headers, body = post(daemon, "/write?consistency=any&db=telegraf_bad", body, f"Content-Length: {len(body)}")
    # "partial write" in the error is the word by which Telegraf knows not to send the batch again.
    assert status == 400 and b'"error":"partial write: line 2' in body
    assert "partial write" in headers["x-influxdb-error"]
    assert daemon.values('{__name__=~"kept.*"}', db="telegraf_bad") == [1, 2]


@pytest.mark.parametrize("kind", ["udp", "tcp"])
def test_socket_writer_lines_arrive(daemon, kind):
    transport = socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, transport) as connection:
        connection.connect(getattr(daemon, kind))
        connection.sendall(LINES.encode())
    daemon.wait_for("mem_total", [16777216000], time=AT_S, db=kind)
    assert_stored(daemon, kind)


def test_the_shipped_configuration_is_well_formed_and_names_our_ports():
    path = os.path.join(os.path.dirname(__file__), "telegraf", "telegraf.conf")
    with open(path, "rb") as file:
        config = tomllib.load(file)
    assert config["outputs"]["influxdb"][0]["urls"] == ["http://127.0.0.1:8086"]
    assert {"cpu", "mem", "disk", "net", "system"} <= set(config["inputs"])
