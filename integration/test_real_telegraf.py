"""A real Telegraf with the outputs of telegraf/telegraf.conf. TELEGRAF_BIN names it; without that, `telegraf` of the path is
taken, and where there is none, these tests are skipped: Debian has no package of it."""

import os
import re
import shutil
import socket
import subprocess
import threading
import time

import pytest

from daemon import Daemon

AT_S = 1_700_000_010
CONFIGURATION = os.path.join(os.path.dirname(__file__), "telegraf", "telegraf.conf")

# How long Telegraf may take for what it does at once; far beyond what a loaded machine needs.
PATIENCE_S = 60


def outputs():
    """The outputs of the configuration, those in comments too, by name and, where that is not HTTP, protocol."""
    found, block = {}, None
    with open(CONFIGURATION, encoding="utf-8") as file:
        for line in file:
            line = line.removeprefix("# ") if line.startswith(("# [[", "#   ")) else line
            if line.startswith("[[outputs."):
                block = [line]
            elif block is not None and line.startswith("  "):
                block.append(line)
            elif block is not None:
                text = "".join(block)
                name, protocol = re.match(r"\[\[outputs\.(\w+)\]\]", text)[1], re.search(r"(\w+)://", text)[1]
                found[name if protocol == "http" else f"{name}_{protocol}"] = text
                block = None
    return found


OUTPUTS = outputs()


@pytest.fixture(scope="module")
def telegraf():
    found = os.environ.get("TELEGRAF_BIN") or shutil.which("telegraf")
    if not found:
        pytest.skip("telegraf is not installed: TELEGRAF_BIN names one")
    return found


def configuration(folder, output, daemon, lines, http=None, **settings):
    """A file that has one output send what stands in a file of lines, and what is added to it, each line once."""
    source = os.path.join(folder, "lines")
    with open(source, "w", encoding="utf-8") as file:
        file.write(lines)
    text = OUTPUTS[output]
    text = text.replace("127.0.0.1:8086", "%s:%d" % (http or daemon.http))
    text = text.replace("127.0.0.1:8089", "%s:%d" % daemon.udp).replace("127.0.0.1:8090", "%s:%d" % daemon.tcp)
    for name, value in settings.items():
        text = re.sub(rf"^  {name} = .*\n", "", text, flags=re.MULTILINE) + f"  {name} = {value}\n"
    path = os.path.join(folder, "telegraf.conf")
    with open(path, "w", encoding="utf-8") as file:
        file.write('[agent]\n  interval = "1s"\n  flush_interval = "1s"\n  omit_hostname = true\n  precision = "1ns"\n')
        file.write(text + f'[[inputs.tail]]\n  files = ["{source}"]\n')
        file.write('  initial_read_offset = "beginning"\n  watch_method = "poll"\n  data_format = "influx"\n')
    return path


class Telegraf:
    """A running one; use as a context manager."""

    def __init__(self, binary, path):
        self.command = [binary, "--config", path]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.log = []
        self.reading = threading.Thread(target=lambda: self.log.extend(self.process.stderr), daemon=True)
        self.reading.start()
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.reading.join()

    def wait_until(self, probe, what):
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            if probe():
                return
            if any("undefined but requested output" in line for line in self.log):
                pytest.skip("this Telegraf has no such output")
            assert self.process.poll() is None, "".join(self.log)
            time.sleep(0.1)
        raise AssertionError(f"{what}: {''.join(self.log)}")


def is_there(daemon, series, value):
    return lambda: daemon.values(series, time=AT_S) == [value]


@pytest.mark.parametrize("output", OUTPUTS)
def test_each_output_delivers(daemon, telegraf, tmp_path, output):
    lines = f"real,output={output} number=1.5,count=7i,flag=true,text=\"x\" {AT_S}000000000\n"
    with Telegraf(telegraf, configuration(tmp_path, output, daemon, lines)) as running:
        running.wait_until(is_there(daemon, f'real_number{{output="{output}"}}', 1.5), "the number arrives")
        running.wait_until(is_there(daemon, f'real_count{{output="{output}"}}', 7), "the count arrives")


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_line_that_is_refused_blocks_nothing(daemon, telegraf, tmp_path, output):
    lines = f"refused,output={output} v=1 4102444800000000000\nbeside,output={output} v=1 {AT_S}000000000\n"
    with Telegraf(telegraf, configuration(tmp_path, output, daemon, lines)) as running:
        running.wait_until(is_there(daemon, f'beside_v{{output="{output}"}}', 1), "the line beside it arrives")
        with open(tmp_path / "lines", "a", encoding="utf-8") as file:
            file.write(f"later,output={output} v=1 {AT_S}000000000\n")
        running.wait_until(is_there(daemon, f'later_v{{output="{output}"}}', 1), "what comes later arrives")
        # What is sent again for ever is still there after a while.
        sent = len(running.log)
        time.sleep(5)
        again = [line for line in running.log[sent:] if "E!" in line]
        assert not again, again


@pytest.mark.parametrize("output", ["influxdb_udp", "socket_writer_tcp"])
def test_a_metric_of_more_than_a_datagram_blocks_nothing(daemon, telegraf, tmp_path, output):
    fields = ",".join(f"a_long_name_of_a_field_{number}=1" for number in range(3000))
    lines = f"wide,output={output} {fields} {AT_S}000000000\nnarrow,output={output} v=1 {AT_S}000000000\n"
    with Telegraf(telegraf, configuration(tmp_path, output, daemon, lines)) as running:
        running.wait_until(is_there(daemon, f'narrow_v{{output="{output}"}}', 1), "what comes behind it arrives")
        count = f'count({{__name__=~"wide_.+",output="{output}"}})'
        running.wait_until(is_there(daemon, count, 3000), "all its fields arrive")


class Stalling:
    """A proxy that, of its first connections, passes on the head and holds the body until the server has given up."""

    def __init__(self, server, times):
        self.server, self.times = server, times
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = self.listener.getsockname()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.times -= 1
            threading.Thread(target=self._pass, args=(client, self.times >= 0), daemon=True).start()

    def _pass(self, client, stall):
        with client, socket.create_connection(self.server) as server:
            back = threading.Thread(target=self._copy, args=(server, client), daemon=True)
            back.start()
            if stall:
                head = client.recv(65536)
                server.sendall(head[: head.index(b"\r\n\r\n") + 6])
                back.join()  # until it has answered and closed
                return
            self._copy(client, server)
            back.join()

    @staticmethod
    def _copy(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass


@pytest.mark.parametrize("output", [name for name in OUTPUTS if not name.endswith(("_udp", "_tcp"))])
def test_a_link_that_stalls_costs_nothing(telegraf, tmp_path, output):
    with Daemon(os.environ["SEALINE_BIN"], str(tmp_path), HTTP__BODY_TIMEOUT="1s") as daemon:
        proxy = Stalling(daemon.http, times=2)
        lines = f"first v=1 {AT_S}000000000\n"
        path = configuration(tmp_path, output, daemon, lines, http=proxy.address)
        with Telegraf(telegraf, path) as running:
            running.wait_until(lambda: proxy.times < 2, "it connects")
            with open(tmp_path / "lines", "a", encoding="utf-8") as file:
                file.write(f"second v=1 {AT_S}000000000\n")
            running.wait_until(is_there(daemon, "second_v", 1), "what comes later arrives")
            running.wait_until(is_there(daemon, "first_v", 1), "what was in the body that stalled arrives")
            assert proxy.times <= 0, "the link stalled"
