"""Checks of the peers, as the agent sees them: unreachable, never heard, one-way; quarantined records; pending ones."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from ikto_core.admin.device_views import DevicePeerView
from ikto_core.admin.mesh_views import QuarantinedView, UnreachableView
from ikto_core.admin.views import StatusView
from ikto_core.diagnosis.checks import Category, Check, skipped, warning
from ikto_core.diagnosis.subject import Subject
from ikto_core.plugins.check_contract import Finding

T = TypeVar("T")

MOST_NAMED = 5

WHY_FIX = "ask `ikto why PEER` on this node, and on the peer"


async def _reachable(subject: Subject) -> Iterable[Finding]:
    return reachable_findings(subject.status) if subject.status else [skipped("no agent answers")]


def reachable_findings(status: StatusView) -> list[Finding]:
    """Return the peers without a usable endpoint, those that never answered, and those that are heard one way only."""
    peers = status.device.peers if status.device else ()
    silent = [peer for peer in peers if peer.last_handshake is None and peer.tx_bytes]
    stalled = [peer for peer in peers if peer.stalled]
    return [
        *_named(
            status.unreachable_endpoints,
            _unreachable,
            "check the peer's advertise_address and endpoints; it is reached once it sends first",
        ),
        *_named(silent, lambda peer: f"{_name(peer)} never answered at {peer.endpoint}", WHY_FIX),
        *_named(
            stalled,
            lambda peer: f"{_name(peer)} is heard one way only: handshakes arrive, and data does not",
            "delete the device (`ip link delete`): the agent makes it again; on some kernels only that helps",
        ),
    ]


def _unreachable(peer: UnreachableView) -> str:
    return f"{peer.name} has no usable endpoint: {peer.reason}"


def _name(peer: DevicePeerView) -> str:
    return peer.name or peer.public_key


async def _records(subject: Subject) -> Iterable[Finding]:
    return record_findings(subject.status) if subject.status else [skipped("no agent answers")]


def record_findings(status: StatusView) -> list[Finding]:
    """Return the records that are not accepted."""
    return _named(status.quarantined, _quarantined, "correct or delete the record; docs/claim.md has the reasons")


def _quarantined(record: QuarantinedView) -> str:
    return f"the record of {record.allowed_ip or record.key} is quarantined: {record.reason}"


async def _pending(subject: Subject) -> Iterable[Finding]:
    return pending_findings(subject.status) if subject.status else [skipped("no agent answers")]


def pending_findings(status: StatusView) -> list[Finding]:
    """Return what waits because too much changed at once."""
    release = "if this is meant, apply it now: ikto peers release"
    waiting = (
        (len(status.pending_removals), "removals of peers wait, since many records went at once", release),
        (len(status.pending_key_changes), "records wait, since many got other keys at once", release),
        (len(status.frequent_records), "records change too often", "find out who writes them"),
    )
    return [warning(f"{number} {what}", fix) for number, what, fix in waiting if number]


def _named(items: Sequence[T], text: Callable[[T], str], fix: str) -> list[Finding]:
    """Return a finding for each of the first items, and one with the number of the others."""
    found = [warning(text(item), fix) for item in items[:MOST_NAMED]]
    more = len(items) - MOST_NAMED
    return [*found, warning(f"…and {more} more of these", "`ikto status --json` has all")] if more > 0 else found


PEER_CHECKS = tuple(
    Check(category=Category.PEERS, name=name, summary=summary, run=run, before_start=False)
    for name, summary, run in (
        ("reachable", "every peer has an endpoint, and none is silent", _reachable),
        ("records", "every record is accepted", _records),
        ("pending", "nothing waits", _pending),
    )
)
