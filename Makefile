# `make demo` and `make test` do all the set-up. `make help` lists the other targets.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
RUN := $(VENV)/.ready-to-run
DEVELOP := $(VENV)/.ready-to-develop
PROGRAMS := $(VENV)/.programs
# The number of processes that run the default tests.
WORKERS ?= 4

.PHONY: demo test test-slow test-properties test-tunnels test-kernel test-faults test-examples chaos fuzz lint reference lock bench bench-quick bench-baseline bench-fleet clean help
.DELETE_ON_ERROR:

demo: $(RUN) $(PROGRAMS)  ## three nodes on this machine become a mesh; ARGS="--keep --nodes 5"
	$(BIN)/ikto demo $(ARGS)

ifdef ARGS
test: $(DEVELOP) $(PROGRAMS)
	$(BIN)/pytest $(ARGS)
	@echo "make test: ran the tests that ARGS select. Not run: lint, all other tests (make test)"
else
test: $(DEVELOP) $(PROGRAMS) lint  ## lint and the default tests; ARGS="-k name": some tests only; COVERAGE=yes: and its floor
	$(BIN)/pytest -n $(WORKERS) --dist worksteal $(if $(COVERAGE),--cov --cov-report=)
	$(if $(COVERAGE),$(BIN)/coverage report --fail-under=90)
	@echo "make test: passed. Not run: the coverage floor (make test COVERAGE=yes), and these. .ci/run runs all of it:"
	@$(MAKE) --no-print-directory help | grep -E 'make (test-|chaos|fuzz)'
endif

test-slow: $(DEVELOP) $(PROGRAMS)  ## the slow tests, and the default ones that try more with IKTO_THOROUGH=1
	IKTO_THOROUGH=1 $(BIN)/pytest -n $(WORKERS) --dist worksteal -p no:cacheprovider \
		-m "(slow or thorough or hypothesis or e2e) and not fault and not tunnels and not kernel" -o timeout=1200

test-properties: $(DEVELOP) $(PROGRAMS)  ## the properties with examples that no run has tried before: run it now and then
	IKTO_THOROUGH=1 IKTO_NEW_EXAMPLES=1 $(BIN)/pytest -n $(WORKERS) --dist worksteal -p no:cacheprovider \
		-m "hypothesis and not fault and not tunnels and not kernel" -o timeout=1200

test-tunnels: $(DEVELOP) $(PROGRAMS)  ## packets cross the mesh: userspace WireGuard in network namespaces
	$(BIN)/pytest -m tunnels -p no:cacheprovider

test-examples: $(DEVELOP) $(PROGRAMS)  ## the packages in examples/, from their wheels, and those of the version before; types
	examples/run-tests.sh
	@for tag in $$(git tag | $(BIN)/python -m tools.earlier_release); do echo "=== $$tag" && examples/run-tests.sh "$$tag" || exit 1; done

test-kernel: $(DEVELOP)  ## the kernel's own WireGuard, in an emulated machine
	PATH="$(CURDIR)/$(BIN):$$PATH" tests/kernel/vm.sh $(BIN)/pytest -m kernel -p no:cacheprovider -o timeout=600

# Tests of faults mostly wait: groups of them run side by side.
FAULTS := $(addprefix fault-,claim device network server cluster credentials chaos bucket self_record host rotation)

test-faults: $(DEVELOP) $(PROGRAMS)  ## failing servers, networks and hosts; prints a table of the outage times
	rm -rf .faults
	CHAOS_SEED=$${CHAOS_SEED:-1} $(MAKE) --jobs=4 --output-sync=target --keep-going $(FAULTS)
	@$(BIN)/python -m tests.faults.figures

fault-%: $(DEVELOP)
	$(BIN)/pytest -m fault -p no:cacheprovider tests/faults/test_$*.py

chaos: $(DEVELOP)  ## random faults, several at once; SEED=7 repeats a run, SECONDS=600 makes it longer
	CHAOS_SEED=$(SEED) CHAOS_SECONDS=$(SECONDS) $(BIN)/pytest -m fault -s tests/faults/test_chaos.py

# Without INPUTS and SEED, the defaults of the fuzzer apply: a million, and 1.
fuzz: $(DEVELOP)  ## a million mutated inputs to all that reads what others write; INPUTS=200000 SEED=7
	$(BIN)/python -m tests.fuzz $(addprefix --inputs=,$(INPUTS)) $(addprefix --seed=,$(SEED))

lint: $(DEVELOP)  ## ruff, mypy, pyright on tests/typing, and the import contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/basedpyright --project tests/typing --pythonpath $(BIN)/python
	$(BIN)/lint-imports

reference: $(DEVELOP)  ## regenerate the docs that are made from the source: reference, public names, excerpts, picture
	$(BIN)/python -m tools.reference

bench: $(DEVELOP) $(PROGRAMS)  ## measure Ikto beside other programs; writes benchmarks/RESULTS.md; ARGS="--all", ARGS="--only walk"
	$(BIN)/python -m benchmarks $(ARGS)

bench-quick: $(DEVELOP) $(PROGRAMS)  ## the same with small sizes, in three minutes; prints what got slower, stores nothing
	$(BIN)/python -m benchmarks --quick $(ARGS)

bench-baseline: $(DEVELOP) $(PROGRAMS)  ## measure what later runs of both are compared with; writes benchmarks/baseline.json
	$(BIN)/python -m benchmarks --quick --store-baseline
	$(BIN)/python -m benchmarks --store-baseline $(ARGS)

bench-fleet: $(DEVELOP)  ## 100, 300 and 1000 agents on one server and on a cluster, for half an hour; ARGS="--nodes 100 --servers 1"
	$(BIN)/python -m benchmarks.fleet $(ARGS)

lock: $(DEVELOP)  ## regenerate requirements/ from pyproject.toml; ARGS=--upgrade takes the newest versions
	UV=$${UV:-$(BIN)/uv} tools/lock.sh $(ARGS)

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*  ## \(.*\)/\1\t\2/p' Makefile | while IFS="$$(printf '\t')" read -r name does; do \
		printf 'make %-14s %s\n' "$$name" "$$does"; done

# One environment for running and developing. The locks pin names, versions and hashes; Ikto itself is installed from here.
REQUIREMENTS := requirements
PROJECT := .
INSTALL = PYTHON=$(PYTHON) tools/install-locked.sh $(addprefix --project ,$(PROJECT)) $(VENV) $(REQUIREMENTS)/build.txt

$(RUN): pyproject.toml $(REQUIREMENTS)/build.txt $(REQUIREMENTS)/run.txt
	$(INSTALL) $(REQUIREMENTS)/run.txt
	@touch $@

$(DEVELOP): $(RUN) $(REQUIREMENTS)/develop.txt
	$(INSTALL) $(REQUIREMENTS)/develop.txt
	@touch $@

# Programs that demo and tests run. Without them, demo and tests report that and run what they can.
$(PROGRAMS): packaging/system-packages.sh | $(RUN)
	@packaging/system-packages.sh iproute2:ip iputils-ping:ping wireguard-tools:wg wireguard-go:wireguard-go \
		nftables:nft openssl:openssl && touch $@ || true

clean:  ## remove the environment and the tools' caches
	rm -rf $(VENV) dist .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis .faults .fuzz
