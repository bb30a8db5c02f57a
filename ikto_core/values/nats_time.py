"""Times as NATS writes them: RFC 3339, with nanoseconds."""

from datetime import datetime


def nats_time_s(text: str) -> float | None:
    """Return a time in seconds since the epoch; None: the text is none."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        return None
