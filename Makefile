# Two commands do all the set-up: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PROGRAMS := $(VENV)/.programs

.PHONY: demo test test-tunnels test-kernel test-faults test-examples chaos lint reference bench clean
.DELETE_ON_ERROR:

demo: $(READY) $(PROGRAMS)  ## a mesh forms, before your eyes; ARGS="--keep --nodes 5"
	$(BIN)/ikto demo $(ARGS)

test: $(READY) $(PROGRAMS) lint  ## what every change must pass
	$(BIN)/pytest --cov --cov-report=
	$(BIN)/coverage report --fail-under=90

test-tunnels: $(READY) $(PROGRAMS)  ## packets cross the mesh: userspace WireGuard in network namespaces
	$(BIN)/pytest -m tunnels -p no:cacheprovider

test-examples: $(READY) $(PROGRAMS)  ## packages of others: examples/, from their wheels, and the types that Ikto's has
	examples/run-tests.sh

test-kernel: $(READY)  ## on the kernel's own WireGuard, in an emulated machine
	PATH="$(CURDIR)/$(BIN):$$PATH" tests/kernel/vm.sh $(BIN)/pytest -m kernel -p no:cacheprovider -o timeout=600

# Faults mostly wait: families of them run side by side.
FAULTS := $(addprefix fault-,claim device network server cluster credentials chaos bucket own_record host rotation)

test-faults: $(READY) $(PROGRAMS)  ## what servers, networks and hosts may do to a mesh; prints the table of figures
	rm -rf .faults
	CHAOS_SEED=$${CHAOS_SEED:-1} $(MAKE) --jobs=4 --output-sync=target --keep-going $(FAULTS)
	@$(BIN)/python -m tests.faults.figures

fault-%: $(READY)
	$(BIN)/pytest -m fault -p no:cacheprovider tests/faults/test_$*.py

chaos: $(READY)  ## all of it at once, at random; SEED=7 repeats a run, SECONDS=600 makes it longer
	CHAOS_SEED=$(SEED) CHAOS_SECONDS=$(SECONDS) $(BIN)/pytest -m fault -s tests/faults/test_chaos.py

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/basedpyright --project tests/typing --pythonpath $(BIN)/python
	$(BIN)/lint-imports

reference: $(READY)  ## write anew what the docs show of the source: the reference, the public names, excerpts of code
	$(BIN)/python -m tools.reference

bench: $(READY)  ## ratios, measured side by side, into benchmarks/RESULTS.md
	$(BIN)/python -m benchmarks

# The development set is pinned in constraints.txt (names, versions, hashes); the project itself comes from here.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --require-hashes -r constraints.txt
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

# WireGuard's programs and what tests with them need; without them demo and tests say so, and do what they can.
$(PROGRAMS): packaging/system-packages.sh | $(READY)
	@packaging/system-packages.sh iproute2:ip iputils-ping:ping wireguard-tools:wg wireguard-go:wireguard-go \
		nftables:nft openssl:openssl && touch $@ || true

clean:
	rm -rf $(VENV) dist .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis .faults
