"""Ages as text for people."""

LONGEST_AGE_S = 10 * 365 * 86400
"""Anything older was recorded by a clock that was not set."""

CLOCK_TOLERANCE_S = 5
"""Times this far in the future count as now: clocks are corrected in small steps all the time."""

UNKNOWN_AGE = "at an unknown time"


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
