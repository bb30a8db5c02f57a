"""Backends that write or read a value wrongly."""

from ipaddress import ip_interface
from typing import ClassVar

from msgspec import structs
from msgspec.structs import replace

from ikto_backends.fake import FakeBackend
from ikto_core.device.model import DevicePatch, DeviceState, PeerState
from ikto_core.values.addressing import Endpoint
from ikto_core.values.keys import PublicKey


class ReadsADict(FakeBackend):
    async def read(self, ifname: str) -> DeviceState | None:
        state = await super().read(ifname)
        return state and structs.asdict(state)  # type: ignore[return-value]  # the intended mistake


class SharesItsPeers(FakeBackend):
    """Returns the same mapping at each read, and changes it later."""

    peers: ClassVar[dict[PublicKey, PeerState]] = {}

    async def read(self, ifname: str) -> DeviceState | None:
        state = await super().read(ifname)
        self.peers.clear()
        self.peers.update(state.peers if state else {})
        return state and replace(state, peers=self.peers)

    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        await super().apply(ifname, patch)
        for key in patch.remove_peers:
            self.peers.pop(key, None)


class FailsForNamesThatAreTooLong(FakeBackend):
    async def read(self, ifname: str) -> DeviceState | None:
        if len(ifname) > 15:
            raise KeyError(ifname)
        return await super().read(ifname)


class ReadsAddressesAsText(FakeBackend):
    async def read(self, ifname: str) -> DeviceState | None:
        state = await super().read(ifname)
        return state and replace(state, addresses=frozenset(map(str, state.addresses)))


class ReadsPeersAsAList(FakeBackend):
    async def read(self, ifname: str) -> DeviceState | None:
        state = await super().read(ifname)
        return state and replace(state, peers=list(state.peers.values()))


class ReadsPeersBy(FakeBackend):
    """Base of backends that show each peer with a mistake."""

    def show(self, peer: PeerState) -> PeerState:
        raise NotImplementedError

    async def read(self, ifname: str) -> DeviceState | None:
        state = await super().read(ifname)
        return state and replace(state, peers={key: self.show(peer) for key, peer in state.peers.items()})


class ReadsEndpointsAsText(ReadsPeersBy):
    def show(self, peer: PeerState) -> PeerState:
        return replace(peer, endpoint=peer.endpoint and str(peer.endpoint))


class ReadsAllowedIpsAsAList(ReadsPeersBy):
    def show(self, peer: PeerState) -> PeerState:
        return replace(peer, allowed_ips=sorted(peer.allowed_ips))


class ReadsKeepaliveInMilliseconds(ReadsPeersBy):
    def show(self, peer: PeerState) -> PeerState:
        return replace(peer, persistent_keepalive=peer.persistent_keepalive * 1000)


class ReadsNoPresharedKey(ReadsPeersBy):
    def show(self, peer: PeerState) -> PeerState:
        return replace(peer, preshared_key=None)


class ReadsPortsAs15Bits(ReadsPeersBy):
    def show(self, peer: PeerState) -> PeerState:
        if peer.endpoint is None:
            return peer
        return replace(peer, endpoint=Endpoint(peer.endpoint.host, peer.endpoint.port & 0x7FFF))


class ReadsMilliseconds(ReadsPeersBy):
    def show(self, peer: PeerState) -> PeerState:
        return replace(peer, last_handshake=peer.last_handshake and peer.last_handshake * 1000)


class ReadsAnAge(ReadsPeersBy):
    def show(self, peer: PeerState) -> PeerState:
        return replace(peer, last_handshake=peer.last_handshake and 3.0)


class SwapsCounters(ReadsPeersBy):
    def show(self, peer: PeerState) -> PeerState:
        return replace(peer, rx_bytes=peer.tx_bytes, tx_bytes=peer.rx_bytes)


class CountsBits(ReadsPeersBy):
    def show(self, peer: PeerState) -> PeerState:
        return replace(peer, rx_bytes=peer.rx_bytes * 8, tx_bytes=peer.tx_bytes * 8)


class CountsPackets(ReadsPeersBy):
    def show(self, peer: PeerState) -> PeerState:
        return replace(peer, rx_bytes=peer.rx_bytes and 1, tx_bytes=peer.tx_bytes and 1)


class PatchesBy(FakeBackend):
    """Base of backends that change what they are told to write."""

    def changed(self, patch: DevicePatch) -> DevicePatch:
        raise NotImplementedError

    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        await super().apply(ifname, self.changed(patch))


class IgnoresTheMtu(PatchesBy):
    def changed(self, patch: DevicePatch) -> DevicePatch:
        return replace(patch, mtu=None)


class TakesZeroForUnchanged(PatchesBy):
    """`if value:` instead of `if value is not None`."""

    def changed(self, patch: DevicePatch) -> DevicePatch:
        peers = tuple(replace(peer, persistent_keepalive=peer.persistent_keepalive or None) for peer in patch.peers)
        return replace(patch, fwmark=patch.fwmark or None, peers=peers)


class NeverClearsAllowedIps(PatchesBy):
    def changed(self, patch: DevicePatch) -> DevicePatch:
        return replace(patch, peers=tuple(replace(p, allowed_ips=p.allowed_ips or None) for p in patch.peers))


class NeverGoesDown(PatchesBy):
    def changed(self, patch: DevicePatch) -> DevicePatch:
        return replace(patch, up=patch.up or None)


class WritesAddressesAsHosts(PatchesBy):
    """Loses the prefix length of an address."""

    def changed(self, patch: DevicePatch) -> DevicePatch:
        return replace(patch, add_addresses=frozenset(ip_interface(str(a.ip)) for a in patch.add_addresses))


class NeverRemovesPeers(PatchesBy):
    def changed(self, patch: DevicePatch) -> DevicePatch:
        return replace(patch, remove_peers=frozenset())


class WritesTheFirstHundredPeers(PatchesBy):
    def changed(self, patch: DevicePatch) -> DevicePatch:
        return replace(patch, peers=patch.peers[:100])
