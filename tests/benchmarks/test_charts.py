"""The plots of RESULTS.md."""

from benchmarks.charts import by_size, charts, of_target
from benchmarks.findings import at_most, at_most_times
from tests.benchmarks.rows import a_row


def test_a_row_is_drawn_as_a_share_of_its_target() -> None:
    assert of_target(a_row(ikto=3.0, target=at_most(2.0))) == 1.5
    assert of_target(a_row(ikto=3.0, reference=3.0, target=at_most_times(2))) == 0.5
    assert of_target(a_row(ikto=3.0)) is None
    assert of_target(a_row(ikto=0.0, target=at_most(2.0))) is None


def test_rows_whose_names_differ_in_a_size_are_one_line() -> None:
    rows = [a_row(f"walk/{size}", size / 1000, reference=1.0) for size in (50_000, 1_000)]
    other = [a_row("walk/10000/bytes", 1.0, reference=1.0), a_row("audit/1000", reference=1.0)]
    assert by_size([*rows, *other]) == {"walk": [(1_000, 1.0), (50_000, 50.0)]}


def test_charts_show_the_rows_of_the_usual_groups() -> None:
    rows = [
        a_row("walk/1000", target=at_most(2.0)),
        a_row("restart/0ms/gap", target=at_most(2.0), measure="first-contact-0ms"),
    ]
    drawn = charts(rows, {"walk": "following", "first-contact-0ms": "first-contact"})
    assert ">walk/1000<" in drawn["targets.svg"]
    assert "restart" not in drawn["targets.svg"]
    assert "sizes.svg" not in drawn
    assert charts([], {}) == {}
