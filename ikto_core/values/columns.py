"""Text in the columns of a terminal: CJK characters are two wide, combining ones none."""

from unicodedata import category, east_asian_width


def width_of(text: str) -> int:
    """Return how many columns a text takes."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def padded(text: str, width: int) -> str:
    """Return a text with spaces up to a width; a longer one is unchanged."""
    return text + " " * (width - width_of(text))


def clipped_to(text: str, width: int) -> str:
    """Return a text of at most `width` columns (1 or more); one that was cut ends with `…`."""
    if width_of(text) <= width:
        return text
    kept, taken = "", 1  # the … takes one
    for char in text:
        taken += _columns(char)
        if taken > width:
            break
        kept += char
    return kept + "…"


def wrapped(text: str, width: int) -> list[str]:
    """Return the lines of a text, broken at spaces. A word that is longer than `width` stays whole: it may be a key."""
    lines: list[str] = []
    for word in text.split(" "):
        if lines and width_of(lines[-1]) + 1 + width_of(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines or [""]


def _columns(char: str) -> int:
    if category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if east_asian_width(char) in "WF" else 1
