"""Escaping of foreign text, so that it can't send control sequences to a terminal."""


def printable(text: str) -> str:
    """Return a text with every unprintable character escaped: controls, direction overrides, broken UTF-8."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
