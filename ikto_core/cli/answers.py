"""An agent's answers as text: JSON, ages, sizes."""

import json

import msgspec

LONGEST_AGE_S = 10 * 365 * 86400
"""What seems older was noted by a clock that was not set."""

CLOCK_TOLERANCE_S = 5
"""What is so little ahead of us happened just now: clocks are corrected in small steps all the time."""

UNKNOWN_AGE = "at an unknown time"


def json_text(view: object) -> str:
    """Return a view as indented JSON in ASCII, so that no control character reaches a terminal."""
    return json.dumps(msgspec.to_builtins(view), indent=2)


def age(then: float | None, now: float) -> str:
    """Return how long ago a handshake was, such as `12 s ago`; clocks may have been set meanwhile.

    Args:
        then: Seconds since the epoch; None: never.
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
    """Return a number of bytes, such as `1.5 MiB`."""
    if count < 1024:
        return f"{count} B"
    amount, unit = float(count), ""
    for unit in ("KiB", "MiB", "GiB", "TiB"):  # noqa: B007 - the unit that is reached is the result
        amount /= 1024
        if amount < 1023.95:  # it would be shown as 1024.0
            break
    return f"{amount:.1f} {unit}"
