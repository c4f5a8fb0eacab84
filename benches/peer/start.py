"""How long a start takes, by what it finds: logs of START_MIB ("64 128 256 512 1024"), many series, many chunk files.

The measuring is that of benches/start.rs; this draws what it says of logs, into PLOTS (docs/performance)."""

import os
import re
import subprocess

from plots import plot
from tables import machine, setting

ROW = re.compile(r"\| a log with .* million samples .* \| (\d+) KiB \| ([\d.]+) \|")


def main(_work):
    folder = setting("PLOTS", os.path.join("docs", "performance"))
    sizes = setting("START_MIB", "64 128 256 512 1024").split()
    command = ["cargo", "bench", "--locked", "--quiet", "--bench", "start", "--", *sizes]
    table = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    print(f"{machine()}\n\n{table}\n")
    logs = [(int(kib) / 1024, float(seconds)) for kib, seconds in ROW.findall(table)]
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "start-by-log.svg"), "w", encoding="utf-8") as out:
        points = [(round(mib), seconds) for mib, seconds in logs]
        out.write(plot("Start after kill -9, by the log that it finds", "MiB of log", "seconds", {"Sealine": points}))
    print("![Start after kill -9, by the log that it finds](performance/start-by-log.svg)")
