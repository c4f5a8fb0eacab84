"""run.py NAME WORK_DIR: the bench of that name. run.sh builds what it needs, and makes and removes the folder."""

import importlib
import sys

importlib.import_module(sys.argv[1]).main(sys.argv[2])
