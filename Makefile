# make tune: a sweep of the generated sample data, and its report.   make test: every test.
# Both set everything up first; a second call installs nothing.
# make bench DATA=small.zip FULL_SIZE=large.zip: every benchmark, and one table.

PYTHON ?= python3
BIN := .venv/bin

DATA ?= sample
FULL_SIZE ?=

.PHONY: setup tune test check bench chaos cluster-test

setup: .venv/.installed

.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit((sys.platform != "linux" and "cnnlib needs Linux") or (sys.version_info < (3, 11) and "cnnlib needs Python 3.11 or newer; set PYTHON=... to one"))'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

tune: setup
	$(BIN)/python jobs/tune.py

test: setup
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

# Half an hour: sweeps whose driver, workers, raylet or whole Ray are killed at random moments, and
# between two files that belong together; sweeps that another machine takes over meanwhile.
chaos: setup
	$(BIN)/python tests/chaos.py --sweeps 24
	$(BIN)/python tests/chaos.py --sweeps 10 --slots 4
	$(BIN)/python tests/chaos.py --sweeps 5 --slots 4 --target worker --kills 3
	$(BIN)/python tests/chaos.py --sweeps 3 --target raylet --kills 2
	$(BIN)/python tests/chaos.py --sweeps 3 --target ray --kills 2
	$(BIN)/python tests/chaos.py --sweeps 2 --target pairs --kills 2
	$(BIN)/python tests/chaos.py --sweeps 2 --target machines --kills 2
	$(BIN)/python tests/chaos.py --sweeps 2 --target sleep

# Some minutes, as root on Linux: a cluster of simulated machines, whose worker and head die.
cluster-test: setup
	$(BIN)/python tests/cluster/run.py

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: setup
	$(BIN)/python benchmarks/all.py --data $(DATA) $(if $(FULL_SIZE),--full-size $(FULL_SIZE))
