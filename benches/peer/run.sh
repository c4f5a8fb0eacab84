#!/usr/bin/env bash
# run.sh NAME: builds Sealine and the load generator, and runs the bench NAME.py, which prints Markdown tables.
#
#   PEER=path of another victoria-metrics     SEALINE_BIN=path of another sealine
#   SEALINE_SHARED=folder with bench/ (the load generator) and data/; without it ../shared
#   TMPDIR=where data goes while it runs      HOSTS=, POINTS= and others: sizes, see NAME.py
set -euo pipefail
cd "$(dirname "$0")/../.."
name=$1

export SEALINE_SHARED=$(realpath -m "${SEALINE_SHARED:-../shared}")
export PEER=${PEER:-victoria-metrics}
skip() { echo "bench-$name: skipped, $1"; exit 0; }
case $name in
  start) uses="" ;;
  check) uses="generator" ;;
  *) uses="generator peer" ;;
esac
command -v python3 >/dev/null || skip "python3 is not there (Debian: apt-get install python3)"
case $uses in
  generator*) [ -f "$SEALINE_SHARED/bench/lpgen.rs" ] || skip "there is no load generator: $SEALINE_SHARED/bench/lpgen.rs" ;;
esac
case $uses in
  *peer) command -v "$PEER" >/dev/null || skip "$PEER is not there (Debian: apt-get install victoria-metrics)" ;;
esac

target=${CARGO_TARGET_DIR:-target}
if [ -z "${SEALINE_BIN:-}" ]; then
  cargo build --release --locked --quiet
  SEALINE_BIN="$target/release/sealine"
fi
export SEALINE_BIN=$(realpath "$SEALINE_BIN")

export BENCH_TOOLS=$(realpath -m "$target/bench-tools")
mkdir -p "$BENCH_TOOLS"
for tool in ${uses:+lpgen lpsend}; do
  source=$SEALINE_SHARED/bench/$tool.rs
  [ "$BENCH_TOOLS/$tool" -nt "$source" ] || rustc --edition 2021 -O -o "$BENCH_TOOLS/$tool" "$source"
done

work=$(mktemp -d -t "sealine-$name.XXXXXX")
trap 'rm -rf "$work"' EXIT
python3 -B benches/peer/run.py "$name" "$work"
