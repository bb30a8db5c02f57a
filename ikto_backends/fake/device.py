"""A model of one WireGuard device that follows the Linux kernel in the details that simple models get wrong."""

from collections.abc import Iterable, Iterator, Mapping

from msgspec.structs import replace

from ikto_core.plugins import (
    BackendError,
    DevicePatch,
    DeviceState,
    Endpoint,
    PeerPatch,
    PeerState,
    Prefix,
    PublicKey,
    patched,
    patched_device,
)

_LIMITS = {"listen_port": 0xFFFF, "fwmark": 0xFFFF_FFFF, "mtu": 0x7FFF_FFFF}


class FakeDevice:
    """A device that applies writes as the kernel does (drivers/net/wireguard/netlink.c).

    An allowed IP belongs to the peer that got it last. Host bits are masked. A private key is clamped; an all-zero
    one removes the key. A peer with the device's own public key is ignored, or removed when that key is set.
    """

    def __init__(self, state: DeviceState | None = None) -> None:
        self.link = DeviceState()  # everything but the peers
        self._own_key: PublicKey | None = None
        self._peers: dict[PublicKey, PeerState] = {}
        self._owners: dict[Prefix, PublicKey] = {}
        if state:
            self._set_link(DevicePatch(private_key=state.private_key))
            self.link = replace(state, private_key=self.link.private_key, peers={})
            for peer in state.peers.values():
                self._store_peer(peer)

    @property
    def state(self) -> DeviceState:
        """A snapshot of the device; later writes don't change it."""
        return replace(self.link, peers=dict(self._peers))

    def peers(self, keys: Iterable[PublicKey]) -> Mapping[PublicKey, PeerState]:
        """Return those of these peers that the device has, without a copy of the others."""
        return {key: self._peers[key] for key in keys if key in self._peers}

    def check(self, patch: DevicePatch) -> None:
        """Raise BackendError if a number does not fit in a netlink message; nothing is written then."""
        for name, limit in _LIMITS.items():
            value = getattr(patch, name)
            if value is not None and not 0 <= value <= limit:
                raise BackendError(f"{name} {value} is out of range: 0 to {limit}")
        for peer in patch.peers:
            if not 0 <= (peer.persistent_keepalive or 0) <= 0xFFFF:
                raise BackendError(f"persistent_keepalive {peer.persistent_keepalive} is out of range: 0 to {0xFFFF}")

    def write(self, patch: DevicePatch) -> Iterator[None]:
        """Apply a patch, and yield after each elementary write. A caller that stops early leaves the rest unapplied."""
        self._set_link(patch)
        yield
        for peer in patch.peers:
            self._set_peer(peer)
            yield
        for public_key in patch.remove_peers:
            self._remove_peer(public_key)
            yield

    def roam(self, public_key: PublicKey, endpoint: Endpoint) -> None:
        """Set a peer's endpoint as an authenticated packet does; KeyError if there is no such peer."""
        self._peers[public_key] = replace(self._peers[public_key], endpoint=endpoint)

    def send_unanswered(self, public_key: PublicKey, tx_bytes: int) -> None:
        """Count bytes sent to a peer that does not answer; KeyError if there is no such peer."""
        peer = self._peers[public_key]
        self._peers[public_key] = replace(peer, tx_bytes=peer.tx_bytes + tx_bytes)

    def handshake(self, public_key: PublicKey, at: float, *, rx_bytes: int, tx_bytes: int) -> None:
        """Complete a handshake with a peer, and count its traffic; KeyError if there is no such peer."""
        peer = self._peers[public_key]
        self._peers[public_key] = replace(
            peer, last_handshake=at, rx_bytes=peer.rx_bytes + rx_bytes, tx_bytes=peer.tx_bytes + tx_bytes
        )

    def _set_link(self, patch: DevicePatch) -> None:
        self.link = patched_device(self.link, replace(patch, peers=(), remove_peers=frozenset()))
        if patch.private_key is not None:
            self._own_key = self.link.private_key.public() if self.link.private_key else None
            self._remove_peer(self._own_key)

    def _set_peer(self, patch: PeerPatch) -> None:
        public_key = patch.public_key
        if public_key == self._own_key or not (patch.create or public_key in self._peers):
            return
        if patch.allowed_ips is not None:
            masked = frozenset(Prefix.of(*prefix) for prefix in patch.allowed_ips)
            patch = patch if masked == patch.allowed_ips else replace(patch, allowed_ips=masked)
        self._store_peer(patched(self._peers.get(public_key), patch))

    def _store_peer(self, peer: PeerState) -> None:
        """Store a peer, and take its allowed IPs away from any other peer that has them."""
        before = self._peers.get(peer.public_key)
        for prefix in (before.allowed_ips if before else frozenset()) - peer.allowed_ips:
            del self._owners[prefix]
        for prefix in peer.allowed_ips:
            old_owner = self._owners.get(prefix, peer.public_key)
            if old_owner != peer.public_key:
                remaining = self._peers[old_owner].allowed_ips - {prefix}
                self._peers[old_owner] = replace(self._peers[old_owner], allowed_ips=remaining)
            self._owners[prefix] = peer.public_key
        self._peers[peer.public_key] = peer

    def _remove_peer(self, public_key: PublicKey | None) -> None:
        peer = self._peers.pop(public_key, None) if public_key else None
        for prefix in peer.allowed_ips if peer else ():
            del self._owners[prefix]
