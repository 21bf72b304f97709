# Every target that needs tools makes .venv first; nothing else has to be installed than
# Python 3.11 to 3.14, and nothing is written outside this folder but pip's own cache.
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup setup-codegen demo run test test-all test-long faults bench bench-peers bench-cost check lint e2e generate lock clean

PYTHON ?= python3
export PYTHON

BIN := .venv/bin
READY := .venv/.installed
CODEGEN_READY := .venv-codegen/.installed
# The tests' own modules (tests/support), for what pytest does not start.
FUZZ := PYTHONPATH=tests $(BIN)/python

# uv keeps the pins that a lock has; delete a lock to let everything in it rise.
LOCK := uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-annotate \
	--custom-compile-command 'make lock'
DISTRIBUTIONS := --no-emit-package llmgateway pyproject.toml clients/python/pyproject.toml

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) ## Make .venv from the locks (a minute; the other targets do it too)

setup-codegen: $(CODEGEN_READY) ## Make .venv-codegen, the code generator's own environment

# A pyproject.toml counts too: it holds the commands and plug-ins that an install writes down.
$(READY): requirements/dev.lock requirements/model.lock pyproject.toml clients/python/pyproject.toml
	@scripts/setup.sh dev

$(CODEGEN_READY): requirements/codegen.lock
	@scripts/setup.sh codegen

demo: setup ## Stream one answer of a real model through the gateway; no key needed
	@scripts/demo.sh

run: setup ## Serve the embedded model on 127.0.0.1:50051 until Ctrl-C
	@exec $(BIN)/llmgateway-server serve --demo --listen 127.0.0.1:50051

test: lint ## Quick checks, then unit, integration and contract tests and the faults
	$(BIN)/pytest -m "not long" tests/unit tests/integration tests/contract tests/faults

faults: setup ## Play the table of faults: what upstreams and callers do wrong (a minute)
	$(BIN)/pytest -q tests/faults

e2e: setup
	$(BIN)/pytest -m "not long" tests/e2e

test-all: check test e2e ## Everything a change must pass

# Hypothesis marks its tests itself. A property with 100,000 examples outlasts the usual timeout.
test-long: setup ## Long tests, properties with 100,000 examples, fuzz targets (hours)
	HYPOTHESIS_PROFILE=long $(BIN)/pytest -m "long or hypothesis" --timeout=0 tests
	@set -e; for target in tests/fuzz/fuzz_*.py; do \
		echo "$$target"; $(FUZZ) "$$target" -runs=1000000; \
	done

bench: setup ## CPU a chunk and a request, beside the floors (needs cc; a quiet machine)
	$(BIN)/python benchmarks/run.py

bench-peers: setup ## The same beside LiteLLM, TensorZero, Envoy and Sentient's own server (installs them)
	$(BIN)/python benchmarks/run.py --peers

bench-cost: setup ## What the strategy `cost` saves on a stated mix of requests (seconds)
	$(BIN)/python benchmarks/cost_strategy.py

lint: setup
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/lint-imports

check: lint setup-codegen ## Format, style, layers, types, the contract, generated code
	$(BIN)/mypy
	$(BIN)/buf lint
	$(BIN)/buf format --diff --exit-code
	@if [ -e protos/baseline.binpb ]; then \
		echo "$(BIN)/buf breaking --against protos/baseline.binpb"; \
		$(BIN)/buf breaking --against protos/baseline.binpb; \
	else \
		echo "buf breaking: nothing is frozen yet; the first release writes protos/baseline.binpb"; \
	fi
	scripts/generate.sh --check

generate: setup setup-codegen ## Write the generated Python tree from protos/
	scripts/generate.sh

lock: ## Resolve the locks in requirements/ anew (needs uv)
	@command -v uv > /dev/null || { echo "make lock needs uv: pip install uv" >&2; exit 1; }
	$(LOCK) $(DISTRIBUTIONS) -o requirements/server.lock
	$(LOCK) $(DISTRIBUTIONS) --group pyproject.toml:dev -o requirements/dev.lock
	$(LOCK) -c requirements/dev.lock requirements/build.in -o requirements/build.lock
	$(LOCK) requirements/codegen.in -o requirements/codegen.lock
	$(LOCK) requirements/client-protobuf6.in -o requirements/client-protobuf6.lock
	$(LOCK) requirements/model.in -o requirements/model.lock
	$(LOCK) requirements/bench-envoy.in -o requirements/bench-envoy.lock
	$(LOCK) requirements/bench-litellm.in -o requirements/bench-litellm.lock
	$(LOCK) requirements/bench-sentient.in -o requirements/bench-sentient.lock
	$(LOCK) requirements/sentient.in -o requirements/sentient.lock
	$(LOCK) requirements/bench-tensorzero.in -o requirements/bench-tensorzero.lock

clean: ## Remove everything that these targets made, environments included
	rm -rf .venv .venv-codegen .venv-bench-* benchmarks/build build dist .mypy_cache .ruff_cache \
		.pytest_cache .hypothesis .import_linter_cache
	find server clients tests -name __pycache__ -type d -prune -exec rm -rf {} +
