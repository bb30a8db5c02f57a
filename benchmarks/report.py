"""RESULTS.md, rendered from the stored rows. Pure."""

from collections.abc import Iterator, Mapping, Sequence

from benchmarks.baseline import Change
from benchmarks.findings import Row, Target, Unit
from benchmarks.groups import GROUPS
from benchmarks.results import Results

_HEAD = """\
# Benchmarks

`make bench` measures these rows, each beside its reference in the same run and in turns. Compare ratios: times depend
on the machine.
[Performance](../docs/performance.md) says how to read them, and what each gain was.
"""
_TABLE = """\
| what | Ikto | beside | ratio | wanted | met | baseline | of |
|---|---|---|---|---|---|---|---|"""


def render(results: Results, changes: Mapping[str, Change], groups: Mapping[str, str], plots: Sequence[str]) -> str:
    """Return the text of RESULTS.md. `groups` has the group of each measure; `plots` are names of SVG files."""
    parts = [_HEAD, *(f"![{name.removesuffix('.svg')}]({name})\n" for name in plots)]
    for name, group in GROUPS.items():
        rows = [row for row in results.rows if groups.get(row.measure) == name]
        skipped = [one for one in results.skipped if groups.get(one.measure) == name]
        if rows or skipped:
            parts += [f"## {group.title}\n", f"{group.note}\n"]
        if rows:
            parts += ["\n".join([_TABLE, *(line(row, changes.get(row.name)) for row in rows)]) + "\n"]
        parts += [f"- **Skipped** on {one.date}: {one.measure}: {one.why}\n" for one in skipped]
    return "\n".join([*parts, *_machines(results.rows)])


def line(row: Row, change: Change | None) -> str:
    """Return a row of the table."""
    cells = [row.what, quantity(row.ikto, row.unit), _beside(row), ratio(row), wanted(row.target, row.unit)]
    cells += [{True: "yes", False: "**no**", None: ""}[row.met], _changed(change), row.date]
    return f"| {' | '.join(cells)} |"


def said(row: Row, change: Change | None) -> str:
    """Return a row as a line of text for a terminal."""
    beside = "; ".join(filter(None, [_beside(row), f"ratio {ratio(row)}" if row.ratio is not None else ""]))
    aim = f", wanted {wanted(row.target, row.unit)}" if row.target else ""
    met = {True: ", met", False: ", NOT MET", None: ""}[row.met]
    changed = f", {str(change).upper() if change.worse else change}" if change else ""
    return f"  {row.what}: {quantity(row.ikto, row.unit)}{f' ({beside})' if beside else ''}{aim}{met}{changed}"


def quantity(value: float, unit: Unit) -> str:
    """Return a value for a reader: three digits, with the prefix that suits it."""
    if unit == "count":
        return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"
    if unit == "cores":
        return f"{value * 100:.3g} % of a core"
    steps = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1, "B")) if unit == "B" else ((1, "s"), (1e-3, "ms"), (1e-6, "µs"))
    size, name = next((step for step in steps if abs(value) >= step[0]), steps[-1] if value else (1, unit))
    return f"{_three_digits(value / size)} {name}"


def ratio(row: Row) -> str:
    """Return the ratio, and whether its reference is quoted."""
    if row.ratio is None:
        return ""
    shown = f"{row.ratio:.2f}" if row.ratio >= 0.01 else f"{row.ratio:.1g}"
    return f"{shown} (quoted)" if row.quoted else shown


def wanted(target: Target | None, unit: Unit) -> str:
    """Return the target in words."""
    if target is None:
        return ""
    return f"≤ {target.at_most:g} ×" if target.of == "ratio" else f"≤ {quantity(target.at_most, unit)}"


def _three_digits(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _beside(row: Row) -> str:
    if row.missing:
        return f"not measured: {row.missing}"
    if row.reference is None:
        return ""
    quoted = f", quoted from {row.quoted}" if row.quoted else ""
    return f"{row.beside}: {quantity(row.reference, row.unit)}{quoted}"


def _changed(change: Change | None) -> str:
    return "" if change is None else f"**{change}**" if change.worse else str(change)


def _machines(rows: Sequence[Row]) -> Iterator[str]:
    """Name the machine of each date."""
    yield "## Machines\n"
    for date, machine in sorted({(row.date, row.machine) for row in rows}, reverse=True):
        yield f"- {date}: {machine}"
    yield ""
