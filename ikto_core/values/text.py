"""Foreign text made safe to print: it can't send control sequences to a terminal, nor begin a line of its own."""


def printable(text: str) -> str:
    """Return a text with every unprintable character escaped: controls, direction overrides, broken UTF-8."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def clipped(text: str, longest: int) -> str:
    """Return a text with at most `longest` characters; one that was cut ends with `…`."""
    return text if len(text) <= longest else text[: longest - 1] + "…"
