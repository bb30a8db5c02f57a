"""Kicks new peers whose first handshakes collide: removes them and adds them again (see `first_contact`)."""

import time
from collections.abc import Iterable, Mapping
from math import inf

from msgspec.structs import replace

from ikto_core.device.backend import Backend, read_peers
from ikto_core.device.first_contact import FirstContact
from ikto_core.device.model import DevicePatch, PeerPatch, PeerState
from ikto_core.values.keys import PublicKey

REST_FACTOR = 20.0
"""The pause after a check, as a multiple of the time that it took: checks take a few percent of a processor at most."""


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

    @property
    def next_check_at(self) -> float:
        """When `check` is due, by the monotonic clock; infinity: no peer is watched."""
        return self._contacts.look_at

    def added(self, peers: Iterable[PublicKey]) -> None:
        """Watch peers that were just added to the device."""
        self._contacts.added(peers, time.monotonic())

    def removed(self, key: PublicKey) -> None:
        """Forget a peer that was removed."""
        self._contacts.removed(key)

    def seen(self, shown: Mapping[PublicKey, PeerState]) -> None:
        """Watch the peers of a whole device that were sent an initiation and have no session."""
        self._contacts.seen(shown, time.monotonic())

    async def check(self) -> Mapping[PublicKey, PeerState]:
        """Read the watched peers and kick those that are due; return the kicked ones as they are on the device now.

        Raises BackendError; a kicked peer may be missing on the device then.
        """
        began = time.monotonic()
        if began < self.next_check_at or self.next_check_at == inf:
            return {}
        shown = await read_peers(self._backend, self._ifname, frozenset(self._contacts.peers))
        now = time.monotonic()
        due = self._contacts.looked(shown, now, rest_s=REST_FACTOR * (now - began))
        if due:
            await self._backend.apply(self._ifname, DevicePatch(remove_peers=frozenset(due)))
            await self._backend.apply(self._ifname, DevicePatch(peers=tuple(_addition(shown[key]) for key in due)))
        return {key: replace(shown[key], rx_bytes=0, tx_bytes=0) for key in due}


def _addition(peer: PeerState) -> PeerPatch:
    return PeerPatch(
        public_key=peer.public_key,
        create=True,
        allowed_ips=peer.allowed_ips,
        endpoint=peer.endpoint,
        persistent_keepalive=peer.persistent_keepalive,
        preshared_key=peer.preshared_key,
    )
