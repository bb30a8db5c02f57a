"""Kicks new peers whose first handshakes collide: removes them and adds them again (see `first_contact`)."""

import time
from collections.abc import Collection, Iterable, Mapping, Set
from contextlib import suppress
from typing import NamedTuple

from msgspec.structs import replace

from ikto_core.device.backend import Backend, read_peers
from ikto_core.device.first_contact import FirstContact
from ikto_core.device.model import DevicePatch, PeerPatch, PeerState
from ikto_core.device.slices import slices
from ikto_core.errors import BackendError
from ikto_core.mesh.peer_index import MeshPeer
from ikto_core.values.keys import PublicKey


class Kicker:
    """Watches the peers that were added to one device until they have a session.

    Args:
        backend: What drives the device.
        ifname: The device.
        own_key: This node's public key: of two nodes the one with the lower key kicks first.

    """

    def __init__(self, backend: Backend, ifname: str, own_key: PublicKey | None = None) -> None:
        self._backend = backend
        self._ifname = ifname
        self._contacts = FirstContact(own_key)
        self.draining: set[PublicKey] = set()  # peers that are about to leave: they are neither kicked nor contacted

    @property
    def next_check_at(self) -> float:
        """When `check` is due, by the monotonic clock; infinity: no peer is watched."""
        return self._contacts.look_at

    def note_draining(self, peer: MeshPeer) -> None:
        """Note whether a peer is about to leave."""
        if peer.draining:
            self.draining.add(peer.public_key)
            self._contacts.removed(peer.public_key)
        else:
            self.draining.discard(peer.public_key)

    def kicks_of(self, key: PublicKey) -> int:
        """Return how often a watched peer was kicked."""
        return self._contacts.kicks_of(key)

    def added(self, peers: Iterable[PublicKey]) -> None:
        """Watch peers that were just added to the device."""
        self._contacts.added((key for key in peers if key not in self.draining), time.monotonic())

    def removed(self, key: PublicKey) -> None:
        """Forget a peer that was removed."""
        self._contacts.removed(key)
        self.draining.discard(key)

    def seen(self, shown: Mapping[PublicKey, PeerState]) -> None:
        """Watch peers, of a whole device, that were sent an initiation and have no session."""
        watched = {key: peer for key, peer in shown.items() if key not in self.draining} if self.draining else shown
        self._contacts.seen(watched, time.monotonic())

    async def check(self) -> "Checked":
        """Read the watched peers that are due, and kick those without an answer.

        Raises BackendError; a kicked peer may be missing on the device then.
        """
        began = time.monotonic()
        if began < self.next_check_at:
            return Checked({}, {}, frozenset())
        due = self._contacts.due(began)  # may be empty: a peer may have left
        shown = await read_peers(self._backend, self._ifname, due) if due else {}
        now = time.monotonic()
        kicked: dict[PublicKey, PeerState] = {}
        async for part in slices(due):
            kicked |= {key: shown[key] for key in self._contacts.looked(part, shown, now)}
        self._contacts.rest(now, took_s=now - began)
        if kicked:
            await self._kick(kicked.values())
        new = {key: replace(peer, rx_bytes=0, tx_bytes=0) for key, peer in kicked.items()}
        return Checked(shown, new, frozenset(filter(self._contacts.must_probe, kicked)))

    async def _kick(self, peers: Collection[PeerState]) -> None:
        """Remove peers and add them again, also if this is cancelled or fails in between."""
        addition = DevicePatch(peers=tuple(map(_addition, peers)))
        try:
            await self._backend.apply(self._ifname, DevicePatch(remove_peers=frozenset(p.public_key for p in peers)))
            await self._backend.apply(self._ifname, addition)
        except BaseException:
            with suppress(BackendError):  # the first error, or the cancellation, is the one to report
                await self._backend.apply(self._ifname, addition)
            raise


class Checked(NamedTuple):
    """What a check found and did."""

    shown: Mapping[PublicKey, PeerState]  # the peers that were read
    kicked: Mapping[PublicKey, PeerState]  # as they are on the device now
    to_contact: Set[PublicKey]  # those of them that the agent is to send to


def _addition(peer: PeerState) -> PeerPatch:
    return PeerPatch(
        public_key=peer.public_key,
        create=True,
        allowed_ips=peer.allowed_ips,
        endpoint=peer.endpoint,
        persistent_keepalive=peer.persistent_keepalive,
        preshared_key=peer.preshared_key,
    )
