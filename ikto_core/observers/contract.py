"""The observer contract: events about the mesh, and when an observer receives them."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol

import msgspec


class PeerFacts(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An accepted peer. One public key is one peer, even if it has several subnets."""

    public_key: str  # base64, as `wg` shows it; identifies the peer
    name: str  # from its latest record; untrusted text of any length: escape it before printing or using it
    subnets: tuple[str, ...]  # ADDRESS/LENGTH, ascending; no other peer has any of them
    addresses: tuple[str, ...]  # its device's addresses, one in each subnet, the latest first
    endpoints: tuple[str, ...]  # HOST:PORT, candidates, best first
    revision: int  # the bucket's revision of its latest record
    draining: bool = False  # it is about to leave the mesh: send new work elsewhere


class Resync(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="resync"):
    """Discard the state from earlier events: the complete state follows. Always the first event."""

    peers: int  # the number of accepted peers that follow
    quarantined: int  # the number of quarantined records that follow


class PeerAccepted(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="accepted"):
    """A peer is accepted. The WireGuard device gets it a moment later."""

    peer: PeerFacts


class PeerChanged(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="changed"):
    """A peer's name, subnets, addresses or endpoints changed, or it drains. A new revision alone is not a change."""

    peer: PeerFacts
    before: PeerFacts  # as the observer last received it


class PeerRemoved(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="removed"):
    """A peer left the mesh. A peer that changes its key is removed, and accepted with the new key."""

    peer: PeerFacts  # as the observer last received it


class RecordQuarantined(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="quarantined"):
    """A record in the bucket is not accepted, or the reason for that changed."""

    key: str  # in the bucket; untrusted text: escape it
    allowed_ip: str | None  # the subnet that the key encodes; None: it encodes none
    revision: int
    reason: str  # contains untrusted text: escape it


class QuarantineEnded(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="quarantine-ended"):
    """A quarantined record was deleted or accepted. If accepted, an event about its peer follows in the same call."""

    key: str
    allowed_ip: str | None  # as in `RecordQuarantined`


class MeshReady(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="ready"):
    """This node's device shows the mesh, for the first time since the start or since the node's subnet changed."""

    subnet: str  # this node's, ADDRESS/LENGTH
    address: str  # this node's device address in that subnet
    ifname: str  # this node's device
    revision: int  # the bucket's revision that the device shows


MeshEvent = Resync | PeerAccepted | PeerChanged | PeerRemoved | RecordQuarantined | QuarantineEnded | MeshReady
"""Any event. `msgspec.json.encode` converts it to JSON; the JSON member `event` names its type."""


class Observer(Protocol):
    """Receives mesh events. A slow or failing observer affects neither other observers nor the mesh.

    O1. The first call begins with `Resync` and holds the complete state; later calls hold what changed since.
    O2. After each call, the events so far describe the mesh as it was at one moment: replayed in order, they yield
        exactly the peers that were accepted and the records that were quarantined at that moment.
    O3. Changes during a call are delivered with the next call, as the latest state only: at most one event per peer
        and one per record wait, however slow the observer is. A peer that came and went meanwhile is not reported.
    O4. Calls do not overlap, and no call is empty. Within a call, removals come first, then changes, then additions,
        so a subnet that moves between peers never has two owners. `MeshReady` comes last.
    O5. If a call raises, or the context can't be entered, Ikto logs the error with the observer's name, leaves the
        context, and enters it again after a pause that grows with each failure. Then O1 applies again.
    O6. There is no call before the mesh is known: from the bucket, or from the snapshot of an earlier run. Losing
        NATS changes no peer, and causes no event.
    O7. When the agent stops, a running call is cancelled and the context left. Events that wait are not delivered.
    """

    async def see(self, events: Sequence["MeshEvent"]) -> None:
        """Handle the events since the last call. There is no time limit. The call may be cancelled."""
        ...


class ObserverContext(msgspec.Struct, frozen=True, kw_only=True):
    """Information about the agent that opens an observer."""

    argument: str  # the text after `=` in the setting, as in "exec=/usr/local/bin/hook"; may be empty
    ifname: str  # this node's WireGuard device
    mesh_cidr: str  # the whole mesh, ADDRESS/LENGTH
    name: str  # this node's name, as its peers see it
    state_dir: Path  # the agent's own directory, for files that must survive a restart
    nats_hosts: tuple[str, ...] = ()  # names or addresses of the NATS servers, in lower case
    settings: Any = None  # what `settings` of the plugin's record describes, from the configuration; None: it has none


class ObserverPlugin(msgspec.Struct, frozen=True, kw_only=True):
    """An observer that a plugin provides: what its `ikto_register_observers` returns.

    `open` may raise IktoError, for example for a bad argument. Like any other error it is logged, and `open` is called
    again later.
    """

    name: str  # as in the setting `observers`: lower case letters, digits and '-'
    summary: str  # one line
    open: Callable[[ObserverContext], AbstractAsyncContextManager[Observer]]
    settings: type[msgspec.Struct] | None = None  # describes the settings of this plugin; None: it takes none
