"""The plots of RESULTS.md: how far each row is from its target, and the ratios by size. Pure."""

from collections.abc import Mapping, Sequence

from benchmarks.findings import Row
from benchmarks.groups import GROUPS
from benchmarks.plots import Axis, Series, bar_chart, line_chart


def charts(rows: Sequence[Row], groups: Mapping[str, str]) -> Mapping[str, str]:
    """Return SVG texts by file name. `groups` has the group of each measure."""
    drawn = {}
    usual = [row for row in rows if row.measure in groups and not GROUPS[groups[row.measure]].long]  # type: ignore[index]
    if aimed := [(row, share) for row in usual if (share := of_target(row)) is not None]:
        drawn["targets.svg"] = bar_chart(
            "Each row as a share of its target: below 1 is met",
            [row.name for row, _ in aimed],
            [Series("Ikto / wanted", [(0.0, share) for _, share in aimed])],
            Axis("share of the target, logarithmic", log=True),
        )
    if sized := by_size(usual):
        drawn["sizes.svg"] = line_chart(
            "The same measure at several sizes, beside its reference",
            [Series(name, points) for name, points in sized.items()],
            Axis("size (keys, peers or agents)", log=True),
            Axis("Ikto / reference", log=True),
        )
    return drawn


def of_target(row: Row) -> float | None:
    """Return a row's figure divided by its target; None: it has none, or it is not above zero."""
    if row.target is None or not row.target.at_most:
        return None
    measured = row.ikto if row.target.of == "value" else row.ratio
    return measured / row.target.at_most if measured and measured > 0 else None


def by_size(rows: Sequence[Row]) -> Mapping[str, Sequence[tuple[float, float]]]:
    """Return size and ratio of the rows whose names differ in their last part only, a number: `walk/1000`."""
    lines: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        name, _, size = row.name.rpartition("/")
        if size.isdecimal() and row.ratio:
            lines.setdefault(name, []).append((float(size), row.ratio))
    return {name: sorted(points) for name, points in lines.items() if len(points) > 1}
