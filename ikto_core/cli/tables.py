"""Output for people: aligned text, or tables on a terminal."""

import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import click

from ikto_core.cli.printing import printable

T = TypeVar("T")

MOST_SHOWN = 20
"""Rows of a list; a longer list ends with the number of rows left out. `--json` has all of them."""

LONGEST_CELL = 200
"""Characters; foreign text from the bucket may be longer."""


class Row(NamedTuple):
    """A line of a section. Make one with `line`, which escapes the cells."""

    cells: tuple[str, ...]
    style: str = ""  # of the last cell, where there is colour


class Section(NamedTuple):
    """Aligned lines under a title; an empty title is not shown."""

    title: str
    rows: Sequence[Row]
    header: tuple[str, ...] = ()


def show(sections: Sequence[Section]) -> None:
    """Print sections on stdout."""
    if sys.stdout.isatty():
        _print_tables(sections)
    else:
        click.echo("\n\n".join(_plain(section) for section in sections))


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


def _clipped(text: str) -> str:
    return text if len(text) <= LONGEST_CELL else text[: LONGEST_CELL - 1] + "…"


def _plain(section: Section) -> str:
    """Return a section as aligned text; the last cell of a line is not padded."""
    lines = [section.header] if section.header else []
    lines += [row.cells for row in section.rows]
    columns = max(len(cells) for cells in lines)
    widths = [max((len(cells[n]) for cells in lines if n < len(cells) - 1), default=0) for n in range(columns)]
    indent = "  " if section.title else ""
    aligned = [indent + "  ".join(map(str.ljust, cells, widths)).rstrip() for cells in lines]
    return "\n".join([section.title, *aligned] if section.title else aligned)


def _print_tables(sections: Sequence[Section]) -> None:
    from rich.console import Console  # noqa: PLC0415 - start-up time: only a terminal needs it
    from rich.table import Table  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415 - as above

    console = Console(highlight=False)
    for section in sections:
        if section.title:
            console.print(Text(f"\n{section.title}", style="bold"))
        columns = section.header or ("",) * max(len(row.cells) for row in section.rows)
        table = Table(*columns, box=None, show_header=bool(section.header), header_style="dim", pad_edge=False)
        for column in table.columns:
            column.overflow = "fold"
        for row in section.rows:  # Text: rich must not read markup in foreign text
            *others, last = row.cells
            table.add_row(*(Text(cell) for cell in others), Text(last, style=row.style))
        console.print(table)
