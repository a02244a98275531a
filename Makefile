# Everything runs in .venv, which the targets make and fill for themselves: all that is needed is make and Python 3.11
# to 3.13, and Go or Docker (or the servers' binaries from elsewhere) for the tests against real servers.

PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3; do \
	"$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null \
	&& command -v "$$python" && break; done)
VENV := .venv
BIN := $(VENV)/bin
# Where scripts/servers.sh puts the servers that it builds, outside the checkout so that all checkouts share them.
export CLOUDCKPT_SERVERS ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/cloudckpt/servers/bin

# `make fuzz` runs so long in all, and goes on from what it kept there; FUZZ_KEEP= starts from the corpus alone.
FUZZ_SECONDS ?= 600
FUZZ_KEEP ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/cloudckpt/fuzz

# It asks for the package `tensorflow`, with its CUDA kernels; the tests have tensorflow-cpu, which is the same to it.
TF_KERAS := 'tf_keras==2.21.*'

# CI must have PyTorch, with its gigabytes of CUDA on Linux; without it a user's tests say what was skipped.
comma := ,
extras = $(1)$(if $(CI),$(if $(filter dev,$(1)),$(comma)torch))

INSTALL_INPUTS := pyproject.toml $(wildcard hatch_build.py protos/*)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test faults check format docs bench soak fuzz servers compose clean

help:  ## Say what each target does
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/installed-demo  ## Kill a training job in the middle of its saves, and see that nothing is lost
	$(BIN)/python examples/demo.py

test: $(VENV)/installed-dev  ## Run the tests: with real TensorFlow, and real servers where Go or Docker is there
	@scripts/servers.sh "$(CLOUDCKPT_SERVERS)" $(BIN)/python -m pytest $(PYTEST_FLAGS)

faults: $(VENV)/installed-dev  ## Run the whole fault loops, against real servers; `make test` runs a sample of each
	@scripts/servers.sh "$(CLOUDCKPT_SERVERS)" $(BIN)/python -m pytest -m faults $(PYTEST_FLAGS)

check: $(VENV)/installed-dev  ## Look at format, lint, types, the direction of the imports, and the docs' build
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	@$(MAKE) --no-print-directory docs

format: $(VENV)/installed-dev  ## Format the code, and mend what lint can mend
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: $(VENV)/installed-dev  ## Build the documentation into docs/_build/html; a warning is an error
	$(BIN)/sphinx-build -W --keep-going -E -q -b html docs docs/_build/html

bench: $(VENV)/installed-bench  ## Measure import, save and restore beside others (BENCH_FLAGS="local many")
	@scripts/servers.sh "$(CLOUDCKPT_SERVERS)" $(BIN)/python -m benchmarks $(BENCH_FLAGS)

soak: $(VENV)/installed-demo  ## Kill a job at random moments, hundreds of times (SOAK_KILLS=200, SOAK_SECONDS, SOAK_SEED)
	@$(BIN)/python examples/soak.py

fuzz: $(VENV)/installed-fuzz  ## Feed mutated files to every reader, guided by coverage (FUZZ_SECONDS=600, FUZZ_FLAGS="v1 v2")
	$(BIN)/python -m fuzz --seconds $(FUZZ_SECONDS) $(if $(FUZZ_KEEP),--keep "$(FUZZ_KEEP)") $(FUZZ_FLAGS)

servers:  ## Build MinIO, fake-gcs-server and toxiproxy with Go, and get Azurite with npm, once, into the user's cache
	@scripts/servers.sh "$(CLOUDCKPT_SERVERS)"

compose: $(VENV)/installed-demo  ## The demo with Docker: kill a job's container in its saves, and let the next one go on
	PYTHONPATH=examples $(BIN)/python docker/preempt.py

clean:  ## Remove .venv, caches and what was built in the checkout
	rm -rf $(VENV) build dist docs/_build *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "No Python 3.11, 3.12 or 3.13 was found; name one: make PYTHON=/path/to/python" >&2; exit 1; }
	"$(PYTHON)" -m venv $(VENV)

# One stamp for each set of extras: nothing is installed again until the inputs change.
$(VENV)/installed-%: $(INSTALL_INPUTS) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$(call extras,$*)]'
	$(if $(filter dev,$*),$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps $(TF_KERAS))
	@touch $@
