"""Escaping of foreign text, so that it can't send control sequences to a terminal."""

from ikto_core.values.text import printable

__all__ = ["printable"]
