"""Marks before lines: ✓ and ✗ in a chain, √ ‼ and × in a list of checks, letters where the output can't show them."""

from typing import NamedTuple, TextIO

import click

from ikto_core.admin.why_views import Mark
from ikto_core.plugins.check_contract import Level


class _Shown(NamedTuple):
    text: str
    ascii: str  # two characters, so that lines are aligned
    colour: str | None = None


_SHOWN: dict[Mark | Level, _Shown] = {
    Mark.OK: _Shown("✓", "ok", "green"),
    Mark.FAULT: _Shown("✗", "xx", "red"),
    Mark.UNKNOWN: _Shown("?", "? ", "yellow"),
    Level.OK: _Shown("√", "ok", "green"),
    Level.WARNING: _Shown("‼", "!!", "yellow"),
    Level.ERROR: _Shown("×", "xx", "red"),
    Level.SKIPPED: _Shown("-", "- "),
}


def mark_text(mark: Mark | Level, output: TextIO) -> str:
    """Return the mark as an output can show it: coloured on a terminal, in letters where it has no others."""
    shown = _SHOWN[mark]
    text = shown.text if _can_show_all(output) else shown.ascii
    return click.style(text, fg=shown.colour) if output.isatty() else text


def _can_show_all(output: TextIO) -> bool:
    try:
        "".join(shown.text for shown in _SHOWN.values()).encode(output.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
