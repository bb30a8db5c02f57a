"""RESULTS.md and its plots, made of the stored rows."""

from collections.abc import Mapping, Sequence

from benchmarks import results
from benchmarks.baseline import changes
from benchmarks.charts import charts
from benchmarks.measures import Measure
from benchmarks.report import render
from benchmarks.results import Results

FOLDER = results.RESULTS.parent


def files(kept: Results, baseline: Results, measures: Sequence[Measure]) -> Mapping[str, str]:
    """Return the text of each file by its path in benchmarks/."""
    groups = {measure.name: measure.group for measure in measures}
    plots = {f"plots/{name}": text for name, text in charts(kept.rows, groups).items()}
    changed = changes(kept.rows, baseline.rows)
    return {"RESULTS.md": render(kept, changed, groups, list(plots)), **plots}


def write(kept: Results, measures: Sequence[Measure]) -> None:
    """Write all files. The file of a chart that is no longer made stays."""
    (FOLDER / "plots").mkdir(exist_ok=True)
    for name, text in files(kept, results.load(results.BASELINE), measures).items():
        (FOLDER / name).write_text(text)
