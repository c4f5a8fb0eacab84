"""run.py NAME WORK_DIR: the bench of that name. run.sh builds what it needs, and makes and removes the folder.

With PAGE=docs/performance.md in the environment, what it prints takes the place of what stands there between
`<!-- bench-NAME: begin -->` and `<!-- bench-NAME: end -->`."""

import contextlib
import importlib
import io
import os
import re
import sys

name, work = sys.argv[1:]
printed = io.StringIO()
try:
    with contextlib.redirect_stdout(printed):
        importlib.import_module(name).main(work)
finally:
    print(printed.getvalue(), end="")
if page := os.environ.get("PAGE"):
    with open(page, encoding="utf-8") as file:
        text = file.read()
    between = re.compile(f"(<!-- bench-{name}: begin -->\n).*?(<!-- bench-{name}: end -->)", re.DOTALL)
    text, times = between.subn(lambda found: found[1] + printed.getvalue() + found[2], text)
    assert times == 1, f"{page} has no place for bench-{name}"
    with open(page, "w", encoding="utf-8") as file:
        file.write(text)
