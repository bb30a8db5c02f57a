"""The page on scaling and the README say what results.json says."""

import pytest

from benchmarks.fleet.results import RESULTS, load
from benchmarks.fleet.scaling import ROOT, pages
from benchmarks.fleet.tables import duration, size

HINT = "run `python -m benchmarks.fleet.scaling`"


def test_the_figures_and_plots_are_those_of_the_results() -> None:
    for path, text in pages(load(RESULTS)).items():
        assert path.read_text() == text, f"{path.relative_to(ROOT)}: {HINT}"


@pytest.mark.parametrize(
    ("seconds", "text"), [(22e-6, "22 µs"), (0.0123, "12.3 ms"), (65.0, "65 s"), (600.0, "10 min"), (9000.0, "2.5 h")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_sizes() -> None:
    assert [size(count) for count in (12, 2_500, 3.6e6, 1.25e10)] == ["12 B", "2.5 kB", "3.6 MB", "12.5 GB"]
