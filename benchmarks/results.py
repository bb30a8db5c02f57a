"""The stored rows of all runs: results.json, and baseline.json of the same form."""

import platform
from collections.abc import Collection, Sequence
from pathlib import Path

import msgspec

from benchmarks.findings import Row

RESULTS = Path(__file__).with_name("results.json")
BASELINE = Path(__file__).with_name("baseline.json")


class Skipped(msgspec.Struct, frozen=True):
    """A measure that did not run, and why."""

    measure: str
    why: str
    date: str


class Results(msgspec.Struct, frozen=True):
    """Rows, each with its own date and machine, and what was skipped."""

    rows: Sequence[Row] = ()
    skipped: Sequence[Skipped] = ()

    def with_run(self, run: "Results", measures: Collection[str]) -> "Results":
        """Return these results with those of a run.

        A measure that made rows replaces all its earlier ones; one that was skipped keeps them, with their date. Rows
        of a measure that is not among `measures` are dropped.
        """
        made = {row.measure for row in run.rows}
        tried = made | {one.measure for one in run.skipped}
        return Results(
            rows=[*(row for row in self.rows if row.measure in measures and row.measure not in made), *run.rows],
            skipped=[
                *(one for one in self.skipped if one.measure in measures and one.measure not in tried),
                *run.skipped,
            ],
        )

    def with_names(self, rows: Sequence[Row]) -> "Results":
        """Return these results with rows that replace those of the same name, as a baseline keeps them."""
        return Results(rows=list(({row.name: row for row in self.rows} | {row.name: row for row in rows}).values()))


def load(path: Path) -> Results:
    """Read stored results; none if there is no file. Raises msgspec.ValidationError for a file of another form."""
    return msgspec.json.decode(path.read_bytes(), type=Results) if path.exists() else Results()


def save(path: Path, results: Results) -> None:
    """Write results so that a change of one row is a change of a few lines."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n")


def machine() -> str:
    """Return what this machine is: processors, kernel and Python."""
    cpuinfo = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in cpuinfo if line.startswith("model name")]
    kernel = platform.release().split("-")[0]
    cores = f"{len(models)} cores of {models[0]}" if models else platform.machine()
    return f"{cores}, Linux {kernel}, Python {platform.python_version()}"
