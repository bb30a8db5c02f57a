"""What may go to a terminal: text that others wrote can't move its cursor or colour it."""


def printable(text: str) -> str:
    """Return a text with everything escaped that is no visible character: controls, overrides, broken UTF-8."""
    return "".join(mark if mark.isprintable() else mark.encode("unicode_escape").decode() for mark in text)
