# make tune: a sweep of the generated sample data, and its report.   make test: every test.
# Both set everything up first; a second call installs nothing.
# make bench DATA=small.zip FULL_SIZE=large.zip: every benchmark, and one table.

PYTHON ?= python3
BIN := .venv/bin

DATA ?= sample
FULL_SIZE ?=

.PHONY: setup tune test check bench

setup: .venv/.installed

.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "cnnlib needs Python 3.11 or newer; set PYTHON=... to one")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

tune: setup
	$(BIN)/python jobs/tune.py

test: setup
	$(BIN)/python -m pytest

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: setup
	$(BIN)/python benchmarks/all.py --data $(DATA) $(if $(FULL_SIZE),--full-size $(FULL_SIZE))
