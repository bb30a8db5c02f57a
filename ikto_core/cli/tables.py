"""Output for people: aligned lines and tables, fitted to the terminal.

On a terminal, and wherever COLUMNS is set, a table that is too wide loses its optional columns, then its names are cut,
and its last column continues on further lines. Keys, subnets and endpoints are never broken. In a pipe nothing is cut.
"""

import os
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from os.path import commonprefix
from typing import NamedTuple, TypeVar

import click

from ikto_core.values.columns import clipped_to, padded, width_of, wrapped
from ikto_core.values.text import printable

T = TypeVar("T")

MOST_SHOWN = 20
"""Rows of a list; a longer list ends with the number of rows left out. `--json` has all of them."""

LONGEST_CELL = 200
"""Characters; foreign text from the bucket may be longer."""

SHORTEST_KEY = 8
"""Characters of a short key, if they are enough to tell the key from the others in a table."""

NARROWEST_NAME, NARROWEST_LAST = 12, 18
"""Columns that are left of a name that is cut, and of the last cell, which is continued on further lines."""

GAP = "  "


class Row(NamedTuple):
    """A line of a section. Make one with `line`, which escapes the cells."""

    cells: tuple[str, ...]
    style: str = ""  # the colour of a cell, where there is colour
    styled: int = -1  # the place of that cell


class Section(NamedTuple):
    """Aligned lines under a title; an empty title is not shown."""

    title: str
    rows: Sequence[Row]
    header: tuple[str, ...] = ()  # the first column has names; headers are shown in upper case
    optional: tuple[tuple[str, ...], ...] = ()  # columns that are left out if the width does not suffice, in this order


def show(sections: Sequence[Section], *, wide: bool = False) -> None:
    """Print sections on stdout; `wide`: whole, whatever the width of the terminal."""
    click.echo("\n\n".join("\n".join(rendered(section, None if wide else output_width())) for section in sections))


def output_width() -> int | None:
    """Return the columns of stdout; None: it is no terminal, and COLUMNS is not set."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() or os.environ.get("COLUMNS") else None


def listing(title: str, items: Sequence[T], line_of: Callable[[T], Row], header: tuple[str, ...] = ()) -> Section:
    """Return a section whose title has the number of items, with one row for each of the first MOST_SHOWN."""
    shown = [line_of(item) for item in items[:MOST_SHOWN]]
    if len(items) > len(shown):
        shown.append(line(f"… and {len(items) - len(shown)} more (--json has all)"))
    return Section(f"{title} ({len(items)}):", shown, header)


def line(*cells: str, style: str = "") -> Row:
    """Return a row of these cells, with unprintable characters escaped and long cells cut."""
    return Row(tuple(_clipped(printable(cell)) for cell in cells), style)


def hint_rows(hint: str | None) -> tuple[Row, ...]:
    """Return a row with a hint, which is never cut; none without a hint."""
    return (Row(("hint", printable(hint))),) if hint else ()


def short_keys(keys: Iterable[str], *, wide: bool = False) -> Mapping[str, str]:
    """Return the beginning of each key that no other of these keys has; `wide`: whole keys."""
    every = sorted(set(keys))
    shared = [0, *(len(commonprefix(pair)) for pair in pairwise(every)), 0]  # noqa: RUF071 - not paths
    lengths = [max(SHORTEST_KEY, before + 1, after + 1) for before, after in pairwise(shared)]
    return {key: key if wide else key[:length] for key, length in zip(every, lengths, strict=False)}


def rendered(section: Section, width: int | None) -> list[str]:
    """Return the lines of a section, fitted to a width; None: as wide as it is."""
    indent = GAP if section.title else ""
    limit = None if width is None else max(width - len(indent), NARROWEST_NAME)
    section, left_out = _without_optional(section, limit)
    lines = [indent + text for text in _aligned(section, limit)]
    if left_out:
        lines.append(f"{indent}(left out at this width: {', '.join(left_out)})")
    return [click.style(section.title, bold=True), *lines] if section.title else lines


def fitted(text: str, indent: int) -> str:
    """Return a text for the width of stdout: it goes on on further lines, behind `indent` spaces."""
    width = output_width()
    room = width_of(text) if width is None else max(width - indent, NARROWEST_LAST)
    return f"\n{' ' * indent}".join(wrapped(text, room))


def _clipped(text: str) -> str:
    return text if len(text) <= LONGEST_CELL else text[: LONGEST_CELL - 1] + "…"


def _without_optional(section: Section, limit: int | None) -> tuple[Section, list[str]]:
    """Return the section without the columns that it must lose to fit, and their names."""
    left_out: list[str] = []
    for group in section.optional:
        if limit is None or not _excess(_widths(section), limit):
            break
        kept = [place for place, name in enumerate(section.header) if name not in group]
        rows = [_only(row, kept, len(section.header)) for row in section.rows]
        section = section._replace(header=tuple(section.header[place] for place in kept), rows=rows)
        left_out += group
    return section, left_out


def _only(row: Row, kept: Sequence[int], columns: int) -> Row:
    """Return a row with these cells only; a row of fewer cells than the table has is a note, and stays."""
    if len(row.cells) < columns:
        return row
    styled = kept.index(row.styled) if row.styled in kept else -1
    return row._replace(cells=tuple(row.cells[place] for place in kept), styled=styled)


def _widths(section: Section) -> list[int]:
    """Return the columns' widths. The last cell of a short row does not count: it may be longer than its column."""
    lines = [section.header, *(row.cells for row in section.rows)]
    columns = max(map(len, lines))
    return [
        max((width_of(cells[n]) for cells in lines if n < len(cells) - (len(cells) < columns)), default=0)
        for n in range(columns)
    ]


def _aligned(section: Section, limit: int | None) -> list[str]:
    widths = _widths(section)
    if limit is not None and section.header:
        widths[0] -= min(_excess(widths, limit), max(0, widths[0] - NARROWEST_NAME))
    header = Row(tuple(name.upper() for name in section.header))
    shown = [click.style(text, dim=True) for text in _lines(header, widths, limit)] if section.header else []
    return [*shown, *(text for row in section.rows for text in _lines(row, widths, limit, cut=bool(section.header)))]


def _excess(widths: Sequence[int], limit: int) -> int:
    """Return by how much a table is too wide, if its last column is as narrow as it may be."""
    return max(0, sum(widths[:-1]) + min(widths[-1], NARROWEST_LAST) + len(GAP) * (len(widths) - 1) - limit)


def _lines(row: Row, widths: Sequence[int], limit: int | None, *, cut: bool = False) -> list[str]:
    """Return the lines of one row: its last cell goes on below itself."""
    *others, last = row.cells
    if cut and others:
        others[0] = clipped_to(others[0], widths[0])
    columns = [padded(cell, width) for cell, width in zip(others, widths, strict=False)]
    taken = sum(width_of(column) + len(GAP) for column in columns)
    room = None if limit is None else max(limit - taken, NARROWEST_LAST)
    first, *more = [last] if room is None or width_of(last) <= room else wrapped(last, room)
    columns += [first]
    if row.style and columns[row.styled]:
        columns[row.styled] = click.style(columns[row.styled], fg=row.style)
        more = [click.style(part, fg=row.style) for part in more] if row.styled == -1 else more
    return [GAP.join(columns).rstrip(), *(" " * taken + part for part in more)]
