"""Draws charts as SVG: lines and bars, readable on a light and on a dark page. Pure: values in, text out."""

import math
from collections.abc import Callable, Iterator, Sequence
from html import escape

import msgspec

WIDTH, HEIGHT = 760, 400
LEFT, RIGHT, TOP, BOTTOM = 78, 20, 78, 52  # margins of the plotted area
ROW = 22  # height of one bar, and of one row of the legend

# Two palettes that stay apart for eyes that see no red or green, after Okabe and Ito. Plain rules: many programs that
# draw SVG know no CSS variables.
LIGHT = ("#0072b2", "#c25400", "#00805a", "#a04e88", "#6b6b6b", "#8a6d00")
DARK = ("#5db7ee", "#f59a4c", "#3fcf9f", "#e29bcb", "#a9b1ba", "#e6cf4d")
COLOURS = len(LIGHT)

Point = tuple[float, float]
Scale = Callable[[float], float]


class Series(msgspec.Struct, frozen=True):
    """The values of one thing. In a line chart x and y; in a bar chart only y is used, one point per label."""

    name: str
    points: Sequence[Point]
    dashed: bool = False  # a model, beside what was measured


class Axis(msgspec.Struct, frozen=True):
    """What an axis shows, with the unit in its name."""

    name: str
    log: bool = False
    lowest: float | None = None  # None: 0, or on a logarithmic axis the least value


def line_chart(title: str, series: Sequence[Series], x: Axis, y: Axis) -> str:
    """Return a line chart as SVG. Points with a value that a logarithmic axis can't show are left out."""
    shown = [_showable(one, x, y) for one in series]
    points = [point for one in shown for point in one.points] or [(1.0, 1.0)]
    x_marks, y_marks = _marks([p[0] for p in points], x), _marks([p[1] for p in points], y)
    to_x = _scale(x_marks, LEFT, WIDTH - RIGHT, log=x.log)
    to_y = _scale(y_marks, HEIGHT - BOTTOM, TOP, log=y.log)
    return _svg(
        title,
        HEIGHT,
        [
            *_legend(series),
            *(_horizontal(to_y(mark), number(mark)) for mark in y_marks),
            *(_below(to_x(mark), number(mark)) for mark in x_marks),
            _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, x.name, "middle"),
            _text(12, TOP - 12, y.name),
            *(_line(index, one, to_x, to_y) for index, one in enumerate(shown)),
        ],
    )


def bar_chart(title: str, labels: Sequence[str], series: Sequence[Series], x: Axis) -> str:
    """Return a chart of horizontal bars as SVG: for each label one bar of each series."""
    values = [value for one in series for _, value in one.points]
    marks = _marks([value for value in values if value > 0 or not x.log] or [1.0], x)
    margin = 20 + 7 * max(map(len, labels), default=0)
    to_x = _scale(marks, margin, WIDTH - 60, log=x.log)
    height = TOP + len(labels) * (len(series) * ROW + 12) + BOTTOM
    return _svg(
        title,
        height,
        [
            *_legend(series),
            *(_vertical(to_x(mark), TOP, height - BOTTOM, number(mark)) for mark in marks),
            _text((margin + WIDTH - 60) / 2, height - 12, x.name, "middle"),
            *_bars(labels, series, margin, to_x),
        ],
    )


def number(value: float) -> str:
    """Return a number for a reader: three digits, and k or M for thousands and millions."""
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def _showable(series: Series, x: Axis, y: Axis) -> Series:
    points = [(a, b) for a, b in series.points if (a > 0 or not x.log) and (b > 0 or not y.log)]
    return msgspec.structs.replace(series, points=points)


def _marks(values: Sequence[float], axis: Axis) -> list[float]:
    """Return where an axis has its lines: the first is its start, the last its end."""
    lowest = axis.lowest if axis.lowest is not None else min(values) if axis.log else min(0.0, *values, 0.0)
    if axis.log:
        first = math.floor(math.log10(lowest))
        last = max(math.ceil(math.log10(max(values))), first + 1)
        return [10.0**power for power in range(first, last + 1)]
    step = _step((max(*values, lowest, lowest) - lowest) / 5)
    count = max(math.ceil((max(values) - lowest) / step - 1e-9), 1)
    return [lowest + step * index for index in range(count + 1)]


