# Everything here needs python3 (3.11 or newer), pip and git, nothing else.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
RUN    := $(VENV)/.installed
DEV    := $(VENV)/.installed-dev
# A command starts in half the time, also where Python is told to write no bytecode.
BYTES  := $(BIN)/python -m compileall -q src

.DEFAULT_GOAL := help
.PHONY: help run test lint bench serving fuzz corrupt crash live clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(RUN) ## run the SaaS business of specs/saas.biz over its year of events
	$(BIN)/bizrun specs/saas.biz

test: $(DEV) lint ## lint, types, the whole test suite, and the tests of every spec
	$(BIN)/pytest -n 2
	$(BIN)/bizrun check --strict specs
	$(BIN)/bizrun test specs

lint: $(DEV) ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/bizrun fmt --check specs src/bizrun/std benchmarks/specs
	$(BIN)/mypy

bench: $(DEV) ## the workloads of benchmarks/, each beside its limit and a peer
	-$(BIN)/python -m pip install --quiet --requirement benchmarks/requirements.txt
	$(BIN)/python -m benchmarks

serving: $(DEV) ## how many durable events a second `bizrun serve` takes
	$(BIN)/python -m benchmarks.serving

fuzz: $(DEV) ## random and mutated specs and streams; N=10000 for more
	BIZRUN_FUZZ=$(or $(N),2000) $(BIN)/pytest -n 2 tests/test_fuzz.py

corrupt: $(DEV) ## damaged states against every command; N=500 for more
	BIZRUN_CORRUPT=$(or $(N),100) $(BIN)/pytest tests/test_corruption.py

crash: $(DEV) ## kill -9 at random moments; N=200 for more
	BIZRUN_CRASH=$(or $(N),50) $(BIN)/pytest tests/test_crash.py

live: $(DEV) ## a year against a fake Stripe: 30% of calls fail, killed 100 times; N=200 for more
	BIZRUN_LIVE_KILLS=$(or $(N),100) $(BIN)/pytest -s tests/test_live.py -k exactly_once

clean: ## remove what can be made again, the state and the output of runs included
	rm -rf $(VENV) .bizrun out build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp for each kind of installation: installing runs once, and again when its input changes.
$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(RUN): pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[pdf]'
	$(BYTES)
	@touch $@

$(DEV): pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	$(BYTES)
	@touch $(RUN) $@
