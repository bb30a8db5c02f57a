"""Limits how many peers are removed, or get another key, at once: a mistake in the bucket must not cut a whole mesh."""

from collections.abc import Set
from typing import Generic, TypeVar

import msgspec

K = TypeVar("K", bound=str | bytes)


class BrakeLimits(msgspec.Struct, frozen=True, kw_only=True):
    """When removals have to wait."""

    share: float = 0.3  # of the peers that the device had at the start of the window
    at_least: int = 5  # this many may be removed in any case
    window_s: float = 60.0
    max_wait_s: float = 600.0  # a pending removal is admitted after this time


class Brake(Generic[K]):
    """Admits a limited number of removals, or of other changes, per window; the others are pending.

    Times are seconds of any clock that never goes back.
    """

    def __init__(self, limits: BrakeLimits) -> None:
        self._limits = limits
        self._passed_at: dict[K, float] = {}  # removals in the window that were never pending
        self._admitted: frozenset[K] = frozenset()
        self._pending_since: dict[K, float] = {}

    @property
    def pending(self) -> Set[K]:
        """Peers that are no longer in the bucket but still on the device."""
        return self._pending_since.keys()

    def copy(self) -> "Brake[K]":
        """Return a brake in the same state, which can be asked without consequences for this one."""
        twin = Brake[K](self._limits)
        twin._passed_at, twin._pending_since = dict(self._passed_at), dict(self._pending_since)
        twin._admitted = self._admitted
        return twin

    def admit(self, surplus: Set[K], *, present: int, now: float) -> frozenset[K]:
        """Return which of the `surplus` peers may be removed now; the others are pending.

        A peer that was admitted by the last call and is still on the device could not be removed: it is admitted again.
        A pending removal waits for `max_wait_s` or for `release`, however few other peers are removed.

        Args:
            surplus: Every peer that is on the device and should not be.
            present: The number of peers on the device, including the surplus ones.
            now: The time.

        """
        again = surplus & self._admitted
        pending = {key: since for key, since in self._pending_since.items() if key in surplus}
        overdue = {key for key, since in pending.items() if since <= now - self._limits.max_wait_s}
        fresh = sorted(surplus - again - pending.keys())
        self._passed_at |= dict.fromkeys(again, now)
        passing = fresh[: self._allowance(present - len(again), now)]
        self._passed_at |= dict.fromkeys(passing, now)
        self._admitted = frozenset(again | overdue).union(passing)
        self._pending_since = {key: pending.get(key, now) for key in sorted(surplus - self._admitted)}
        return self._admitted

    def applied(self) -> None:
        """Note that what the last `admit` admitted has happened: if it is asked for again, it is something new."""
        self._admitted = frozenset()

    def release(self) -> None:
        """Have the next `admit` admit every removal that is pending now."""
        self._pending_since = dict.fromkeys(self._pending_since, float("-inf"))

    def passed(self, now: float) -> int:
        """Return how many were admitted in the window that ends now, without those that were pending."""
        window = now - self._limits.window_s
        self._passed_at = {key: at for key, at in self._passed_at.items() if at > window}
        return len(self._passed_at)

    def _allowance(self, staying: int, now: float) -> int:
        """Return how many further peers may be removed in the window that ends now."""
        recent = self.passed(now)
        limit = max(self._limits.at_least, int(self._limits.share * (staying + recent)))
        return max(0, limit - recent)