def _step(least: float) -> float:
    """Return the smallest round number that is at least this."""
    if least <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(least))
    return power * next(digit for digit in (1, 2, 2.5, 5, 10) if power * digit >= least * (1 - 1e-9))


def _scale(marks: Sequence[float], start: float, end: float, *, log: bool) -> Scale:
    of = math.log10 if log else float
    first, last = of(marks[0]), of(marks[-1])

    def scaled(value: float) -> float:
        return start + (of(value) - first) / (last - first) * (end - start)

    return scaled


def _svg(title: str, height: float, lines: Sequence[str]) -> str:
    size = f'width="{WIDTH}" height="{height:g}" viewBox="0 0 {WIDTH} {height:g}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">'
    page = f'<rect class="page" width="{WIDTH}" height="{height:g}"/>'
    named = f"<title>{escape(title)}</title>"
    return "\n".join([head, _style(), named, page, _text(12, 24, title, "title"), *lines, "</svg>"]) + "\n"


def _style() -> str:
    dark = _colours("#14191f", "#e3e8ee", "#3d4752", DARK)
    fixed = (
        "text{font:12px sans-serif}.title{font-size:15px;font-weight:bold}.end{text-anchor:end}"
        ".middle{text-anchor:middle}.line{fill:none;stroke-width:2.2}.dashed{stroke-dasharray:6 4}"
    )
    light = _colours("#ffffff", "#1c2733", "#c9d2dc", LIGHT)
    return f"<style>{fixed}{light}\n@media(prefers-color-scheme:dark){{{dark}}}</style>"


def _colours(page: str, ink: str, faint: str, series: Sequence[str]) -> str:
    """Return the rules of one palette."""
    rules = [f".page{{fill:{page}}}text{{fill:{ink}}}.grid{{stroke:{faint}}}"]
    rules += [f".line{index}{{stroke:{it}}}.fill{index}{{fill:{it}}}" for index, it in enumerate(series)]
    return "".join(rules)


def _legend(series: Sequence[Series]) -> Iterator[str]:
    at = 12.0
    for index, one in enumerate(series):
        yield f'<path class="{_kind(index, one)}" d="M{at:g} 44h20"/>'
        yield _text(at + 26, 48, one.name)
        at += 46 + 6.6 * len(one.name)


def _line(index: int, series: Series, to_x: Scale, to_y: Scale) -> str:
    points = [f"{to_x(x):.1f},{to_y(y):.1f}" for x, y in sorted(series.points)]
    line = f'<polyline class="{_kind(index, series)}" points="{" ".join(points)}"/>'
    dots = [] if series.dashed else [_dot(index, point) for point in points]
    return "".join([line, *dots])


def _dot(index: int, point: str) -> str:
    x, _, y = point.partition(",")
    return f'<circle class="fill{index % COLOURS}" cx="{x}" cy="{y}" r="3.5"/>'


def _bars(labels: Sequence[str], series: Sequence[Series], margin: float, to_x: Scale) -> Iterator[str]:
    top = TOP + 6.0
    for row, label in enumerate(labels):
        yield _text(margin - 8, top + len(series) * ROW / 2 + 4, label, "end")
        for index, one in enumerate(series):
            value = one.points[row][1]
            end = max(to_x(value), margin) if value > 0 else margin
            size = f'width="{end - margin:.1f}" height="{ROW - 4}"'
            yield f'<rect class="fill{index % COLOURS}" x="{margin:g}" y="{top:g}" {size} rx="2"/>'
            yield _text(end + 5, top + 13, number(value))
            top += ROW
        top += 12


def _horizontal(y: float, label: str) -> str:
    line = f'<line class="grid" x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}"/>'
    return line + _text(LEFT - 8, y + 4, label, "end")


def _vertical(x: float, top: float, bottom: float, label: str) -> str:
    line = f'<line class="grid" x1="{x:.1f}" y1="{top:g}" x2="{x:.1f}" y2="{bottom:g}"/>'
    return line + _text(x, bottom + 16, label, "middle")


def _below(x: float, label: str) -> str:
    return _vertical(x, TOP, HEIGHT - BOTTOM, label)


def _text(x: float, y: float, text: str, kind: str = "") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'


def _kind(index: int, series: Series) -> str:
    return f"line line{index % COLOURS}{' dashed' if series.dashed else ''}"
