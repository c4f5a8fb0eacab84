# What one does with this repository. `make` alone lists it.

CONFIG  ?= conf/sealine.toml
DATA    ?= data
SECONDS_EACH ?= 20
RANDOM_QUERIES ?= 20000
SEEDS   ?= 20000
ROUNDS  ?= 200
LOG_MIB ?= 256
SECONDS ?= 300

# Continuous integration runs every target but these, as a test holds: benches want a machine at rest, soaks take long.
BENCHES := bench-peer bench-ingest bench-series bench-disk bench-queries bench-busy bench-udp bench-growth bench-check bench-query bench-start latency
SOAKS   := side-by-side simulate kill overload flood corrupt

.DEFAULT_GOAL := help
.PHONY: help run test side-by-side demo bench-peer bench-ingest bench-series bench-disk bench-queries bench-busy bench-udp bench-growth bench-check bench-query bench-start simulate simulate-planted kill overload flood corrupt latency fuzz doc ci clean check-tools

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: check-tools ## Build for release and serve on 127.0.0.1:8086, with the data in ./data (CONFIG=, DATA= change that)
	cargo build --release --locked
	"$${CARGO_TARGET_DIR:-target}/release/sealine" serve --config "$(CONFIG)" --data-dir "$(DATA)"

test: check-tools ## Run all tests: cargo's, then integration/ against real peers; at the end, what was skipped and why
	.ci/test

side-by-side: check-tools ## Ask Sealine and a Prometheus RANDOM_QUERIES random queries (20000) and compare the answers
	SIDE_BY_SIDE_RANDOM="$(RANDOM_QUERIES)" INTEGRATION_REQUIRE_ALL=1 integration/run.sh test_side_by_side.py

demo: check-tools ## Write real measurements as Telegraf does, seal and archive them, and ask for them in PromQL
	integration/demo.sh

bench-peer: check-tools ## Measure ingest, memory, disk and queries beside VictoriaMetrics (PEER=its program), at a glance
	benches/peer/run.sh overview

bench-ingest: check-tools ## Measure ingest by time and CPU beside the peer, and requests while a seal runs (HOSTS=, POINTS=)
	benches/peer/run.sh ingest

bench-series: check-tools ## Measure a million new series, look-ups and churn beside the peer (HOSTS=1000000: ten million)
	benches/peer/run.sh series

bench-disk: check-tools ## Measure bytes a sample on disk beside the peer, archives, and writes beside them (HOSTS=, POINTS=)
	benches/peer/run.sh disk

bench-queries: check-tools ## Measure dashboard queries over a day, sealed and archived, beside the peer (HOSTS=, RUNS=)
	benches/peer/run.sh queries

bench-busy: check-tools ## Measure queries and writes beside other processes that take all cores, beside the peer (HOSTS=, RUNS=)
	benches/peer/run.sh busy

bench-udp: check-tools ## Measure datagrams at A_SECOND (100000) and at full blast, beside the peer
	benches/peer/run.sh udp

bench-growth: check-tools ## Measure what costs grow with, and draw docs/performance/*.svg (SERIES=, PLOTS=)
	benches/peer/run.sh growth

bench-check: check-tools ## Compare this tree with the commit BASE: micro-benchmarks, queries and ingest, as ratios
	benches/peer/check.sh "$(BASE)"

bench-query: check-tools ## Measure what queries cost beside one scan of their samples, and the memory they take
	cargo bench --locked --bench promql

bench-start: check-tools ## Measure how long a start takes, by what it finds: logs of START_MIB (64 128 256 512 1024), series, files
	benches/peer/run.sh start

simulate: check-tools ## Tell SEEDS (20000) random histories of crashes, power cuts and failing disks
	SEEDS="$(SEEDS)" cargo test --locked --release --test store simulation:: -- --nocapture

simulate-planted: check-tools ## Show that the simulation finds bugs that were planted on purpose
	cargo test --locked --features planted-bugs --test store simulation::planted -- --nocapture

kill: check-tools ## Kill the daemon ROUNDS (200) times under load, once with LOG_MIB (256) of log; hold it for 30 s
	SEALINE_KILL_ROUNDS="$(ROUNDS)" SEALINE_KILL_LOG_MIB="$(LOG_MIB)" cargo test --locked --test daemon kills:: -- --nocapture --test-threads=1
	SEALINE_STOP_SECONDS=30 cargo test --locked --test daemon crash::held_for_a_while -- --nocapture

overload: check-tools ## Send three times what can be taken, and a mixed load against 256 MiB, for SECONDS (300) each
	SEALINE_OVERLOAD_SECONDS="$(SECONDS)" cargo test --locked --release --test pressure overload:: -- --nocapture --test-threads 1

flood: check-tools ## Send ten million new series to a daemon that has its one million, and start it again
	SEALINE_FLOOD_MAX=1000000 SEALINE_FLOOD_SERIES=10000000 cargo test --locked --release --test pressure flood:: -- --nocapture

latency: check-tools ## Measure writes beside slow and idle connections, and beside heavy queries, with a release build
	cargo test --locked --release --test pressure latency:: -- --ignored --nocapture

corrupt: check-tools ## Flip every bit of headers, footers and indexes, cut files at every length, and ask the store
	SEALINE_CORRUPT_ALL=1 cargo test --locked --release --test store corruption:: -- --nocapture

fuzz: check-tools ## Fuzz every target of fuzz/ for SECONDS_EACH seconds (20), from SEED (another one each time)
	.ci/fuzz "$(SECONDS_EACH)" $(SEED)

doc: check-tools ## Build the documentation of the code, warnings being errors
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --locked --document-private-items

ci: ## Run what continuous integration runs: format, lints, tests, fuzzing, documentation
	bash .ci/run

clean: ## Remove what was built and the integration's Python environment; ./data stays
	cargo clean
	rm -rf integration/.venv

check-tools:
	@command -v cargo >/dev/null || { echo "cargo is missing: install a Rust toolchain from https://rustup.rs"; exit 1; }
	@command -v cc >/dev/null || { echo "cc is missing: install a C compiler, such as the package build-essential"; exit 1; }
