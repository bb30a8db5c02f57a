# Two commands do all the set-up: `make demo` and `make test`. `make help` lists the others.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
RUN := $(VENV)/.ready-to-run
DEVELOP := $(VENV)/.ready-to-develop
PROGRAMS := $(VENV)/.programs
# How many processes share the default tests.
WORKERS ?= 2

.PHONY: demo test test-tunnels test-kernel test-faults test-examples chaos lint reference lock bench clean help
.DELETE_ON_ERROR:

demo: $(RUN) $(PROGRAMS)  ## a mesh forms, before your eyes; ARGS="--keep --nodes 5"
	$(BIN)/ikto demo $(ARGS)

ifdef ARGS
test: $(DEVELOP) $(PROGRAMS)
	$(BIN)/pytest $(ARGS)
	@echo "make test: only what ARGS choose. Not run: lint, the coverage floor, the other tests: make test"
else
test: $(DEVELOP) $(PROGRAMS) lint  ## what every change must pass; ARGS="-k name" runs only those tests
	$(BIN)/pytest -n $(WORKERS) --dist loadfile --cov --cov-report=
	$(BIN)/coverage report --fail-under=90
	@echo "make test: passed. Not run, and how to run it (.ci/run runs it all):"
	@$(MAKE) --no-print-directory help | grep -E 'make (test-|chaos)'
endif

test-tunnels: $(DEVELOP) $(PROGRAMS)  ## packets cross the mesh: userspace WireGuard in network namespaces
	$(BIN)/pytest -m tunnels -p no:cacheprovider

test-examples: $(DEVELOP) $(PROGRAMS)  ## packages of others: examples/, from their wheels, and the types that Ikto's has
	examples/run-tests.sh

test-kernel: $(DEVELOP)  ## on the kernel's own WireGuard, in an emulated machine
	PATH="$(CURDIR)/$(BIN):$$PATH" tests/kernel/vm.sh $(BIN)/pytest -m kernel -p no:cacheprovider -o timeout=600

# Faults mostly wait: families of them run side by side.
FAULTS := $(addprefix fault-,claim device network server cluster credentials chaos bucket own_record host rotation)

test-faults: $(DEVELOP) $(PROGRAMS)  ## what servers, networks and hosts may do to a mesh; prints the table of figures
	rm -rf .faults
	CHAOS_SEED=$${CHAOS_SEED:-1} $(MAKE) --jobs=4 --output-sync=target --keep-going $(FAULTS)
	@$(BIN)/python -m tests.faults.figures

fault-%: $(DEVELOP)
	$(BIN)/pytest -m fault -p no:cacheprovider tests/faults/test_$*.py

chaos: $(DEVELOP)  ## all of it at once, at random; SEED=7 repeats a run, SECONDS=600 makes it longer
	CHAOS_SEED=$(SEED) CHAOS_SECONDS=$(SECONDS) $(BIN)/pytest -m fault -s tests/faults/test_chaos.py

lint: $(DEVELOP)  ## ruff, mypy, pyright on tests/typing, the rules of who imports whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/basedpyright --project tests/typing --pythonpath $(BIN)/python
	$(BIN)/lint-imports

reference: $(DEVELOP)  ## write anew what the docs show of the source: the reference, the public names, excerpts of code
	$(BIN)/python -m tools.reference

bench: $(DEVELOP)  ## ratios, measured side by side, into benchmarks/RESULTS.md
	$(BIN)/python -m benchmarks

lock: $(DEVELOP)  ## write requirements/ anew from pyproject.toml; ARGS=--upgrade takes the newest of everything
	UV=$${UV:-$(BIN)/uv} tools/lock.sh $(ARGS)

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*  ## \(.*\)/\1\t\2/p' Makefile | while IFS="$$(printf '\t')" read -r name does; do \
		printf 'make %-14s %s\n' "$$name" "$$does"; done

# Running and developing share an environment. Its packages are pinned (names, versions, hashes); Ikto itself comes from here.
REQUIREMENTS := requirements
PROJECT := .
INSTALL = PYTHON=$(PYTHON) tools/install-locked.sh $(addprefix --project ,$(PROJECT)) $(VENV) $(REQUIREMENTS)/build.txt

$(RUN): pyproject.toml $(REQUIREMENTS)/build.txt $(REQUIREMENTS)/run.txt
	$(INSTALL) $(REQUIREMENTS)/run.txt
	@touch $@

$(DEVELOP): $(RUN) $(REQUIREMENTS)/develop.txt
	$(INSTALL) $(REQUIREMENTS)/develop.txt
	@touch $@

# WireGuard's programs and what tests with them need; without them demo and tests say so, and do what they can.
$(PROGRAMS): packaging/system-packages.sh | $(RUN)
	@packaging/system-packages.sh iproute2:ip iputils-ping:ping wireguard-tools:wg wireguard-go:wireguard-go \
		nftables:nft openssl:openssl && touch $@ || true

clean:  ## remove the environment and what tools keep
	rm -rf $(VENV) dist .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis .faults
