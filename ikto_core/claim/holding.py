"""Whether this node holds its subnet against another node's record in the place of its own. No I/O.

Only an empty KV key can be claimed. So who finds another record where its own was, in the same history of the bucket,
was robbed: it writes its record again, and its peers, who have pinned it (mesh/pins.py), do not notice. It yields if
the bucket has lost its record, if it was away for so long that the others have given its subnet up, and, for as long
as they have not, if another node had the subnet before.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from ikto_core.claim.policy import Hold
from ikto_core.mesh.pins import HOLD_S
from ikto_core.mesh.view import Entry

LONGEST_ABSENCE_S = HOLD_S - 60.0
"""How long a node may be away from the bucket and still hold its subnet: a minute less than its peers hold it for the
node, because a lost connection is noticed late."""


class History(NamedTuple):
    """A history of the bucket: revisions of different ones can't be compared."""

    stream: str = ""  # when the bucket's stream was created, as the leader reports it
    number: int = 0  # how often it turned out to be another one since the agent's start


class Holding:
    """The KV key that this node holds, and since when.

    Args:
        clock: Seconds; never goes back.

    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._key = ""
        self._revision = 0  # of the own record
        self._history = History()
        self._had_owner = False  # when it was claimed, another node had had it
        self._claimed_at = 0.0
        self._seen_at: float | None = None  # when the followed bucket last had the record; None: now

    def claimed(self, key: str, revision: int, history: History, *, had_owner: bool) -> None:
        """Note that the leader has the own record at this revision.

        `had_owner`: this node has just claimed the KV key, and another one had it before.
        """
        if key != self._key:
            self._had_owner, self._claimed_at = had_owner, self._clock()
        self._key, self._revision, self._history = key, revision, history

    def has(self, key: str) -> bool:
        """Return whether this is the KV key that is held."""
        return key == self._key

    def released(self) -> None:
        """Note that another node has the subnet."""
        self._key = ""

    def restore(
        self, key: str, revision: int, stream: str, seen_s_ago: float, yields_since_s_ago: float | None
    ) -> None:
        """Begin with what an earlier run held; `revision` is that of the bucket then."""
        self._had_owner = yields_since_s_ago is not None
        self._claimed_at = self._clock() - (yields_since_s_ago or 0.0)
        self._key, self._revision, self._history = key, revision, History(stream)
        self._seen_at = self._clock() - seen_s_ago

    @contextmanager
    def session(self) -> Iterator[None]:
        """Within this context the bucket is followed, and it is up to date."""
        if self._is_away_too_long():
            self.released()
        self._seen_at = None
        try:
            yield
        finally:
            self._seen_at = self._clock()

    def seen_s_ago(self) -> float | None:
        """Return how long ago the followed bucket had the record, in seconds; None: nothing is held."""
        if not self._key:
            return None
        return 0.0 if self._seen_at is None else self._clock() - self._seen_at

    def yields_since_s_ago(self) -> float | None:
        """Return how long ago a KV key was claimed that another node had had, in seconds; None: nobody had."""
        return self._clock() - self._claimed_at if self._key and self._had_owner else None

    def is_older_than(self, entry: Entry, history: History) -> bool:
        """Return whether the own record is older than an entry, or of another history."""
        return history != self._history or entry.revision > self._revision

    def hold(self, key: str, entry: Entry, history: History, *, shown: bool) -> Hold:
        """Return whether the KV key is held against another node's entry.

        Args:
            key: The KV key.
            entry: What the leader or the followed bucket has there.
            history: The one of the followed bucket.
            shown: Whether the followed bucket has this entry.

        """
        lost = history != self._history or entry.revision <= self._revision
        yields = self._had_owner and self._clock() - self._claimed_at < HOLD_S
        if key != self._key or lost or yields or self._is_away_too_long():
            return Hold.NONE
        return Hold.FIRM if shown else Hold.DOUBTED

    def _is_away_too_long(self) -> bool:
        return self._seen_at is not None and self._clock() - self._seen_at > LONGEST_ABSENCE_S
