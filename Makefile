# Two commands do all the set-up: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test test-kernel lint types check bench clean
.DELETE_ON_ERROR:

demo: $(READY)  ## a mesh forms, before your eyes
	$(BIN)/ikto demo

test: $(READY) lint  ## what every change must pass
	$(BIN)/pytest --cov --cov-report=
	$(BIN)/coverage report --fail-under=90

test-kernel: $(READY)  ## on the kernel's own WireGuard, in an emulated machine
	PATH="$(CURDIR)/$(BIN):$$PATH" tests/kernel/vm.sh $(BIN)/pytest -m kernel -p no:cacheprovider -o timeout=600

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)  ## ratios, measured side by side, into benchmarks/RESULTS.md
	$(BIN)/python -m benchmarks

# The development set is pinned in constraints.txt (names, versions, hashes); the project itself comes from here.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --require-hashes -r constraints.txt
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

clean:
	rm -rf $(VENV) dist .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis
