# The project's commands. Needs git, make and Python 3.11 or newer; everything else is installed into .venv.
SHELL := bash
.DEFAULT_GOAL := help
BIN := .venv/bin
PEERS := $(patsubst locks/%.txt,%,$(wildcard locks/mlflow-*.txt locks/bigquery-emulator.txt))
ARGS ?=

# Names are tried, not only looked up: a version manager may list a Python that it does not run.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)

.PHONY: help demo test test-deep soak bench bench-peers lint format lock audit sbom clean \
	environment environment-keras environment-deep environment-peers

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

demo: environment$(if $(findstring keras,$(ARGS)),-keras) ## Run the main job on taxi fares; ARGS="--exit --model keras" passes options on
	@$(BIN)/loopline demo taxifare $(ARGS)

test: lint ## Check style, types and layers, and run the tests (at most 10 minutes)
	$(BIN)/pytest -m "not deep" -n auto --dist worksteal $(ARGS)

test-deep: environment-deep ## Run the slow tests: browsers, PyTorch, real MLflow, full kill counts
	@tools/system-packages.sh
	@tools/node-packages.sh
	$(BIN)/pytest -m deep -n auto --dist loadfile $(ARGS)

soak: environment ## Run the endurance scripts, benchmarks/soak_*.py
	@$(call each,benchmarks/soak_*.py)

bench: environment ## Run the benchmarks without peers, benchmarks/bench_*.py
	@$(call each,$$(grep -L benchmarks.claims benchmarks/bench_*.py))

bench-peers: environment ## Run those beside MLflow, trackio and others, half an hour; ARGS="kill cpu": some of them
	@$(BIN)/python benchmarks/peers/environments.py || true
	@PYTHONPATH=. $(BIN)/python benchmarks/compare.py $(ARGS)

lint: environment ## Check style, types and layers only, and that no file holds a secret
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	@$(BIN)/python tools/scan_secrets.py

format: environment ## Format the code and fix what can be fixed
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

lock: ## Write locks/ anew from pyproject.toml; ARGS=--upgrade takes newer versions
	@$(python) tools/lock.py $(ARGS)

audit: environment ## Look for secrets in the files, and for known vulnerabilities in the locks (asks the network)
	@$(BIN)/python tools/scan_secrets.py
	@$(python) tools/bootstrap.py --venv .venvs/audit --no-project audit
	@$(python) tools/audit.py .venvs/audit/bin/pip-audit

sbom: ## Write bills of materials (CycloneDX) from the locks into dist/sbom; asks no network
	@$(python) tools/sbom.py

clean: ## Remove the environments and every cache in this folder
	rm -rf .venv .venvs .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

environment:
	@$(python) tools/bootstrap.py base

environment-peers: environment
	@$(BIN)/python benchmarks/peers/environments.py

environment-keras:
	@$(python) tools/bootstrap.py base keras

environment-deep:
	@$(python) tools/bootstrap.py base keras torch
	@for name in $(PEERS); do \
		$(python) tools/bootstrap.py --venv .venvs/$$name --no-project $$name || exit; done

# Says what to do where no Python is new enough.
python = $(or $(PYTHON),$(error Loopline needs Python 3.11 or newer, and found none. Install one (Debian: \
	apt-get install python3 python3-venv; macOS: brew install python) or name yours: make PYTHON=/path/to/python3))

# Runs every script that matches.
define each
set -e; for script in $(1); do \
	if [ -e "$$script" ]; then echo "$$script"; PYTHONPATH=. $(BIN)/python "$$script" $(ARGS); \
	else echo "There is no $(1) yet."; fi; done
endef
