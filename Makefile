# Everything from a fresh machine: Python 3.11–3.13 and make are enough. Set-up speaks on stderr alone.
.SILENT:
.PHONY: install sweep test slow rough check docs bench fuzz soak audit pins clean
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
UV := 0.13.9
READY := $(VENV)/.ready
ARGS ?=
# the first Python that fits; PYTHON=… chooses another
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys, ensurepip, venv; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null && echo $$p && break; done)

install: $(READY)

$(READY): pyproject.toml pins.txt Makefile
	test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 with venv is needed; name one with PYTHON=…" >&2; exit 2; }
	echo "setting up $(VENV) (a few minutes and 6 GB the first time)" >&2
	$(PYTHON) -m venv $(VENV) >&2
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV) >&2
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --requirement pins.txt >&2
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable . >&2
	touch $(READY)

sweep: install
	$(BIN)/reno-sweep run --space rd_params.yaml $(ARGS)

TWO := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

test: install
	$(TWO) -m "not slow and not rough" $(ARGS)

# what takes longer: further whole sweeps, servers, bundled models, comparisons over many trials
slow: install
	$(TWO) -m "slow and not rough" $(ARGS)

# spoilt inputs, killed processes, lost nodes: one after the other, so that each has the machine
rough: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m rough $(ARGS)

check: install
	$(BIN)/ruff format --check . >&2
	$(BIN)/ruff check .
	$(BIN)/mypy
	PYTHONPATH=. $(BIN)/lint-imports
	$(BIN)/python .ci/licences.py --check
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict --site-dir .ruff_cache/site
	$(BIN)/python -m pytest --quiet -p no:cacheprovider tests/test_secrets.py >&2

# the documentation as a web site that needs no network: site/index.html; a broken link or anchor ends it
docs: install
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict $(ARGS)

# spoilt inputs for every reader of users' files: make fuzz ARGS="--inputs 20000 --kind npz" (docs/security.md)
fuzz: install
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.fuzz.run $(ARGS)

# random faults at random moments, resumed again and again: make soak ARGS="--faults 200 --seed 0" (docs/operations.md)
soak: install
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.faults.soak $(ARGS)

# known weaknesses of the pinned packages; the only target that asks the network
audit: install
	$(BIN)/python .ci/audit.py $(ARGS)

bench: install
	$(BIN)/python benchmarks/run.py $(ARGS)

# exact versions that were tested together, without addresses; delete a line, or all, to move it
pins: install
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-emit-index-url --no-annotate --group dev \
		--custom-compile-command "make pins" --output-file pins.txt pyproject.toml

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
