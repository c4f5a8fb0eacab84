#!/usr/bin/env bash
# check.sh BASE: this working tree beside another commit: micro-benchmarks, queries over a store, ingest, as ratios.
#
#   ROUNDS=3 HOSTS=4000 POINTS=360      how often ingest is measured with each, in turn, and with how much
#   MICRO=…       which of benches/*.rs; "" for none        PROMQL=0   without the queries over a store
set -euo pipefail
cd "$(dirname "$0")/../.."
base=${1:-}
[ -n "$base" ] || { echo "bench-check: say beside which commit, as BASE=main"; exit 1; }
git rev-parse --verify --quiet "$base^{commit}" >/dev/null || { echo "bench-check: there is no commit $base"; exit 1; }

export CARGO_TARGET_DIR=$(realpath -m "${CARGO_TARGET_DIR:-target}")
export SEALINE_SHARED=$(realpath -m "${SEALINE_SHARED:-../shared}")
[ -f "$SEALINE_SHARED/bench/lpgen.rs" ] || { echo "bench-check: skipped, there is no load generator in $SEALINE_SHARED"; exit 0; }
here=$PWD
work=$(mktemp -d -t sealine-check.XXXXXX)
trap 'git worktree remove --force "$work/base"; rm -rf "$work"; git worktree prune' EXIT
git worktree add --quiet --detach "$work/base" "$base"
export CRITERION_HOME=$work/criterion

measure() { # measure NAME FOLDER: its binary, its criterion figures, its table of queries
  cd "$2"
  cargo build --release --locked --quiet
  cp "$CARGO_TARGET_DIR/release/sealine" "$work/sealine-$1"
  for bench in ${MICRO-lineproto codec log postings}; do
    [ -f "benches/$bench.rs" ] || continue
    cargo bench --locked --quiet --bench "$bench" -- --noplot --save-baseline "$1" >&2
  done
  [ "${PROMQL:-1}" = 0 ] || cargo bench --locked --quiet --bench promql >"$work/promql-$1"
  cd "$here"
}
measure base "$work/base"
measure head "$here"

echo "This tree beside $(git rev-parse --short "$base"): above 1 is faster."
echo
SEALINE_BIN=$work/sealine-head BASE_BIN=$work/sealine-base benches/peer/run.sh check
