"""How many peers may leave the device at once: a mistake in the bucket shall not take a whole mesh down."""

from collections import deque
from collections.abc import Set

import msgspec

from ikto_core.keys import PublicKey


class BrakeLimits(msgspec.Struct, frozen=True, kw_only=True):
    """When removals are held back."""

    share: float = 0.3  # of the peers that the device had at the window's start
    at_least: int = 5  # so many may always go
    window_s: float = 60.0
    hold_s: float = 600.0  # a held removal goes through after so long


class RemovalBrake:
    """Lets a few removals through at once and holds the rest. Times are seconds of any clock that never goes back."""

    def __init__(self, limits: BrakeLimits) -> None:
        self._limits = limits
        self._removed_at: deque[float] = deque()
        self._held_since: dict[PublicKey, float] = {}

    @property
    def held(self) -> Set[PublicKey]:
        """Peers that are still on the device although the bucket does not have them."""
        return self._held_since.keys()

    def admit(self, surplus: Set[PublicKey], *, present: int, now: float) -> frozenset[PublicKey]:
        """Return which of the `surplus` peers, all there are, may be removed now; the others are held.

        Args:
            surplus: Every peer on the device that should not be there.
            present: How many peers the device has, those included.
            now: The time.

        """
        while self._removed_at and self._removed_at[0] <= now - self._limits.window_s:
            self._removed_at.popleft()
        self._held_since = {key: self._held_since.get(key, now) for key in sorted(surplus)}
        overdue = {key for key, since in self._held_since.items() if since <= now - self._limits.hold_s}
        waiting = [key for key in self._held_since if key not in overdue]
        admitted = overdue.union(waiting[: self._allowance(present)])
        for key in admitted:
            del self._held_since[key]
        self._removed_at.extend([now] * len(admitted))
        return frozenset(admitted)

    def release(self) -> None:
        """Let every removal that is held now go through at the next `admit`."""
        self._held_since = dict.fromkeys(self._held_since, float("-inf"))

    def _allowance(self, present: int) -> int:
        recent = len(self._removed_at)
        limit = max(self._limits.at_least, int(self._limits.share * (present + recent)))
        return max(0, limit - recent)
