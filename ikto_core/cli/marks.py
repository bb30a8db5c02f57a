"""Marks before lines: ✓ and ✗, or letters where the output can't show them."""

from typing import TextIO

from ikto_core.admin.why_views import Mark

_UNICODE = {Mark.OK: "✓", Mark.FAULT: "✗", Mark.UNKNOWN: "?"}
_ASCII = {Mark.OK: "+", Mark.FAULT: "x", Mark.UNKNOWN: "?"}
COLOURS = {Mark.OK: "green", Mark.FAULT: "red", Mark.UNKNOWN: "yellow"}


def mark_text(mark: Mark, output: TextIO) -> str:
    """Return the mark as one character that an output can show."""
    try:
        "✓✗".encode(output.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return _ASCII[mark]
    return _UNICODE[mark]
