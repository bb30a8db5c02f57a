"""Events about this node's tunnels and its device, which observers do not receive. Pure."""

from collections.abc import Container, Iterator, Mapping
from typing import NamedTuple

import msgspec


class MeshKnown(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="known"):
    """The mesh is known for the first time since the start: from the bucket, or from the snapshot of an earlier run."""

    peers: int  # accepted peers
    quarantined: int  # records that are not accepted


class PeerUnreachable(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="unreachable"):
    """A peer does not answer, or there is no endpoint to send to."""

    public_key: str
    name: str  # from its latest record; untrusted text: escape it
    reason: str  # contains untrusted text: escape it


class PeerReachable(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="reachable"):
    """A peer that was unreachable was heard from again."""

    public_key: str
    name: str  # as in `PeerUnreachable`


class SyncFailed(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="sync-failed"):
    """The device can't be brought in sync with the mesh. It is tried again; only another error is another event."""

    error: str
    hint: str  # what to do about it; empty: nothing is known


class InSync(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="in-sync"):
    """The device is in sync again."""

    failed_s: float  # how long it was not, in seconds


class RemovalsPending(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="removals-pending"):
    """The number of peers whose removal waits to be applied has changed."""

    peers: int  # 0: none waits any more


class EventsDropped(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="dropped"):
    """Events at this place of the stream are not kept any more: the reader was too slow, or asked too late."""

    events: int


HealthEvent = MeshKnown | PeerUnreachable | PeerReachable | SyncFailed | InSync | RemovalsPending | EventsDropped
"""Any event of this node. `msgspec.json.encode` converts it to JSON; the JSON member `event` names its type."""


class Unreachable(NamedTuple):
    """A peer that can't be reached at present."""

    name: str
    reason: str


class Health(NamedTuple):
    """What the device shows after a pass of the reconciler."""

    failure: str = ""  # why the pass failed; empty: it did not
    hint: str = ""
    pending: int = 0  # removals
    unreachable: Mapping[str, Unreachable] = {}  # by public key


class HealthDiff:
    """The health that was last reported."""

    def __init__(self) -> None:
        self._before = Health()
        self._failed_at = 0.0

    @property
    def unreachable(self) -> Mapping[str, Unreachable]:
        """The peers that were last reported as unreachable, by public key."""
        return self._before.unreachable

    def take(self, health: Health, peers: Container[str], now: float) -> tuple[HealthEvent, ...]:
        """Return what has changed.

        Args:
            health: The health now.
            peers: The public keys in the mesh: a peer that has left is not reachable again.
            now: Seconds of a clock that never goes back.

        """
        before, self._before = self._before, health
        return (*self._sync(before, health, now), *_pending(before, health), *_peers(before, health, peers))

    def _sync(self, before: Health, health: Health, now: float) -> Iterator[HealthEvent]:
        if health.failure and not before.failure:
            self._failed_at = now
        if health.failure and health.failure != before.failure:
            yield SyncFailed(error=health.failure, hint=health.hint)
        elif before.failure and not health.failure:
            yield InSync(failed_s=round(now - self._failed_at, 1))


def _pending(before: Health, health: Health) -> Iterator[HealthEvent]:
    if health.pending != before.pending:
        yield RemovalsPending(peers=health.pending)


def _peers(before: Health, health: Health, peers: Container[str]) -> Iterator[HealthEvent]:
    for key in sorted(before.unreachable.keys() - health.unreachable.keys()):
        if key in peers:
            yield PeerReachable(public_key=key, name=before.unreachable[key].name)
    for key in sorted(health.unreachable.keys() - before.unreachable.keys()):
        name, reason = health.unreachable[key]
        yield PeerUnreachable(public_key=key, name=name, reason=reason)
