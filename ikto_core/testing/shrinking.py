"""Bounds how often Hypothesis tries smaller examples on a device, where each may take a second."""

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

MOST_SMALLER_EXAMPLES = 30


def with_bounded_shrinking(check: Callable[[T], object], most: int = MOST_SMALLER_EXAMPLES) -> Callable[[T], None]:
    """Return `check`, which looks at `most` more examples after the first one that failed, and takes others for good.

    An example that has failed fails again without another look.
    """
    failed: dict[str, Exception] = {}
    looked = 0

    def bounded(example: T) -> None:
        nonlocal looked
        name = repr(example)
        if name in failed:
            raise failed[name]
        if failed:
            looked += 1
            if looked > most:
                return
        try:
            check(example)
        except Exception as error:
            failed[name] = error
            raise

    return bounded
