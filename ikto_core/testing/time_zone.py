"""Runs a part of a test in another time zone."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def in_time_zone(name: str) -> Iterator[None]:
    """Let this process be in a time zone (TZ of POSIX) while the block runs, where the system can change it."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = name
    try:
        _set_time_zone()
        yield
    finally:
        del os.environ["TZ"]
        if before is not None:
            os.environ["TZ"] = before
        _set_time_zone()


def _set_time_zone() -> None:
    if hasattr(time, "tzset"):
        time.tzset()
