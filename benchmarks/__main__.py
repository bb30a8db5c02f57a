"""`python -m benchmarks`: measure, print each row as it is made, and store the rows in results.json and RESULTS.md."""

import argparse
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from math import inf
from pathlib import Path

from benchmarks import results, results_page
from benchmarks.baseline import changes
from benchmarks.findings import Row, row
from benchmarks.groups import GROUPS
from benchmarks.measures import Measure, all_measures
from benchmarks.report import said
from benchmarks.results import Results, Skipped
from benchmarks.runner import run

QUICK_LIMIT_S = 170.0
"""After this time a quick run skips what is left."""


def main() -> int:
    """Run the measures that the arguments select. Returns 1 if one of them failed, never because of a figure."""
    arguments = _arguments()
    measures = all_measures()
    if arguments.list:
        for measure in measures:
            sys.stdout.write(f"{measure.group:14} {measure.name:24} {'quick' if measure.quick else ''}\n")
        return 0
    chosen = _chosen(measures, arguments)
    ran, failures = _run(chosen, quick=arguments.quick)
    if arguments.json:
        results.save(arguments.json, ran)
    if arguments.store_baseline:
        results.save(results.BASELINE, results.load(results.BASELINE).with_names(ran.rows))
    if not arguments.quick and not arguments.json:
        kept = results.load(results.RESULTS).with_run(ran, {measure.name for measure in measures})
        results.save(results.RESULTS, kept)
        results_page.write(kept, measures)
        sys.stdout.write("Stored in benchmarks/results.json and benchmarks/RESULTS.md\n")
    for failure in failures:
        sys.stdout.write(f"FAILED: {failure}\n")
    return 1 if failures else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", nargs="*", help="measures to run, as with --only")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="measures to run")
    parser.add_argument("--group", nargs="+", default=[], choices=GROUPS, help="groups of measures to run")
    parser.add_argument("--all", action="store_true", help="also the groups that take long")
    parser.add_argument("--list", action="store_true", help="list the measures and exit")
    parser.add_argument("--quick", action="store_true", help="small sizes and few rounds; prints, and stores nothing")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows of this run there instead")
    parser.add_argument("--store-baseline", action="store_true", help="store the rows in baseline.json too")
    parser.add_argument(
        "--report", action="store_true", help="measure nothing: write RESULTS.md again from results.json"
    )
    return parser.parse_args()


def _chosen(measures: Sequence[Measure], arguments: argparse.Namespace) -> Sequence[Measure]:
    """Return the measures to run; by default those that are in no group that takes long. Exits on an unknown name."""
    if arguments.report:
        return []
    names = {*arguments.name, *arguments.only}
    if unknown := names - {measure.name for measure in measures}:
        sys.exit(f"no measure is named {', '.join(sorted(unknown))}; python -m benchmarks --list shows all")
    if names or arguments.group:
        return [measure for measure in measures if measure.name in names or measure.group in arguments.group]
    return [
        measure
        for measure in measures
        if (arguments.all or not GROUPS[measure.group].long) and (measure.quick or not arguments.quick)
    ]


def _run(measures: Sequence[Measure], *, quick: bool) -> tuple[Results, Sequence[str]]:
    """Run measures one after another and print what they find. Returns it, and what failed."""
    machine, date = results.machine(), f"{datetime.now(UTC):%Y-%m-%d}"
    rows: list[Row] = []
    skipped: list[Skipped] = []
    failures: list[str] = []
    started_s, limit_s = time.monotonic(), QUICK_LIMIT_S if quick else inf
    for measure in measures:
        began_s = time.monotonic()
        outcome = run(measure, quick=quick, left_s=limit_s - (began_s - started_s))
        made = [row(found, measure=measure.name, machine=machine, date=date) for found in outcome.findings]
        sys.stdout.write(f"{measure.name} ({time.monotonic() - began_s:.0f} s)\n")
        _print(made)
        rows += made
        if outcome.skipped:
            sys.stdout.write(f"SKIPPED: {measure.name}: {outcome.skipped}\n")
            skipped.append(Skipped(measure.name, outcome.skipped, date))
        if outcome.failed:
            failures.append(f"{measure.name}: {outcome.failed}")
        sys.stdout.flush()
    return Results(rows, skipped), failures


def _print(rows: Sequence[Row]) -> None:
    changed = changes(rows, results.load(results.BASELINE).rows)
    for one in rows:
        sys.stdout.write(said(one, changed.get(one.name)) + "\n")


if __name__ == "__main__":
    sys.exit(main())
