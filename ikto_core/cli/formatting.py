"""Formatting an agent's answers as text: JSON, ages, sizes."""

import json

import msgspec

LONGEST_AGE_S = 10 * 365 * 86400
"""Anything older was recorded by a clock that was not set."""

CLOCK_TOLERANCE_S = 5
"""Times this far in the future count as now: clocks are corrected in small steps all the time."""

UNKNOWN_AGE = "at an unknown time"


def json_text(view: object) -> str:
    """Return a view as indented ASCII JSON, in which control characters are escaped."""
    return json.dumps(msgspec.to_builtins(view), indent=2)


def age(then: float | None, now: float) -> str:
    """Return how long ago something happened, such as `12 s ago`; UNKNOWN_AGE if the clock was set since.

    Args:
        then: Seconds since the epoch; None: it never happened.
        now: Seconds since the epoch.

    """
    if then is None:
        return "never"
    seconds = now - then
    if not -CLOCK_TOLERANCE_S <= seconds < LONGEST_AGE_S:
        return UNKNOWN_AGE
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length:.0f} {unit} ago"
    return f"{max(seconds, 0) // 1:.0f} s ago"


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
