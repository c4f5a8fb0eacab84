#!/usr/bin/env python3
"""Runs what README.md tells a newcomer to type: every command of its shell blocks, in order, in a copy of the tree that has
nothing but what git keeps.

- A block runs in one bash, where a failing command ends it. `curl` fails where the answer is 400 or more; a comment
  `<!-- answers 400 -->` in front of a block says that it has to.
- `make run` and `sealine serve` run on while the next commands do, and must end in order when they are stopped.
- A JSON block right behind a shell block is what its last command prints, times apart.
- Addresses 127.0.0.1:8086 and :8089 stand for free ports, so that nothing else on the machine is in the way.

What is in NOT_RUN is listed with its reason. The last line counts. SEALINE_README=file takes another page."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PAGE = os.environ.get("SEALINE_README") or os.path.join(ROOT, "README.md")
SHELLS = {"sh", "bash", "shell", "console"}

# Commands that run on until they are stopped.
SERVER = re.compile(r"^(make run\b|(\S*/)?sealine serve\b)")

# Commands that are not run, by what they match, with the reason.
NOT_RUN = [
    (re.compile(r"^make (test|ci)\b"), "a step of continuous integration by itself"),
    (re.compile(r"^make bench-"), "a bench: it measures a machine at rest"),
    (re.compile(r"\b(docker|podman|kubectl|helm)\b"), "needs a runtime for containers"),
    (re.compile(r"\b(apt|apt-get|dnf|brew|rustup)\b"), "installs packages of the system"),
    (re.compile(r"\b(sudo|systemctl|journalctl|useradd|install -d|chown)\b"), "changes the system"),
]

# Targets of the Makefile that no block has, and that need a tree of their own: they run last.
MORE = ["make help", "make clean"]

BUILD_LIMIT_S = 30 * 60
STOP_LIMIT_S = 60


def blocks(text):
    """(line of the first command, text, status that the answer must have or None, JSON that it prints or None)."""
    fence = re.compile(r"^(?:<!-- answers (\d+) -->\n)?```(\w*)[^\n]*\n(.*?)^```$", re.M | re.S)
    found = list(fence.finditer(text))
    for at, block in enumerate(found):
        if block[2] not in SHELLS:
            continue
        behind = found[at + 1] if at + 1 < len(found) else None
        between = text[block.end():behind.start()].strip() if behind else "-"
        prints = behind[3] if behind and behind[2] == "json" and not between else None
        yield text.count("\n", 0, block.start(3)) + 1, block[3], block[1] and int(block[1]), prints


def commands(block):
    """The commands of a block: lines, and those behind them that belong to them."""
    command = ""
    for line in block.splitlines():
        command += line + "\n"
        whole = not line.endswith("\\") and subprocess.run(["bash", "-n", "-c", command], capture_output=True).returncode == 0
        if whole:
            if command.strip() and not command.lstrip().startswith("#"):
                yield command
            command = ""
    assert not command, f"bash does not see the end of {command!r}"


def free_port(kind):
    with socket.socket(socket.AF_INET, kind) as one:
        one.bind(("127.0.0.1", 0))
        return str(one.getsockname()[1])


class Reader:
    def __init__(self, copy, target):
        self.copy = copy
        self.ports = {"8086": free_port(socket.SOCK_STREAM), "8089": free_port(socket.SOCK_DGRAM)}
        self.environment = {
            **os.environ,
            "CARGO_TARGET_DIR": target,
            "PATH": os.path.join(target, "release") + os.pathsep + os.environ["PATH"],
            "SEALINE__HTTP__LISTEN": "127.0.0.1:" + self.ports["8086"],
            "SEALINE__UDP__LISTEN": "127.0.0.1:" + self.ports["8089"],
        }
        self.server = None
        self.passed, self.failed, self.skipped = 0, 0, []

    def local(self, text):
        return re.sub(r"\b(127\.0\.0\.1|localhost)([:/])(808[69])\b", lambda m: m[1] + m[2] + self.ports[m[3]], text)

    def count(self, line, command, fault):
        head = command.strip().splitlines()[0]
        if fault:
            self.failed += 1
            print(f"{PAGE}:{line}: {head}\n  {fault}", flush=True)
        else:
            self.passed += 1
            print(f"{PAGE}:{line}: {head}: ok", flush=True)

    def block(self, line, text, status, prints):
        together = []
        for command in commands(text):
            reason = next((reason for what, reason in NOT_RUN if what.search(command)), None)
            if reason:
                self.skipped.append((line, command.strip().splitlines()[0], reason))
            elif SERVER.match(command):
                self.run(line, together, status, prints)
                together = []
                self.count(line, command, self.serve(command))
            else:
                together.append(command)
        self.run(line, together, status, prints)

    def run(self, line, together, status, prints):
        if not together:
            return
        script = 'curl() { command curl --silent --show-error --fail-with-body "$@"; }\n' + self.local("".join(together))
        bash = ["bash", "-euo", "pipefail", "-c", script]
        try:
            done = subprocess.run(bash, cwd=self.copy, env=self.environment, stdin=subprocess.DEVNULL,
                                  capture_output=True, text=True, timeout=BUILD_LIMIT_S)
        except subprocess.TimeoutExpired as late:
            return self.count(line, together[0], f"it did not end within {late.timeout:.0f} s")
        fault = None
        if status:
            if f"returned error: {status}" not in done.stderr:
                fault = f"the answer should have been {status}"
        elif done.returncode != 0:
            fault = f"it ended with {done.returncode}"
        if prints and not fault:
            # Only what the last command prints counts; the times of samples are those of the day.
            timeless = lambda text: re.sub(r"\[\d+(\.\d+)?,", "[0,", text)
            try:
                same = json.loads(timeless(done.stdout.strip().splitlines()[-1])) == json.loads(timeless(prints))
            except (ValueError, IndexError):
                same = False
            fault = None if same else "it does not print what the page says"
        self.count(line, together[0], fault and f"{fault}: {done.stdout}{done.stderr}")

    def serve(self, command):
        """Starts a server in place of the one before. Returns what is wrong with either, or None."""
        if fault := self.stop():
            return fault
        self.log = os.path.join(self.copy, "server.log")
        with open(self.log, "w", encoding="utf-8") as log:
            self.server = subprocess.Popen(["bash", "-c", self.local(command)], cwd=self.copy, env=self.environment,
                                           stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + BUILD_LIMIT_S
        while " ready " not in self.said():
            if self.server.poll() is not None or time.monotonic() > deadline:
                return f"the server did not get ready: {self.said()}"
            time.sleep(0.1)
        return None

    def said(self):
        with open(self.log, encoding="utf-8") as log:
            return log.read()

    def stop(self):
        if self.server is None:
            return None
        server, self.server = self.server, None
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()
        # `make` ends at once upon a signal, and the daemon that it has started a little later.
        limit = time.monotonic() + STOP_LIMIT_S
        while " stopped" not in self.said() and time.monotonic() < limit:
            time.sleep(0.1)
        return None if " stopped" in self.said() else f"the server did not stop in order: {self.said()}"


def copy_tree(to):
    """What a clone would have, with what is not committed yet."""
    shutil.rmtree(to, ignore_errors=True)
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True,
                            capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        source, copy = os.path.join(ROOT, name), os.path.join(to, name)
        if os.path.lexists(source):
            os.makedirs(os.path.dirname(copy), exist_ok=True)
            shutil.copy2(source, copy, follow_symlinks=False)


def main():
    target = os.path.abspath(os.environ.get("CARGO_TARGET_DIR") or os.path.join(ROOT, "target"))
    # At the same place each time, and with the times of the files: what is built already is not built again.
    copy = os.path.join(target, "readme")
    copy_tree(copy)
    reader = Reader(copy, target)
    with open(PAGE, encoding="utf-8") as page:
        text = page.read()
    try:
        for line, block, status, prints in blocks(text):
            reader.block(line, block, status, prints)
    finally:
        fault = reader.stop()
    if fault:
        reader.count(0, "the last server", fault)
    reader.environment["CARGO_TARGET_DIR"] = os.path.join(copy, "empty-target")
    for command in MORE:
        reader.run(0, [command], None, None)
    shutil.rmtree(copy, ignore_errors=True)
    for line, command, reason in reader.skipped:
        print(f"{PAGE}:{line}: {command}: not run, {reason}")
    print(f"readme: {reader.passed} passed, {reader.failed} failed, {len(reader.skipped)} skipped")
    sys.exit(reader.failed > 0)


main()
