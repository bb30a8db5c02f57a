"""Formatting an agent's answers as text: JSON, sizes."""

import json

import msgspec


def json_text(view: object) -> str:
    """Return a view as indented ASCII JSON, in which control characters are escaped."""
    return json.dumps(msgspec.to_builtins(view), indent=2)


def size(count: int) -> str:
    """Return a number of bytes as text, such as `1.5 MiB`."""
    if count < 1024:
        return f"{count} B"
    amount, unit = float(count), ""
    for unit in ("KiB", "MiB", "GiB", "TiB"):  # noqa: B007 - the last unit reached is used below
        amount /= 1024
        if amount < 1023.95:  # from here on it would be rounded to 1024.0
            break
    return f"{amount:.1f} {unit}"
