# What one does with this repository. `make` alone lists it.

CONFIG  ?= conf/sealine.toml
DATA    ?= data
SECONDS_EACH ?= 20

.DEFAULT_GOAL := help
.PHONY: help run test demo bench-peer fuzz doc ci clean check-tools

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: check-tools ## Build for release and serve on 127.0.0.1:8086, with the data in ./data (CONFIG=, DATA= change that)
	cargo build --release --locked
	"$${CARGO_TARGET_DIR:-target}/release/sealine" serve --config "$(CONFIG)" --data-dir "$(DATA)"

test: check-tools ## Run all tests: cargo's, then integration/ against real peers
	cargo test --locked --no-fail-fast
	integration/run.sh

demo: check-tools ## Write real measurements as Telegraf does, seal and archive them, and ask for them in PromQL
	integration/demo.sh

bench-peer: check-tools ## Measure ingest, memory, disk and queries beside VictoriaMetrics (PEER=its program)
	benches/peer/run.sh

fuzz: check-tools ## Fuzz every target of fuzz/ for SECONDS_EACH seconds (20)
	.ci/fuzz "$(SECONDS_EACH)"

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
