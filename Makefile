# Every target sets up what it needs from a bare machine with Python 3.11+ and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SETUP := $(VENV)/.ready
DEV_SETUP := $(VENV)/.dev-ready
WORKERS ?= $(shell expr 2 \* $$(nproc 2>/dev/null || echo 2))

BENCHES ?= processes simulator storage flight stream supervisor metrics proxies proxies_harvest daily daily_truth \
    scan scan_progress scan_priority scan_patterns scan_backtest scan_cube api api_streams api_fuzz
PARTS := core net market yahoo storage proxies scanners screener daemon api cli simulator

.DEFAULT_GOAL := help
.PHONY: help run demo test test-windows check bench chaos format clean

help:           ## show this list
	@grep -E '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("tickerd needs Python 3.11 or newer, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	@echo "setting up $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"

$(SETUP): $(VENV)/bin/python pyproject.toml
	@echo "installing tickerd and what it needs (once, about a minute) ..."
	@$(BIN)/python -m pip install --quiet --editable '.[practice]'
	@touch $@

$(DEV_SETUP): $(SETUP)
	@echo "installing the tools for tests and checks (once) ..."
	@$(BIN)/python -m pip install --quiet --group dev
	@touch $@

run: $(SETUP)   ## keep the table fresh from live Yahoo, with ./config.toml
	@exec $(BIN)/tickerd run

demo: $(SETUP)  ## the same daemon against a practice market: no internet, any hour
	@exec $(BIN)/tickerd demo

# Each worker, and each of the hundreds of processes that the tests start, would compile every module anew where the
# environment keeps Python from writing what it has compiled, as in many containers.
test: $(DEV_SETUP) ## run every test
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

test-windows: $(DEV_SETUP) ## supervisor, storage and a pass of each scanner with a real Windows Python, under Wine
	$(BIN)/python tests/windows/run.py $(TESTS)

check: $(DEV_SETUP) ## ruff, mypy strict, import-linter
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy --platform win32 $(PARTS) tests/windows
	$(BIN)/lint-imports

bench: $(DEV_SETUP) ## measure what docs/performance.md reports (one part: make bench BENCHES=storage)
	@missed=; for name in $(BENCHES); do echo "== bench.$$name"; $(BIN)/python -m bench.$$name || missed="$$missed $$name"; done; \
	test -z "$$missed" || { echo "bounds were missed:$$missed"; exit 1; }

chaos: $(DEV_SETUP) ## ten minutes of faults on the demo, then 50 kills of the orchestrator
	$(BIN)/python -m pytest -s --timeout 0 tests/chaos/what_is_seen.py tests/chaos/ten_minutes.py tests/chaos/fifty_kills.py

format: $(DEV_SETUP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:          ## remove the virtual environment and every cache
	rm -rf $(VENV) .windows .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
