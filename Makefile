# `make run` serves on this machine, `make test` proves it. Both need Python 3.11+ and nothing else.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
UV := uv==0.13.9
COMPILE := $(BIN)/uv pip compile pyproject.toml --universal --upgrade --generate-hashes --no-header --no-annotate --quiet

.PHONY: run test fast soak mutants test-browser bench lint lock

run: $(VENV)/.run
	@$(BIN)/taskward dev

test: lint
	$(BIN)/pytest --cov --cov-report=term

fast: $(VENV)/.test
	$(BIN)/pytest tests/unit tests/contract tests/http -m "not postgres"

# Needs chromium and chromedriver, and says so where there are none.
test-browser: $(VENV)/.test
	$(BIN)/pytest tests/browser

# Clients, faults and a checked history, for as long as one likes: make soak SOAK_SECONDS=3600
SOAK_SECONDS ?= 600
soak: $(VENV)/.test
	SOAK_SECONDS=$(SOAK_SECONDS) $(BIN)/pytest -s tests/system/test_soak.py

# Its peer in Node is there where npm is.
FASTIFY := tests/bench/fastify_peer/node_modules

# Taskward beside a floor and its peers, on this machine: make bench BENCH="--rounds 5 --operations read,list"
bench: $(VENV)/.bench $(if $(shell command -v npm),$(FASTIFY))
	$(BIN)/python -m tests.bench $(BENCH)

# Changes the code for the worse and looks whether the tests notice. A part of it: make mutants MUTANTS=domain/task.py
MUTANTS ?=
mutants: $(VENV)/.test
	$(BIN)/python -m tests.mutants $(MUTANTS)

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

lock: $(VENV)/.run
	$(PIP) install $(UV)
	$(COMPILE) --extra dev --extra test --output-file requirements-test.txt
	$(COMPILE) --extra dev --constraint requirements-test.txt --output-file requirements.txt
	$(COMPILE) --extra bench --constraint requirements-test.txt --output-file requirements-bench.txt

$(VENV)/.run: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Taskward needs Python 3.11 or newer: make PYTHON=python3.x")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --require-hashes --requirement requirements.txt
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.test: $(VENV)/.run requirements-test.txt
	$(PIP) install --require-hashes --requirement requirements-test.txt
	@touch $@

$(VENV)/.bench: $(VENV)/.test requirements-bench.txt
	$(PIP) install --require-hashes --requirement requirements-bench.txt
	@touch $@

$(FASTIFY): tests/bench/fastify_peer/package-lock.json
	npm ci --prefix $(@D) --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@
