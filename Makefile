# make tune: a sweep of the generated sample data, and its report.   make test: every test.
# Both set everything up first; a second call installs nothing.
# make bench DATA=small.zip FULL_SIZE=large.zip: every benchmark, and one table.

PYTHON ?= python3
BIN := .venv/bin

DATA ?= sample
FULL_SIZE ?=

.PHONY: setup tune finetune test long check bench chaos cluster-test

# uv takes half of pip's time or less. It is the one on the PATH, else one of our own in .venv; where
# none can be had, or it fails, pip installs. uv does not read where pip's configuration looks.
# It compiles as pip does: else, where Python may not write, every worker compiles PyTorch again.
UV := $(or $(shell command -v uv 2> /dev/null),$(BIN)/uv)
PIP := $(BIN)/python -m pip --disable-pip-version-check
ALL := --quiet --constraint constraints.txt --editable '.[dev]'

setup: .venv/.installed

# The Python that is asked for must be that of a .venv which is there.
ifneq ($(origin PYTHON),file)
ifneq ($(wildcard $(BIN)/python),)
ifneq ($(shell $(PYTHON) --version 2>&1),$(shell $(BIN)/python --version 2>&1))
$(error PYTHON=$(PYTHON) is not the Python of .venv; remove .venv first (rm -r .venv))
endif
endif
endif

.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit((sys.platform != "linux" and "cnnlib needs Linux") or (sys.version_info < (3, 11) and "cnnlib needs Python 3.11 or newer; set PYTHON=... to one"))'
	$(PYTHON) -m venv .venv
	test -x $(UV) || $(PIP) install --quiet --constraint constraints.txt uv || echo "no uv to be had"
	index=$$($(PIP) config list | sed -n "s/.*[.]index-url='\(.*\)'/\1/p" | tail -n 1); \
	  UV_DEFAULT_INDEX=$${UV_DEFAULT_INDEX:-$$index} $(UV) pip install --compile-bytecode --python $(BIN)/python $(ALL) \
	  || $(PIP) install $(ALL)
	touch $@

tune: setup
	$(BIN)/python jobs/tune.py

# Some minutes: the head of a pretrained network is searched on the sample data, and a report.
finetune: setup
	$(BIN)/python jobs/tune.py --sweep quick --trials 6 --max-epochs 6 --image-size 64 \
	  --set model_name=efficientnet_lite0 --finalists 1 --seeds 2

test: setup
	$(BIN)/python -m pytest -n $$(($$(nproc) + 1)) --maxprocesses 4 --dist loadfile --no-loadscope-reorder \
	  --ignore tests/long

# Some minutes: a sweep on several simulated machines, and every pretrained network by every strategy.
long: setup
	$(BIN)/python -m pytest tests/long
	$(BIN)/python tests/long/networks.py

# Half an hour: sweeps whose driver, workers, raylet or whole Ray are killed at random moments, and
# between two files that belong together; sweeps that another machine takes over meanwhile.
chaos: setup
	$(BIN)/python tests/long/chaos.py --sweeps 24
	$(BIN)/python tests/long/chaos.py --sweeps 10 --slots 4
	$(BIN)/python tests/long/chaos.py --sweeps 6 --promote
	$(BIN)/python tests/long/chaos.py --sweeps 3 --slots 4 --promote
	$(BIN)/python tests/long/chaos.py --sweeps 5 --slots 4 --target worker --kills 3
	$(BIN)/python tests/long/chaos.py --sweeps 3 --target raylet --kills 2
	$(BIN)/python tests/long/chaos.py --sweeps 3 --target ray --kills 2
	$(BIN)/python tests/long/chaos.py --sweeps 2 --target pairs --kills 2
	$(BIN)/python tests/long/chaos.py --sweeps 2 --target machines --kills 2
	$(BIN)/python tests/long/chaos.py --sweeps 2 --target sleep

# Some minutes, as root on Linux: a cluster of simulated machines, whose worker and head die.
cluster-test: setup
	$(BIN)/python tests/long/cluster/run.py

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: setup
	$(BIN)/python benchmarks/all.py --data $(DATA) $(if $(FULL_SIZE),--full-size $(FULL_SIZE))
