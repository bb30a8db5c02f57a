"""`python -m benchmarks.fleet`: fleets of agents, and of other followers, on real servers; writes results.json."""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.fleet.course import Run, Setting, run_fleet
from benchmarks.fleet.results import RESULTS, load, save, table
from benchmarks.fleet.worker import KINDS

LINES = 20
"""Of each process's log, after a failure."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the fleets that the arguments name, one after the other, and print what was measured."""
    asked = _parser().parse_args(arguments)
    runs = []
    for servers in asked.servers:
        for nodes in asked.nodes:
            for kind in asked.kinds:
                runs.append(
                    _run(
                        Setting(
                            kind=kind,
                            nodes=nodes,
                            servers=servers,
                            sampled=tuple(asked.sample),
                            left_out=tuple(asked.leave_out),
                        )
                    )
                )
                save(asked.results, runs)
    sys.stdout.write(table(load(asked.results)))


def _run(setting: Setting) -> Run:
    sys.stderr.write(f"{setting.nodes} {setting.kind} on {setting.servers} servers\n")
    with tempfile.TemporaryDirectory(prefix="ikto-fleet-") as directory:
        try:
            run = asyncio.run(run_fleet(setting, Path(directory)))
        except RuntimeError:
            sys.stderr.writelines(_last_lines(Path(directory)))
            raise
    for phase, lines in run.samples.items():
        sys.stdout.write("\n".join([f"{setting.kind}: {phase}", *lines, ""]))
    return run


def _last_lines(directory: Path) -> list[str]:
    """Return the ends of the logs of all processes."""
    return [line for log in sorted(directory.glob("*.log")) for line in log.open().readlines()[-LINES:]]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet", description=__doc__)
    parser.add_argument("--nodes", type=int, nargs="+", default=[10, 100, 300, 1000], help="sizes of the fleets")
    parser.add_argument("--servers", type=int, nargs="+", default=[1, 3], help="1: one server; 3: a cluster")
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS), help="what follows the bucket")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the file of the results")
    parser.add_argument("--sample", nargs="+", default=[], metavar="PHASE", help="say what takes processor time there")
    parser.add_argument("--leave-out", nargs="+", default=[], metavar="PHASE", help="do not run these phases")
    return parser


if __name__ == "__main__":
    main()
