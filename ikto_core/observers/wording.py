"""Events as lines for people: what the log and `ikto events` say. Pure."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from ikto_core.observers.contract import (
    MeshEvent,
    MeshReady,
    PeerAccepted,
    PeerChanged,
    PeerFacts,
    PeerRemoved,
    QuarantineEnded,
    RecordQuarantined,
    Resync,
)
from ikto_core.observers.health import (
    EventsDropped,
    HealthEvent,
    InSync,
    MeshKnown,
    PeerReachable,
    PeerUnreachable,
    RemovalsPending,
    SyncFailed,
)
from ikto_core.values.text import clipped, printable

LONGEST_VALUE = 200
"""Characters; names and reasons are written by others and may be of any length."""

WARNINGS = frozenset({"peer unreachable", "record quarantined", "removals pending", "events dropped"})
"""The lines that ask for a look; each has a hint."""


class Line(NamedTuple):
    """A line of the log: what happened, in words that can be searched for, and the details."""

    event: str
    fields: Mapping[str, str | int | float]

    @property
    def level(self) -> str:
        """The log level: `info` or `warning`."""
        return "warning" if self.event in WARNINGS else "info"


def line_of(event: MeshEvent | HealthEvent, *, replaces: str = "", replaced_by: str = "") -> Line | None:
    """Return the line for an event; None if another event's line says it.

    Args:
        event: The event.
        replaces: Of an accepted peer: the public key that it had until now.
        replaced_by: Of a removed peer: the public key that it has from now on.

    """
    if replaced_by:
        return None
    found = _LINES[type(event)](event)
    if replaces and isinstance(event, PeerAccepted):
        found = Line("peer changed its key", {**_who(event.peer), "before": replaces})
    return Line(found.event, {name: _safe(value) for name, value in found.fields.items() if value != ""})


EVENTS = (
    "peer joined",
    "peer left",
    "peer moved",
    "peer changed its key",
    "peer changed its endpoints",
    "peer has another name",
    "peer is draining",
    "peer stays after all",
    "peer unreachable",
    "peer reachable again",
    "record quarantined",
    "record no longer quarantined",
    "mesh known",
    "ready",
    "in sync again",
    "removals pending",
    "no removals pending any more",
)
"""What `Line.event` may be in the log; docs/log-messages.md describes each."""


def _changed(event: PeerChanged) -> Line:
    """Return the line for the change that matters most."""
    peer, before = event.peer, event.before
    if (peer.subnets, peer.addresses) != (before.subnets, before.addresses):
        return Line("peer moved", {**_who(peer), "before": _list(before.subnets)})
    if peer.endpoints != before.endpoints:
        fields = {"endpoints": _list(peer.endpoints), "before": _list(before.endpoints)}
        return Line("peer changed its endpoints", {**_who(peer), **fields})
    if peer.draining != before.draining:
        return Line("peer is draining" if peer.draining else "peer stays after all", _who(peer))
    return Line("peer has another name", {**_who(peer), "before": before.name})


def _joined(event: PeerAccepted) -> Line:
    return Line("peer joined", {**_who(event.peer), "endpoints": _list(event.peer.endpoints)})


def _left(event: PeerRemoved) -> Line:
    return Line("peer left", _who(event.peer))


def _quarantined(event: RecordQuarantined) -> Line:
    hint = "correct the record at its node, or remove it from the bucket"
    return Line("record quarantined", {"record": event.allowed_ip or event.key, "reason": event.reason, "hint": hint})


def _quarantine_ended(event: QuarantineEnded) -> Line:
    return Line("record no longer quarantined", {"record": event.allowed_ip or event.key})


def _ready(event: MeshReady) -> Line:
    where = {"subnet": event.subnet, "address": event.address, "ifname": event.ifname}
    return Line("ready", {**where, "revision": event.revision})


def _known(event: Resync | MeshKnown) -> Line:
    return Line("mesh known", {"peers": event.peers, "quarantined": event.quarantined})


def _unreachable(event: PeerUnreachable) -> Line:
    hint = "look at that node, and at the firewalls and the route on the path"
    return Line(
        "peer unreachable",
        {"name": event.name, "public_key": event.public_key, "reason": event.reason, "hint": hint},
    )


def _reachable(event: PeerReachable) -> Line:
    return Line("peer reachable again", {"name": event.name, "public_key": event.public_key})


def _sync_failed(event: SyncFailed) -> Line:
    return Line("sync failed", {"error": event.error, "hint": event.hint})


def _in_sync(event: InSync) -> Line:
    return Line("in sync again", {"failed_s": event.failed_s})


def _removals(event: RemovalsPending) -> Line:
    if not event.peers:
        return Line("no removals pending any more", {})
    hint = "`ikto peers release` applies them now, if these nodes are really gone"
    return Line("removals pending", {"peers": event.peers, "hint": hint})


def _dropped(event: EventsDropped) -> Line:
    return Line("events dropped", {"events": event.events, "hint": "read more often; `ikto peers` shows the mesh"})


def _who(peer: PeerFacts) -> dict[str, str | int | float]:
    return {"name": peer.name, "subnets": _list(peer.subnets), "public_key": peer.public_key}


def _list(items: Sequence[str]) -> str:
    return ", ".join(items)


def _safe(value: str | float) -> str | int | float:
    return clipped(printable(value), LONGEST_VALUE) if isinstance(value, str) else value


_LINES: Mapping[type, Callable[[Any], Line]] = {
    Resync: _known,
    PeerAccepted: _joined,
    PeerChanged: _changed,
    PeerRemoved: _left,
    RecordQuarantined: _quarantined,
    QuarantineEnded: _quarantine_ended,
    MeshReady: _ready,
    MeshKnown: _known,
    PeerUnreachable: _unreachable,
    PeerReachable: _reachable,
    SyncFailed: _sync_failed,
    InSync: _in_sync,
    RemovalsPending: _removals,
    EventsDropped: _dropped,
}
