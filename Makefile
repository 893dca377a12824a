# Two commands: `make up` runs the monitor, `make test` proves it. Both install what the machine lacks and say so.

SHELL := /bin/bash
.DEFAULT_GOAL := help
CARGO ?= cargo
DATA ?= target/vedette-data
# Most of what the binary's tests do is wait: one more than there are cores go well together.
TEST_THREADS ?= $(shell echo $$((1 + $$(nproc))))

.PHONY: help up build console console-test deb deb-test test test-long lint deny bench bench-sigma fuzz clean

help: ## show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

console: ## build the console into console/dist, which the binary embeds (needs Node; without it there are plain pages)
	@scripts/needs console
	@if command -v npm >/dev/null; then cd console && npm run --silent build; fi

build: console ## build the release binary
	@scripts/needs build
	$(CARGO) build --release --bin vedette

up: build ## build and run the monitor on this machine (data in $(DATA))
	target/release/vedette up --data $(DATA) $(ARGS)

deb: build ## a Debian package of the release binary, in target/debian
	@scripts/needs deb
	scripts/deb

deb-test: ## install that package in a fresh Debian, run it there and find a line again (needs root)
	@scripts/needs deb-test
	scripts/deb-test

test: ## every test: pure functions, crates, and the binary with real clients
	@scripts/needs test
	RUST_TEST_THREADS=$(TEST_THREADS) $(CARGO) test --workspace --no-fail-fast
	cd console && npm run --silent build && npm run --silent size && npm run --silent unit

console-test: ## the console in Debian's Chromium, against a monitor of its own
	@scripts/needs console-test
	$(CARGO) test --workspace --test it --no-run
	cd console && VEDETTE_BIN="$${CARGO_TARGET_DIR:-$(CURDIR)/target}/debug/vedette" npm test

test-long: ## the long proofs: more rounds of kill -9, full corpora
	@scripts/needs test
	VEDETTE_LONG=1 RUST_TEST_THREADS=$(TEST_THREADS) $(CARGO) test --workspace --no-fail-fast

lint: ## formatting and lints, as CI wants them
	@scripts/needs build
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings

deny: ## licences, duplicate sources and advisories of all dependencies (needs cargo-deny)
	$(CARGO) deny check

bench: ## the documented figures, beside their peers in the same run
	@scripts/needs bench
	$(CARGO) build --release --bin vedette
	scripts/bench

bench-sigma: ## the Sigma engine beside rsigma-eval, on the same events (needs the public data)
	@scripts/needs build
	scripts/bench-sigma $(ARGS)

fuzz: ## every fuzz target for SECONDS seconds each (needs nightly Rust and cargo-fuzz)
	scripts/fuzz $(or $(SECONDS_EACH),300)

clean: ## remove everything that was built
	$(CARGO) clean
