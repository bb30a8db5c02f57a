"""What `ikto wait` waits for, and what is missing of it. Pure."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from ikto_core.admin.mesh_views import InfoView, PeersView, PeerView, RecordView
from ikto_core.admin.views import ProgressView
from ikto_core.device.endpoint_policy import HANDSHAKE_RECENT_S
from ikto_core.mesh.selector import Handles, prefix_of, select
from ikto_core.values.addressing import Endpoint


class Seen(NamedTuple):
    """What an agent shows at one moment; info and peers are asked for only where they are needed."""

    progress: ProgressView
    info: Callable[[], InfoView]
    peers: Callable[[], PeersView]
    now: float  # seconds since the epoch


Condition = Callable[[Seen], str]
"""Returns what is missing, in a few words; empty: nothing is."""


def claimed(seen: Seen) -> str:
    """Require that the bucket has the node's record."""
    return "" if seen.progress.claimed else _with_reason("no subnet is claimed", seen.progress)


def ready(seen: Seen) -> str:
    """Require that the device shows the mesh."""
    return "" if seen.progress.ready else _with_reason(f"the agent is {seen.progress.state.value}", seen.progress)


def peers(wanted: int) -> Condition:
    """Require so many accepted peers."""

    def look(seen: Seen) -> str:
        count = seen.progress.accepted
        return "" if count >= wanted else _with_reason(f"{count} of {wanted} peers", seen.progress)

    return look


def revision(wanted: int) -> Condition:
    """Require that the device shows the bucket at this revision, or a later one."""

    def look(seen: Seen) -> str:
        shown = seen.progress.revision
        if shown is not None and shown >= wanted:
            return ""
        return _with_reason(f"the device shows revision {shown or 'none'}, not {wanted}", seen.progress)

    return look


def peer(which: str) -> Condition:
    """Require an accepted peer that this text names, as for `ikto why`."""

    def look(seen: Seen) -> str:
        return "" if _meant(seen.info().peers, which) else _with_reason(f"no peer {which!r}", seen.progress)

    return look


def reachable(which: str) -> Condition:
    """Require that such a peer has had a handshake lately: its side answers."""

    def look(seen: Seen) -> str:
        keys = _meant(seen.info().peers, which)
        found = [view for view in seen.peers().peers if view.public_key in keys]
        if not found:
            return _with_reason(f"no peer {which!r}", seen.progress)
        alive = any(_is_alive(view, seen.now) for view in found)
        return "" if alive else f"peer {which!r} has not answered a handshake in the last {HANDSHAKE_RECENT_S:g} s"

    return look


def addresses_to_probe(view: PeersView, info: InfoView, which: str) -> list[str]:
    """Return an address of each peer that is meant, to which a packet makes WireGuard start a handshake."""
    keys = _meant(info.peers, which)
    return [each.allowed_ips[0].partition("/")[0] for each in view.peers if each.public_key in keys]


def missing(conditions: Iterable[Condition], seen: Seen) -> str:
    """Return what is missing of all conditions; empty: nothing is."""
    return "; ".join(filter(None, (condition(seen) for condition in conditions)))


def _with_reason(what: str, progress: ProgressView) -> str:
    return f"{what} ({progress.failure})" if progress.failure else what


def _meant(records: Iterable[RecordView], which: str) -> set[str]:
    """Return the public keys of the peers that are meant."""
    return {record.public_key for record in select(which, ((_handles(each), each) for each in records))[1]}


def _handles(record: RecordView) -> Handles:
    subnet = prefix_of(record.allowed_ip)
    endpoints = record.endpoints or (str(Endpoint(record.advertise_address, record.wg_port)),)
    return Handles(record.public_key, record.name, (subnet,) if subnet else (), endpoints)


def _is_alive(view: PeerView, now: float) -> bool:
    return view.last_handshake is not None and now - view.last_handshake.timestamp() < HANDSHAKE_RECENT_S
