"""How long a start takes, by what it finds: logs of START_MIB, many series, many chunk files. benches/start.rs measures,
and knows the lengths of log where no others are asked for; this draws what it says of them, into PLOTS."""

import re
import subprocess

from plots import draw
from tables import machine, setting

ROW = re.compile(r"\| a log with .* million samples .* \| (\d+) KiB \| ([\d.]+) \|")


def main(_work):
    command = ["cargo", "bench", "--locked", "--quiet", "--bench", "start", "--", *setting("START_MIB", "").split()]
    table = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    print(f"{machine(['SEALINE_BIN'])}\n\n{table}\n")
    logs = [(round(int(kib) / 1024), float(seconds)) for kib, seconds in ROW.findall(table)]
    draw("start-by-log", "Start after kill -9, by the log that it finds", "MiB of log", "seconds", {"Sealine": logs})
