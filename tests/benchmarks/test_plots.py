"""Charts: what is drawn is well-formed, in proportion, and true to the values."""

from xml.etree import ElementTree as ET

import pytest

from benchmarks.plots import Axis, Series, bar_chart, line_chart, number

SVG = "{http://www.w3.org/2000/svg}"


def tree_of(drawn: str) -> ET.Element:
    """Return the parsed chart; fails if it is not well-formed."""
    return ET.fromstring(drawn)  # noqa: S314 - our own text


def lines_of(drawn: str) -> list[list[tuple[float, float]]]:
    """Return the points of each line, in pixels."""
    lines = tree_of(drawn).iter(f"{SVG}polyline")
    return [[(float(x), float(y)) for x, y in (p.split(",") for p in line.attrib["points"].split())] for line in lines]


def bars_of(drawn: str) -> list[float]:
    """Return the width of each bar, in pixels."""
    drawn_bars = (rect for rect in tree_of(drawn).iter(f"{SVG}rect") if rect.attrib["class"] != "page")
    return [float(bar.attrib["width"]) for bar in drawn_bars]


def test_a_line_on_logarithmic_axes_is_straight_for_a_power_law() -> None:
    (line,) = lines_of(
        line_chart("t", [Series("s", [(10, 3), (1000, 300), (100, 30)])], Axis("x", log=True), Axis("y", log=True))
    )
    (x0, y0), (x1, y1), (x2, y2) = line
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2)
    assert y0 - y1 == pytest.approx(y1 - y2, abs=0.2)
    assert y0 > y2  # larger values are higher on the page


def test_a_logarithmic_axis_leaves_out_what_it_cannot_show() -> None:
    (line,) = lines_of(line_chart("t", [Series("s", [(1, 0), (2, 5), (3, 7)])], Axis("x"), Axis("y", log=True)))
    assert len(line) == 2


def test_the_widths_of_bars_are_in_proportion() -> None:
    series = [Series("a", [(0, 10), (0, 40)]), Series("b", [(0, 20), (0, 0)])]
    widths = bars_of(bar_chart("t", ["one", "two"], series, Axis("s")))
    assert widths == pytest.approx([widths[0], 2 * widths[0], 4 * widths[0], 0], abs=0.3)


def test_a_chart_has_a_palette_for_dark_pages_and_escapes_names() -> None:
    drawn = line_chart("a < b", [Series("<&>", [(0, 1)])], Axis("x"), Axis("y"))
    texts = [text.text for text in tree_of(drawn).iter(f"{SVG}text")]
    assert {"a < b", "<&>"} <= set(texts)
    assert "prefers-color-scheme:dark" in drawn


@pytest.mark.parametrize("values", [[0.0], [5.0], [-3.0, 4.0], []])
def test_few_values_are_drawn(values: list[float]) -> None:
    series = [Series("s", list(enumerate(values)))]
    assert len(lines_of(line_chart("t", series, Axis("x"), Axis("y")))) == 1


def test_numbers_are_short() -> None:
    assert [number(v) for v in (0.0123, 1, 1234, 25_600_000)] == ["0.0123", "1", "1.23k", "25.6M"]
