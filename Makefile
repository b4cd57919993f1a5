# Two commands: `make evaluate` and `make test`. Both make what they need in .venv first; `make clean` takes it away again.
# People who only want to use robench need no Makefile: `pip install .`

PYTHON ?= python3
WORKERS ?= 2
ARGS ?=
# An index of wheels to take torch from, such as PyTorch's own for machines without a GPU (PyPI's torch for Linux brings gigabytes of CUDA).
TORCH_INDEX ?=

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help install evaluate test test-fast test-faults test-processors lint format docs audit audit-pinned audit-lowest hashes clean

help: ## Say what there is
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1|/' | awk -F'|' '{ printf "  make %-16s %s\n", $$1, $$2 }'

install: $(STAMP) ## Make .venv with the pinned versions of constraints.txt and the development tools

# torch comes first: once it is there, nothing else picks another build of it.
$(STAMP): pyproject.toml constraints.txt
	@command -v $(PYTHON) > /dev/null || { echo "There is no '$(PYTHON)' here: install Python 3.11 or newer, or name one: make PYTHON=python3.12 install" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "robench needs Python 3.11 or newer and '$(PYTHON)' is $$($(PYTHON) --version 2>&1): name another one: make PYTHON=python3.12 install" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2> /dev/null || { echo "'$(PYTHON)' cannot make virtual environments: install its venv package (Debian, Ubuntu: python3-venv)" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing torch into $(VENV) (large; some minutes) ..."
	@$(PIP) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch
	@echo "Installing robench and its development tools into $(VENV) ..."
	@$(PIP) -e '.[dev]'
	@touch $@

evaluate: install ## Train RIFT on the embedded task, attack it, print the table (ARGS="--attack pwws" adds to it)
	$(BIN)/robench evaluate --defense rift --attack genetic $(ARGS)

test: install lint ## Lint, check the types, run every test (ARGS="-k registry" picks some)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup --durations=10 $(ARGS)

# The everyday loop. Tests that take long have the marker "slow"; `make test` runs them, too.
test-fast: install ## Run the unit tests that are quick: under a minute (ARGS="-k registry" picks some)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/unit -m "not slow" -n $(WORKERS) --dist loadgroup $(ARGS)

# Each random fault is tried so often (kills and full disks a twentieth of it). `make test` tries a few.
FAULT_TRIES ?= 600
FAULT_TESTS ?= tests/faults tests/contract/test_lying_searches.py tests/unit/records/test_hostile_texts.py

test-faults: install ## Kills, full disks, damaged and hostile files, lying plugins; prints a table
	ROBENCH_FAULT_TRIES=$(FAULT_TRIES) OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(FAULT_TESTS) -n $(WORKERS) --dist loadgroup -o faulthandler_timeout=10000 $(ARGS)

lint: install ## Ruff, import-linter and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache --no-logo
	$(BIN)/mypy

# The same tests as an older processor of this machine's kind would run them, and with MKL's own choice
# of kernels, for which robench takes fixed shapes. An instruction set that the processor lacks is left out.
INSTRUCTION_SETS = default AVX2 $(if $(shell grep -m1 avx512f /proc/cpuinfo 2> /dev/null),AVX512)
PROCESSOR_TESTS ?= tests/contract
as_AVX2 = MKL_ENABLE_INSTRUCTIONS=AVX2 ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2
as_AVX512 = MKL_ENABLE_INSTRUCTIONS=AVX512 ATEN_CPU_CAPABILITY=avx512 ONEDNN_MAX_CPU_ISA=AVX512_CORE
as_MKL_AUTO = MKL_CBWR=AUTO

test-processors: install ## The contract tests under each instruction set of this processor
	@set -e; $(foreach set,$(INSTRUCTION_SETS) MKL_AUTO,echo "== $(set)"; \
		env OMP_NUM_THREADS=1 $(as_$(set)) $(BIN)/python -m pytest -q -n $(WORKERS) $(PROCESSOR_TESTS) $(ARGS);)

format: install ## Let ruff put the files in shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: install ## Build the documentation site into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "Open site/index.html, or for the search: $(BIN)/python -m http.server --directory site"

# The audits and the hashes need no torch, so they have a small environment of their own.
TOOLS := $(VENV)-tools
$(TOOLS)/.installed: constraints.txt
	@test -x $(TOOLS)/bin/python || $(PYTHON) -m venv $(TOOLS)
	@$(TOOLS)/bin/python -m pip install -q --disable-pip-version-check pip-audit uv
	@touch $@

IGNORED = $(shell sed -n 's/^\(CVE-[0-9-]*\) .*/--ignore-vuln \1/p' .github/audit-ignored.txt)
AUDIT = $(TOOLS)/bin/pip-audit --strict --no-deps --disable-pip --progress-spinner off $(IGNORED)

audit: audit-pinned audit-lowest ## Look for known security holes in the pinned and in the lowest versions (needs the network)

audit-pinned: $(TOOLS)/.installed
	$(AUDIT) -r constraints.txt

audit-lowest: $(TOOLS)/.installed
	$(TOOLS)/bin/uv pip compile -q pyproject.toml --extra hub --extra plots --extra tensorboard --extra testing \
		--resolution lowest-direct --python-version 3.11 --no-header -o $(TOOLS)/lowest.txt
	$(AUDIT) -r $(TOOLS)/lowest.txt

hashes: $(TOOLS)/.installed ## Write requirements-release.txt: every pinned version with its SHA-256 (needs the network)
	$(TOOLS)/bin/uv pip compile -q pyproject.toml --extra hub --extra plots --extra tensorboard \
		--python-version 3.11 -c constraints.txt --generate-hashes --no-header -o requirements-release.txt

clean: ## Remove .venv, caches and build folders; runs/ stays
	rm -rf $(VENV) $(TOOLS) requirements-release.txt build dist site *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
