"""The stored results can be read, and their page says what they say."""

from benchmarks import results
from benchmarks.measures import all_measures
from benchmarks.results_page import FOLDER, files


def test_the_page_and_the_plots_are_made_of_the_stored_rows() -> None:
    """Otherwise: `python -m benchmarks --report`."""
    made = files(results.load(results.RESULTS), results.load(results.BASELINE), all_measures())
    assert made == {name: (FOLDER / name).read_text() for name in made}
    assert len(made) > 1
