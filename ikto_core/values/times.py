"""Times for programs: aware datetimes in UTC, which JSON has as RFC 3339."""

from datetime import UTC, datetime
from typing import overload

EARLIEST_S = datetime.min.replace(tzinfo=UTC).timestamp()
LATEST_S = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()


@overload
def utc(seconds: float) -> datetime: ...
@overload
def utc(seconds: None) -> None: ...
@overload
def utc(seconds: float | None) -> datetime | None: ...
def utc(seconds: float | None) -> datetime | None:
    """Return seconds since the epoch as a time; one outside the years 1 to 9999 becomes the nearest. None: None."""
    return None if seconds is None else datetime.fromtimestamp(min(max(seconds, EARLIEST_S), LATEST_S), UTC)


def epoch_s(time: datetime | None) -> float | None:
    """Return a time in seconds since the epoch. None: None."""
    return None if time is None else time.timestamp()
