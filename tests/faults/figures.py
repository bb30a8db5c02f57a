"""The figures of a run of the suite, one file a test, and the table that is made of them.

`python -m tests.faults.figures` prints the table of the last run; `--write` puts it into README.md.
"""

import re
import sys
from itertools import dropwhile
from pathlib import Path

import msgspec

ROOT = Path(__file__).parents[2]
KEPT = ROOT / ".faults"
README = Path(__file__).with_name("README.md")
HEAD = "| fault | promise | converged after |\n|---|---|---|\n"


class Figure(msgspec.Struct, frozen=True):
    """What one test measured."""

    fault: str
    promise: str
    seconds: float

    @property
    def row(self) -> str:
        return f"| {self.fault} | {self.promise} | {self.seconds:.1f} s |\n"


def keep(test: str, figure: Figure) -> None:
    """Keep a test's figure until its next run."""
    KEPT.mkdir(exist_ok=True)
    (KEPT / re.sub(r"\W+", "_", test)).with_suffix(".json").write_bytes(msgspec.json.encode(figure))


def table() -> str:
    """Return the table of the last run."""
    figures = [msgspec.json.decode(path.read_bytes(), type=Figure) for path in sorted(KEPT.glob("*.json"))]
    return HEAD + "".join(figure.row for figure in figures)


def with_table(page: str, rows: str) -> str:
    """Return the page with these rows in its table's place."""
    before, _, rest = page.partition(HEAD)
    lines = rest.splitlines(keepends=True)
    return before + rows + "".join(dropwhile(lambda line: line.startswith("|"), lines))


def main() -> None:
    if "--write" in sys.argv:
        README.write_text(with_table(README.read_text(), table()))
    else:
        sys.stdout.write(table())


if __name__ == "__main__":
    main()
