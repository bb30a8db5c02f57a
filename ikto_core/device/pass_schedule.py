"""When the next pass on a device is due, and what it has to do."""

import asyncio
import time
from collections.abc import Iterable, Set
from contextlib import suppress
from typing import NamedTuple

from ikto_core.values.keys import PublicKey

FULL_PASS_EVERY_S = 60.0
"""Interval of the full passes that nothing else requests, which repair and report drift."""


class Due(NamedTuple):
    """What a pass has to do. With neither, it only looks at peers that are watched, or whose endpoint has a turn."""

    full: bool  # read the device and compare all of it
    changed: Set[PublicKey]  # peers that are new, changed or gone: what is written of them is not drift
    expected: bool  # nothing that a full pass has to write is drift


class PassSchedule:
    """Collects what is to be done to a device until a pass takes it. Times are by the monotonic clock."""

    def __init__(self) -> None:
        self.next_full_pass_at = 0.0
        self._full_pass_due = True  # the device must be read before anything is written
        self._changes_expected = True
        self._changed: set[PublicKey] = set()
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Have a pass made at once."""
        self._wake.set()

    def request_full_pass(self, *, changes_expected: bool = False) -> None:
        """Have the next pass read the device; with `changes_expected`, what it has to write is not drift."""
        self._full_pass_due = True
        self._changes_expected |= changes_expected
        self.wake()

    def mark_changed(self, peers: Iterable[PublicKey]) -> None:
        """Have the next pass write these peers."""
        self._changed.update(peers)
        self.wake()

    def take(self) -> Due:
        """Return what a pass that begins now has to do; it is not due any more."""
        due = self.peek()
        self._full_pass_due, self._changes_expected, self._changed = False, False, set()
        return due

    def peek(self) -> Due:
        """Return what the next pass has to do, so far: what was reported since `take`."""
        return Due(self._full_pass_due, self._changed, self._changes_expected)

    async def wait(self, *, check_at: float, watch_at: float) -> None:
        """Wait for something to do.

        A full pass is due every FULL_PASS_EVERY_S, even if other passes never stop.

        Args:
            check_at: When endpoints must be checked.
            watch_at: When watched peers must be looked at.

        """
        with suppress(TimeoutError):  # the event loop's clock is time.monotonic
            async with asyncio.timeout_at(min(self.next_full_pass_at, check_at, watch_at)):
                await self._wake.wait()
        self._wake.clear()
        if (now := time.monotonic()) >= self.next_full_pass_at:
            self.next_full_pass_at = now + FULL_PASS_EVERY_S
            self._full_pass_due = True
