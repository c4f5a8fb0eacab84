#!/usr/bin/env bash
# Measures Sealine and VictoriaMetrics in turn on this machine, and prints one Markdown table (figures.py says of what).
#
#   PEER=path of another victoria-metrics     SEALINE_BIN=path of another sealine
#   SEALINE_SHARED=folder with bench/ (the load generator; without it ../shared)
set -euo pipefail
cd "$(dirname "$0")/../.."

shared=$(realpath -m "${SEALINE_SHARED:-../shared}")
export PEER=${PEER:-victoria-metrics}
[ -f "$shared/bench/lpgen.rs" ] || { echo "bench-peer: skipped, there is no load generator: $shared/bench/lpgen.rs"; exit 0; }
command -v "$PEER" >/dev/null || { echo "bench-peer: skipped, $PEER is not there (Debian: apt-get install victoria-metrics)"; exit 0; }

work=$(mktemp -d -t sealine-peer.XXXXXX)
trap 'rm -rf "$work"' EXIT

if [ -z "${SEALINE_BIN:-}" ]; then
  cargo build --release --locked --quiet
  SEALINE_BIN="${CARGO_TARGET_DIR:-target}/release/sealine"
fi
export SEALINE_BIN

for tool in lpgen lpsend; do
  rustc --edition 2021 -O -o "$work/$tool" "$shared/bench/$tool.rs"
done
python3 -B benches/peer/figures.py "$work" "$@"
