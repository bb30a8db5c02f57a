"""Writes RESULTS.md and its plots from the stored rows."""

from collections.abc import Sequence

from benchmarks import results
from benchmarks.baseline import changes
from benchmarks.charts import charts
from benchmarks.measures import Measure
from benchmarks.report import render
from benchmarks.results import Results

FOLDER = results.RESULTS.parent


def write_report(kept: Results, measures: Sequence[Measure]) -> None:
    """Write RESULTS.md, and one SVG file for each chart. Files of charts that are no longer made stay."""
    groups = {measure.name: measure.group for measure in measures}
    drawn = charts(kept.rows, groups)
    (FOLDER / "plots").mkdir(exist_ok=True)
    for name, text in drawn.items():
        (FOLDER / "plots" / name).write_text(text)
    changed = changes(kept.rows, results.load(results.BASELINE).rows)
    (FOLDER / "RESULTS.md").write_text(render(kept, changed, groups, [f"plots/{name}" for name in drawn]))
