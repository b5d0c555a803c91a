# `make up` runs a local Chroom network; `make test` runs everything that CI runs. `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

CHROOM_CACHE ?= $(HOME)/.cache/chroom
export CARGO_TARGET_DIR ?= $(CHROOM_CACHE)/target
export CARGO_TERM_COLOR ?= auto
BIN := $(CARGO_TARGET_DIR)/debug
ENV := source $(CHROOM_CACHE)/build.env;
DATA ?= .chroom/local
UP ?=
BENCH ?=
ECONOMICS ?=
NETWORKS ?=

.PHONY: help setup setup-test build web up clean-net test lint audit bench-chain bench-media bench-netem weights economics zombienet fuzz metadata

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

setup:
	@scripts/setup.sh run

setup-test:
	@scripts/setup.sh test

build: setup ## build every binary and the web pages
	@$(ENV) cargo build --workspace --bins
	@npm --prefix web run --silent build

up: build ## build, then run a whole network on loopback until Ctrl-C (UP="--media 3" adds arguments)
	@exec $(BIN)/chroom up --data $(DATA) --web web/dist $(UP)

clean-net: ## remove the local network's data
	rm -rf -- $(DATA)

test: setup-test ## everything that CI runs, with a summary at the end
	@$(ENV) scripts/test.sh

lint: setup-test ## formatting, clippy, web linter
	@$(ENV) scripts/test.sh lint

metadata: setup ## regenerate the chain client's metadata from the runtime
	@$(ENV) scripts/metadata.sh

bench-chain: setup ## load a real node with transfers, roots and claims on both databases; optimised build (BENCH="--media 1000" adds arguments)
	@$(ENV) cargo build --release --locked --package chroom-node --package chroom-bench-chain
	@$(CARGO_TARGET_DIR)/release/chroom-bench-chain --node $(CARGO_TARGET_DIR)/release/chroom-node $(BENCH)

bench-media: setup ## load Chroom's SFU beside Debian's janus (if installed) with synthetic WebRTC clients; optimised build (BENCH="--server chroom" adds arguments)
	@$(ENV) cargo build --release --locked --package chroom-bench-media
	@$(CARGO_TARGET_DIR)/release/chroom-bench-media $(BENCH)

bench-netem: setup ## measure media behind bad lines of the kernel's own (netem), in a guest where this kernel has none (BENCH="-- --loss 2" adds arguments)
	@$(ENV) cargo build --release --locked --package chroom-bench-media
	@scripts/netem.sh $(BENCH)

weights: setup ## measure the runtime's weights on this machine and write them into the tree
	@$(ENV) scripts/weights.sh

economics: ## simulate the economics: tables and plots in docs/plots (ECONOMICS="--seed 7" adds arguments)
	@cargo run --quiet --locked --package chroom-economics -- --out docs/plots $(ECONOMICS)

zombienet: setup-test ## run the networks of zombienet/ with their checks (NETWORKS="validators faults" picks some)
	@$(ENV) cargo build --workspace --bins --locked
	@$(ENV) scripts/zombienet.sh $(NETWORKS)

fuzz: setup ## fuzz what reads foreign bytes, SECONDS for each of TARGETS (fuzz SECONDS=600 TARGETS="sdp connection")
	@$(ENV) scripts/fuzz.sh $(or $(SECONDS),60) $(TARGETS)

audit: ## licences, bans, sources, duplicate versions; advisories where their database can be reached
	@scripts/audit.sh
