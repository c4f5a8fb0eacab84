"""Figures as text: a Markdown table, short numbers, and which machine it was."""

import os
import subprocess
import sys


def say(text):
    """What goes on, for whoever waits."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


def setting(name, default):
    """A size from the environment, such as HOSTS=1000."""
    return type(default)(os.environ.get(name) or default)


def markdown(head, rows):
    """A table; cells are text."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def percentile(values, share):
    values = sorted(values)
    return values[min(int(len(values) * share), len(values) - 1)]


def three(values):
    """p50 / p99 / max of milliseconds."""
    if not values:
        return "-"
    return " / ".join(f"{percentile(values, share):.1f}" for share in (0.5, 0.99, 1))


def million(value):
    return f"{value / 1e6:.2f} M"


def ratio(a, b):
    return f"{a / b:.2f}" if a and b else "-"


def version(binary):
    """What a program says that it is or, as Debian's victoria-metrics says nothing, what its package says."""
    owner = ["dpkg-query", "-W", "-f", "${Package} ${Version}", os.path.basename(binary)]
    for command in ([binary, "--version"], owner):
        try:
            done = subprocess.run(command, capture_output=True, text=True)
        except FileNotFoundError:
            continue
        if lines := (done.stdout + done.stderr).strip().splitlines():
            return lines[0]
    return os.path.basename(binary)


def machine(programs=("SEALINE_BIN", "PEER")):
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = next((line.split(": ")[1].strip() for line in file if line.startswith("model name")), "unknown")
    kernel = os.uname().release.split("-")[0]
    versions = ", ".join(version(os.environ[name]) for name in programs)
    return f"{os.cpu_count()} cores of {model}, Linux {kernel}; {versions}."
