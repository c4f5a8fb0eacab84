#!/usr/bin/env bash
# Runs the built daemon against software that others wrote: client libraries of InfluxDB and Prometheus, promtool,
# Prometheus itself, the influx shell, requests as Telegraf sends them. Arguments go to pytest: `integration/run.sh -k telegraf`.
#
# What is not installed is skipped, by name; INTEGRATION_REQUIRE_ALL=1 makes that a failure.
set -euo pipefail
cd "$(dirname "$0")"

if ! command -v python3 >/dev/null; then
  echo "integration tests: skipped, python3 is not installed"
  exit "${INTEGRATION_REQUIRE_ALL:-0}"
fi

if [ ! -x .venv/bin/python ]; then
  python3 -m venv .venv || { echo "cannot make integration/.venv: install the package python3-venv"; exit 1; }
fi
if ! cmp -s requirements.txt .venv/requirements.installed; then
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --requirement requirements.txt
  cp requirements.txt .venv/requirements.installed
fi

if [ -z "${SEALINE_BIN:-}" ]; then
  (cd .. && cargo build --locked --quiet)
  SEALINE_BIN="${CARGO_TARGET_DIR:-$PWD/../target}/debug/sealine"
fi
export SEALINE_BIN PYTHONDONTWRITEBYTECODE=1

exec .venv/bin/python -m pytest -p no:cacheprovider -q -rs "$@"
