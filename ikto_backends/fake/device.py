"""One WireGuard device as the Linux kernel keeps it, with what a naive model gets wrong."""

from collections.abc import Iterator

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
)

_LIMITS = {"listen_port": 0xFFFF, "fwmark": 0xFFFF_FFFF, "mtu": 0x7FFF_FFFF}


class FakeDevice:
    """A device that takes writes as the kernel does (drivers/net/wireguard/netlink.c).

    An allowed IP belongs to the peer that got it last. Host bits are masked. A private key is clamped, and an all
    zero one is none. A peer with the device's own public key is ignored, or dropped when the key is set. IPv6
    addresses go when the link goes down.
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
                self._put(peer)

    @property
    def state(self) -> DeviceState:
        """The device as it is now; later writes don't change what was returned."""
        return replace(self.link, peers=dict(self._peers))

    def check(self, patch: DevicePatch) -> None:
        """Refuse what a netlink message can't say, with BackendError; nothing is written."""
        for member, limit in _LIMITS.items():
            value = getattr(patch, member)
            if value is not None and not 0 <= value <= limit:
                raise BackendError(f"{member} {value} is not 0 to {limit}")
        for peer in patch.peers:
            if not 0 <= (peer.persistent_keepalive or 0) <= 0xFFFF:
                raise BackendError(f"persistent_keepalive {peer.persistent_keepalive} is not 0 to {0xFFFF}")

    def write(self, patch: DevicePatch) -> Iterator[None]:
        """Carry out a patch, pausing after each elementary write: who stops in between leaves a part applied."""
        self._set_link(patch)
        yield
        for peer in patch.peers:
            self._set_peer(peer)
            yield
        for public_key in patch.remove_peers:
            self._drop(public_key)
            yield

    def roam(self, public_key: PublicKey, endpoint: Endpoint) -> None:
        """Learn a peer's endpoint from an authenticated packet; KeyError if there is no such peer."""
        self._peers[public_key] = replace(self._peers[public_key], endpoint=endpoint)

    def ask(self, public_key: PublicKey, tx_bytes: int) -> None:
        """Count what was sent to a peer and is not answered; KeyError if there is no such peer."""
        peer = self._peers[public_key]
        self._peers[public_key] = replace(peer, tx_bytes=peer.tx_bytes + tx_bytes)

    def handshake(self, public_key: PublicKey, at: float, *, rx_bytes: int, tx_bytes: int) -> None:
        """Complete a handshake with a peer, and count its traffic; KeyError if there is no such peer."""
        peer = self._peers[public_key]
        self._peers[public_key] = replace(
            peer, last_handshake=at, rx_bytes=peer.rx_bytes + rx_bytes, tx_bytes=peer.tx_bytes + tx_bytes
        )

    def _set_link(self, patch: DevicePatch) -> None:
        link = self.link
        if patch.private_key is not None:
            link = replace(link, private_key=patch.private_key.clamped() if any(patch.private_key) else None)
            self._own_key = link.private_key.public() if link.private_key else None
            self._drop(self._own_key)
        addresses = (link.addresses | patch.add_addresses) - patch.remove_addresses
        self.link = replace(
            link,
            listen_port=_either(patch.listen_port, link.listen_port),
            fwmark=_either(patch.fwmark, link.fwmark),
            mtu=_either(patch.mtu, link.mtu),
            up=_either(patch.up, link.up),
            addresses=addresses,
        )

    def _set_peer(self, patch: PeerPatch) -> None:
        public_key = patch.public_key
        if public_key == self._own_key or not (patch.create or public_key in self._peers):
            return
        if patch.allowed_ips is not None:
            patch = replace(patch, allowed_ips=frozenset(Prefix.of(*prefix) for prefix in patch.allowed_ips))
        self._put(patched(self._peers.get(public_key), patch))

    def _put(self, peer: PeerState) -> None:
        """Store a peer, and give it its allowed IPs, whoever has them."""
        before = self._peers.get(peer.public_key)
        for prefix in (before.allowed_ips if before else frozenset()) - peer.allowed_ips:
            del self._owners[prefix]
        for prefix in peer.allowed_ips:
            loser = self._owners.get(prefix, peer.public_key)
            if loser != peer.public_key:
                left = self._peers[loser].allowed_ips - {prefix}
                self._peers[loser] = replace(self._peers[loser], allowed_ips=left)
            self._owners[prefix] = peer.public_key
        self._peers[peer.public_key] = peer

    def _drop(self, public_key: PublicKey | None) -> None:
        peer = self._peers.pop(public_key, None) if public_key else None
        for prefix in peer.allowed_ips if peer else ():
            del self._owners[prefix]


def _either(wanted: int | None, present: int) -> int:
    return present if wanted is None else wanted
