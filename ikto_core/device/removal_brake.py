"""How many peers may leave the device at once: a mistake in the bucket shall not take a whole mesh down."""

from collections.abc import Set

import msgspec

from ikto_core.values.keys import PublicKey


class BrakeLimits(msgspec.Struct, frozen=True, kw_only=True):
    """When removals are pending back."""

    share: float = 0.3  # of the peers that the device had at the window's start
    at_least: int = 5  # so many may always go
    window_s: float = 60.0
    hold_s: float = 600.0  # a pending removal goes through after so long


class RemovalBrake:
    """Lets a few removals through at once and holds the rest. Times are seconds of any clock that never goes back."""

    def __init__(self, limits: BrakeLimits) -> None:
        self._limits = limits
        self._passed_at: dict[PublicKey, float] = {}  # what went within the window without having been pending
        self._admitted: frozenset[PublicKey] = frozenset()
        self._pending_since: dict[PublicKey, float] = {}

    @property
    def pending(self) -> Set[PublicKey]:
        """Peers that are still on the device although the bucket does not have them."""
        return self._pending_since.keys()

    def admit(self, surplus: Set[PublicKey], *, present: int, now: float) -> frozenset[PublicKey]:
        """Return which of the `surplus` peers, all there are, may be removed now; the others are pending.

        A peer that was admitted the last time and is still there could not be removed: it is admitted again. One that
        is pending stays so until its time is over or it is released, however few others go.

        Args:
            surplus: Every peer on the device that should not be there.
            present: How many peers the device has, those included.
            now: The time.

        """
        again = surplus & self._admitted
        pending = {key: since for key, since in self._pending_since.items() if key in surplus}
        overdue = {key for key, since in pending.items() if since <= now - self._limits.hold_s}
        fresh = sorted(surplus - again - pending.keys())
        self._passed_at |= dict.fromkeys(again, now)
        passing = fresh[: self._allowance(present - len(again), now)]
        self._passed_at |= dict.fromkeys(passing, now)
        self._admitted = frozenset(again | overdue).union(passing)
        self._pending_since = {key: pending.get(key, now) for key in sorted(surplus - self._admitted)}
        return self._admitted

    def allow_pending(self) -> None:
        """Let every removal that is pending now go through at the next `admit`."""
        self._pending_since = dict.fromkeys(self._pending_since, float("-inf"))

    def _allowance(self, staying: int, now: float) -> int:
        window = now - self._limits.window_s
        self._passed_at = {key: at for key, at in self._passed_at.items() if at > window}
        recent = len(self._passed_at)
        limit = max(self._limits.at_least, int(self._limits.share * (staying + recent)))
        return max(0, limit - recent)
