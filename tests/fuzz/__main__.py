"""`python -m tests.fuzz`: give a number of inputs to all targets, print the figures, and save what causes a fault."""

import argparse
import hashlib
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from tests.fuzz.jobs import Figures, jobs_of, run_jobs
from tests.fuzz.runner import Fault
from tests.fuzz.targets import TARGETS

FAULTS = Path(__file__).parents[2] / ".fuzz"


def save(target: str, fault: Fault) -> Path:
    """Save the input of a fault; return its path."""
    FAULTS.mkdir(exist_ok=True)
    path = FAULTS / f"{target}-{hashlib.sha256(fault.data).hexdigest()[:12]}.bin"
    path.write_bytes(fault.data)
    return path


def table(figures: Mapping[str, Figures]) -> str:
    """Return the figures of a run: a line for each target, and their sum."""
    lines = [f"{'target':<16}{'inputs':>9}{'valid':>9}{'refused':>9}{'faults':>8}{'µs each':>9}\n"]
    for name, found in figures.items():
        outcome = found.outcome
        each_us = 1e6 * found.processor_s / max(1, outcome.inputs)
        lines.append(
            f"{name:<16}{outcome.inputs:>9}{outcome.accepted:>9}{outcome.refused:>9}{outcome.faulty:>8}{each_us:>9.0f}\n"
        )
    return "".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000, help="of all targets together (default: a million)")
    parser.add_argument("--seed", type=int, default=1, help="another seed makes other inputs (default: 1)")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="default: one for each processor")
    parser.add_argument("--targets", nargs="*", choices=[target.name for target in TARGETS], help="default: all")
    options = parser.parse_args()
    began_s = time.monotonic()
    chosen = [target for target in TARGETS if not options.targets or target.name in options.targets]
    figures = run_jobs(jobs_of(chosen, options.inputs, options.seed), options.processes)
    sys.stdout.write(table(figures))
    faults = [(name, fault) for name, found in figures.items() for fault in found.outcome.faults.values()]
    for name, fault in faults:
        path = save(name, fault)
        sys.stdout.write(f"\nFAULT in {name}, seed {options.seed}: {fault.reason}\n{fault.details}input: {path}\n")
    inputs = sum(found.outcome.inputs for found in figures.values())
    took_s = time.monotonic() - began_s
    sys.stdout.write(f"{inputs} inputs, seed {options.seed}, {len(faults)} kinds of faults, {took_s:.0f} s\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
