"""Durations on the command line: `500ms`, `30s`, `2m`, `1h`; a bare number is in seconds."""

import re

import click

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "": 1.0}
_FORM = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|)")


def seconds_given(_context: click.Context, _option: click.Parameter, text: str) -> float:
    """Return the seconds of an option that is a duration; a usage error for anything else. It is a click callback."""
    found = _FORM.fullmatch(text)
    if not found:
        raise click.BadParameter(f"{text!r} is not a duration such as 30s, 2m or 500ms")
    return float(found[1]) * _UNITS[found[2]]
