# `make run` serves on this machine, `make test` proves it. Both need Python 3.11+ (with venv) and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALL := $(PIP) install --no-deps --require-hashes --requirement
REMEDY = make $(or $(firstword $(MAKECMDGOALS)),run) VENV=/your/folder/venv TASKWARD_DATA=/your/folder/data
WRITABLE = test -w $(VENV) || { echo "$(VENV) cannot be written: $(REMEDY)"; exit 1; }
INSTALLED := node_modules/.package-lock.json
CLIENTS := tests/clients/$(INSTALLED)
UV := uv==0.13.9
COMPILE := $(BIN)/uv pip compile pyproject.toml --universal --upgrade --generate-hashes --no-header --no-annotate --quiet

.PHONY: help run test fast soak mutants test-browser test-clients bench lint lock

help: ## list these commands
	@sed -nE 's/^([a-z-]+):.*## /  make \1	/p' Makefile | expand -t 22

run: $(VENV)/.run ## serve on this machine with an embedded PostgreSQL; installs first
	@test -x $(BIN)/python || { echo "$(BIN)/python is another user's: $(REMEDY)"; exit 1; }
	@$(BIN)/taskward dev

# Generated clients are tried where npm is.
test: lint ## run every check and every test; installs first
	@! command -v npm >/dev/null || $(MAKE) --no-print-directory $(CLIENTS) || echo "npm fails: no client is tried"
	$(BIN)/pytest --cov --cov-report=term

fast: $(VENV)/.test ## run the tests that need no database
	$(BIN)/pytest tests/unit tests/contract tests/http -m "not postgres"

lint: $(VENV)/.test ## check style, types, imports and dependencies
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .
	$(BIN)/deptry . --extend-exclude '(tests|examples)/' --optional-dependencies-dev-groups test,bench --ignore DEP002

test-browser: $(VENV)/.test ## run the tests that need chromium and chromedriver
	$(BIN)/pytest tests/browser

test-clients: $(VENV)/.test $(CLIENTS) ## run generated TypeScript clients; needs Node 20 and npm
	$(BIN)/pytest tests/clients

SOAK_SECONDS ?= 600
soak: $(VENV)/.test ## run random clients and faults, then check the history: make soak SOAK_SECONDS=3600
	SOAK_SECONDS=$(SOAK_SECONDS) $(BIN)/pytest -s tests/system/test_soak.py

MUTANTS ?=
mutants: $(VENV)/.test ## break the code and see whether the tests notice: make mutants MUTANTS=domain/task.py
	$(BIN)/python -m tests.mutants $(MUTANTS)

# Its peer in Node is there where npm is.
bench: $(VENV)/.bench $(if $(shell command -v npm),tests/bench/fastify_peer/$(INSTALLED)) ## measure beside a floor and peers: make bench BENCH="--rounds 5 --operations read,list"
	$(BIN)/python -m tests.bench $(BENCH)

lock: $(VENV)/.run ## lock the newest versions of all dependencies
	$(PIP) install --quiet $(UV)
	$(COMPILE) --extra dev --extra test --extra telemetry --output-file requirements-test.txt
	$(COMPILE) --constraint requirements-test.txt --output-file requirements.txt
	$(COMPILE) --extra dev --constraint requirements-test.txt --output-file requirements-dev.txt
	$(COMPILE) --extra telemetry --constraint requirements-test.txt --output-file requirements-telemetry.txt
	$(COMPILE) --extra bench --constraint requirements-test.txt --output-file requirements-bench.txt

$(VENV)/.run: requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Taskward needs Python 3.11 or newer: make PYTHON=python3.x")'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "Taskward needs Python's venv: apt install python3-venv on Debian and Ubuntu"; exit 1; }
	@mkdir -p $(VENV) 2>/dev/null; $(WRITABLE)
	@echo "Installing into $(VENV): about half a minute, once."
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) requirements-dev.txt
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.test: $(VENV)/.run requirements-test.txt
	@$(WRITABLE)
	@echo "Installing the tests' packages into $(VENV): about a minute, once."
	$(INSTALL) requirements-test.txt
	@touch $@

$(VENV)/.bench: $(VENV)/.test requirements-bench.txt
	$(INSTALL) requirements-bench.txt
	@touch $@

%/$(INSTALLED): %/package-lock.json
	npm ci --prefix $* --ignore-scripts --no-audit --no-fund --loglevel=error --fetch-timeout=30000
	@touch $@
