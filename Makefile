# One verb per thing a person does here; `make help` lists them.
# Each verb prepares what it needs: a Python >= 3.11 with the venv module is all that must be there.

PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13 python3 python,$(shell command -v $(name) 2>/dev/null)))
VENV ?= .venv
BENCH_VENV ?= .bench-venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help demo test lint fix ui ui-check docs docs-serve bench bench-quick bench-env reference setup lock clean

help: ## list the verbs
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 22

demo: $(VENV)/.base ui ## serve a live load with faults and watch contracts being judged
	$(BIN)/helios demo $(ARGS)

test: $(VENV)/.dev ## run the tests; those that need a missing service say so and are skipped
	$(BIN)/python -m pytest $(ARGS)

lint: $(VENV)/.dev ## check style, types and the import rule
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fix: $(VENV)/.dev ## mend what ruff can mend by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

ui: $(VENV)/.base ## build the console, when its sources have changed
	@$(BIN)/python scripts/ui.py node
	@$(BIN)/python scripts/ui.py build --if-old

ui-check: $(VENV)/.base ## check the console: types, style, tests, weight
	@$(BIN)/python scripts/ui.py node
	$(BIN)/python scripts/ui.py check

docs: $(VENV)/.docs reference ## build the documentation into site/
	$(BIN)/mkdocs build --strict

docs-serve: $(VENV)/.docs ## show the documentation while it is being written
	$(BIN)/mkdocs serve

reference: $(VENV)/.dev ## write docs/reference/ again from the code
	$(BIN)/python scripts/reference.py

bench: $(VENV)/.dev bench-env ## measure every figure, peers included (about an hour, a quiet machine)
	$(BIN)/python benchmarks/all.py $(ARGS)

bench-quick: $(VENV)/.dev bench-env ## the same on small inputs: do the scripts work?
	$(BIN)/python benchmarks/all.py --quick $(ARGS)

bench-env: $(BENCH_VENV)/.peers ## install the peers into an environment of their own

setup: $(VENV)/.dev ui ## prepare the environment for work on the code

lock: $(VENV)/.dev ## pin the dependencies again, with hashes for every platform
	$(BIN)/python scripts/lock.py $(ARGS)

clean: ## remove what the verbs made
	rm -rf $(VENV) $(BENCH_VENV) web/node_modules src/helios/api/web_dist site .cache .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

$(VENV)/bin/python:
	@scripts/make-venv "$(PYTHON)" $(VENV)

# The package itself is installed in place, from the locked build tools, without a download.
$(VENV)/.base: $(VENV)/bin/python requirements/base.txt pyproject.toml
	$(PIP) install --require-hashes -r requirements/base.txt
	$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.base requirements/dev.txt
	$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@

$(VENV)/.docs: $(VENV)/.dev requirements/docs.txt
	$(PIP) install --require-hashes -r requirements/docs.txt
	@touch $@

$(BENCH_VENV)/bin/python:
	@scripts/make-venv "$(PYTHON)" $(BENCH_VENV)

$(BENCH_VENV)/.peers: $(BENCH_VENV)/bin/python benchmarks/requirements.txt
	$(BENCH_VENV)/bin/python -m pip --disable-pip-version-check --quiet install -r benchmarks/requirements.txt
	@touch $@
