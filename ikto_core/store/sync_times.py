"""How far the device is behind the bucket, and how long changes take to get there. Pure."""

from collections import deque

from ikto_core.values.histogram import Histogram
from ikto_core.values.nats_time import nats_time_s

APPLIED_BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)

MOST_WAITING = 1000
"""Changes whose time is measured at once; of more, the oldest are not."""

CLOCK_SAMPLES = 16
"""Of so many changes, the fastest tells how far the clocks are apart: a slow one only shows that it was slow."""


class SyncTimes:
    """The changes that the device does not show yet. Times are in seconds since the epoch."""

    def __init__(self) -> None:
        self.applied = Histogram(APPLIED_BOUNDS_S)  # from the server's store to the device
        self._waiting: deque[tuple[int, float]] = deque(maxlen=MOST_WAITING)  # revisions, and when they were stored
        self._delays_s: deque[float] = deque(maxlen=CLOCK_SAMPLES)
        self._known = 0  # the latest revision that is known to exist
        self._shown = 0  # the revision that the device shows
        self._behind_since: float | None = None  # None: the device shows all that is known

    @property
    def clock_offset_s(self) -> float | None:
        """How far this host's clock is ahead of the NATS server's, at most; None: no change came yet."""
        return min(self._delays_s, default=None)

    def lag_s(self, now: float) -> float:
        """Return how long the device has been behind the bucket; 0: it is not."""
        return 0.0 if self._behind_since is None else max(now - self._behind_since, 0.0)

    def known(self, revision: int, now: float) -> None:
        """Note that the bucket has this revision."""
        self._known = max(self._known, revision)
        if self._known > self._shown and self._behind_since is None:
            self._behind_since = now

    def pushed(self, revision: int, stored: str, now: float) -> None:
        """Note a change as NATS pushed it; `stored` is when the server stored it, in RFC 3339."""
        self.known(revision, now)
        if (stored_at := nats_time_s(stored)) is not None:
            self._waiting.append((revision, stored_at))
            self._delays_s.append(now - stored_at)

    def rewound(self, revision: int) -> None:
        """Note that the bucket was read at this revision, which may be earlier than one that was known."""
        self._known = min(self._known, revision)
        self._waiting = deque((each for each in self._waiting if each[0] <= revision), maxlen=MOST_WAITING)

    def shown(self, revision: int, now: float) -> None:
        """Note that the device shows the bucket at this revision."""
        self._shown = revision
        while self._waiting and self._waiting[0][0] <= revision:
            self.applied.observe(now - self._waiting.popleft()[1])
        if revision >= self._known:
            self._known, self._behind_since = revision, None
