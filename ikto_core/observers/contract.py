"""The contract of an observer: what it is told of the mesh, and when."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

import msgspec


class PeerFacts(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What there is to know of an accepted peer. One public key is one peer, however many subnets it has."""

    public_key: str  # base64, as `wg` shows it: what to know a peer by
    name: str  # in its latest record; others chose it: any text, of any length, escape it before you print or use it
    subnets: tuple[str, ...]  # ADDRESS/LENGTH, ascending; each is this peer's alone
    addresses: tuple[str, ...]  # of its device, one in each subnet, the latest first
    endpoints: tuple[str, ...]  # HOST:PORT where it may be reached, best first
    revision: int  # of the bucket, when it got the latest record


class Resync(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="resync"):
    """What was told before is void: what follows is everything that there is. Always the first event."""

    peers: int  # so many accepted ones follow
    quarantined: int  # and so many quarantined records


class PeerAccepted(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="accepted"):
    """A peer is in the mesh; the device shows it a moment later."""

    peer: PeerFacts


class PeerChanged(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="changed"):
    """A peer has another name, other subnets, addresses or endpoints; a record that says the same is no change."""

    peer: PeerFacts
    before: PeerFacts  # as it was told last


class PeerRemoved(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="removed"):
    """A peer is in the mesh no more. One that takes another key is removed, and accepted with that one."""

    peer: PeerFacts  # as it was told last


class RecordQuarantined(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="quarantined"):
    """A record of the bucket is not accepted; or it is not for another reason than before."""

    key: str  # in the bucket; others chose it
    allowed_ip: str | None  # the subnet that the key stands for; None: it stands for none
    revision: int
    reason: str  # holds what others wrote: escape it


class QuarantineEnded(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="quarantine-ended"):
    """A record that was quarantined is gone, or accepted: then its peer is told of, too."""

    key: str
    allowed_ip: str | None  # as it was told


class MeshReady(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="ready"):
    """Our device shows the mesh, for the first time; or, if our subnet is another one now, again."""

    subnet: str  # ours, ADDRESS/LENGTH
    address: str  # of our device, in that subnet
    ifname: str  # of our device
    revision: int  # of the bucket, that the device shows


MeshEvent = Resync | PeerAccepted | PeerChanged | PeerRemoved | RecordQuarantined | QuarantineEnded | MeshReady
"""Whatever may be told. `msgspec.json.encode` makes JSON of it, whose member `event` says which one it is."""


class Observer(Protocol):
    """Be told of the mesh. What this does, and how long it takes, concerns no other observer, nor the mesh.

    O1. The first call begins with `Resync` and holds everything there is; the calls after it hold what is new.
    O2. After each call, what was told so far makes the mesh as it was at one moment: replayed in order it leaves
        exactly the peers that were accepted then, and the records that were quarantined.
    O3. What happens during a call is told with the next one, the last state only: at most one event a peer and one a
        record wait, however slow the observer; a peer that came and went meanwhile is never told of.
    O4. One call at a time, none without an event. In a call what ended comes first, then what changed, then what is
        new: a subnet has no second owner on its way from a peer that goes. `MeshReady` comes last.
    O5. A call that raises, or a context that can't be entered, is logged with the observer's name. It is left, and
        after a pause, longer each time, entered anew: then O1 holds again.
    O6. Nothing is told before something is known for certain: the mesh as the bucket has it, or as it was kept. That
        NATS is out of reach changes no peer, and is not told.
    O7. When the agent stops, a call under way is cancelled and the context left; what waits then is never told.
    """

    async def see(self, events: Sequence["MeshEvent"]) -> None:
        """Take what happened since the last call. May take as long as it likes, and be cancelled."""
        ...


class ObserverContext(msgspec.Struct, frozen=True, kw_only=True):
    """What an observer may know of the agent that opens it."""

    argument: str  # what follows `=` in the configuration, as in "exec=/usr/local/bin/hook"; empty: nothing
    ifname: str  # our device
    mesh_cidr: str  # the whole mesh, ADDRESS/LENGTH
    name: str  # what peers see us as
    state_dir: Path  # a directory of the agent's own, for what must outlive it
    nats_hosts: tuple[str, ...] = ()  # by what names or addresses NATS is reached, in lower case


class ObserverPlugin(msgspec.Struct, frozen=True, kw_only=True):
    """An observer on offer: what a plugin's `ikto_register_observers` returns.

    `open` may raise IktoError for what can't be used, such as its argument; like any error it is logged, and `open` is
    called again later.
    """

    name: str  # as in `observers` of the configuration: lower case letters, digits and '-'
    summary: str  # one line
    open: Callable[[ObserverContext], AbstractAsyncContextManager[Observer]]
