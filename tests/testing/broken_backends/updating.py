"""Backends that lose a value in an update of another one, or show the values of another peer."""

import time
from typing import Any, ClassVar

from msgspec.structs import replace

from ikto_backends.fake import FakeBackend
from ikto_core.device.model import NO_PRESHARED_KEY, DevicePatch, DeviceState, PeerPatch, PeerState
from tests.testing.broken_backends.values import PatchesBy, ReadsPeersBy


class PeersBy(PatchesBy):
    """Base of backends that change each patch of a peer."""

    def of_peer(self, patch: PeerPatch) -> PeerPatch:
        raise NotImplementedError

    def changed(self, patch: DevicePatch) -> DevicePatch:
        return replace(patch, peers=tuple(map(self.of_peer, patch.peers)))


class LosesKeepaliveWithTheEndpoint(PeersBy):
    def of_peer(self, patch: PeerPatch) -> PeerPatch:
        return replace(patch, persistent_keepalive=patch.persistent_keepalive or 0) if patch.endpoint else patch


class LosesKeepaliveWithAllowedIps(PeersBy):
    def of_peer(self, patch: PeerPatch) -> PeerPatch:
        named = patch.allowed_ips is not None and not patch.create
        return replace(patch, persistent_keepalive=patch.persistent_keepalive or 0) if named else patch


class LosesThePresharedKeyWithTheKeepalive(PeersBy):
    def of_peer(self, patch: PeerPatch) -> PeerPatch:
        lost = patch.persistent_keepalive and patch.preshared_key is None
        return replace(patch, preshared_key=NO_PRESHARED_KEY) if lost else patch


class LosesValuesOfAPeerThatIsCreatedAgain(PeersBy):
    """`create` for a peer that is there resets what the patch does not name."""

    def of_peer(self, patch: PeerPatch) -> PeerPatch:
        return replace(patch, persistent_keepalive=patch.persistent_keepalive or 0) if patch.create else patch


class AddsAllowedIps(FakeBackend):
    """Adds to the allowed IPs instead of replacing them."""

    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        state = self.host.device(ifname)
        peers = state.peers if state else {}
        both = tuple(
            replace(p, allowed_ips=p.allowed_ips | peers[p.public_key].allowed_ips)
            if p.allowed_ips and p.public_key in peers
            else p
            for p in patch.peers
        )
        await super().apply(ifname, replace(patch, peers=both))


class WritesTheFirstEndpointAgain(FakeBackend):
    """Rewrites each peer at each change, with the endpoint that it read first."""

    first: ClassVar[dict[Any, Any]] = {}

    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        await super().apply(ifname, patch)
        state = self.host.device(ifname)
        for key, peer in (state.peers if state else {}).items():
            endpoint = self.first.setdefault((ifname, key), peer.endpoint)
            if endpoint and key not in {each.public_key for each in patch.peers}:
                self.host.apply(ifname, DevicePatch(peers=(PeerPatch(public_key=key, endpoint=endpoint),)))


class CountsKibibytes(ReadsPeersBy):
    def show(self, peer: PeerState) -> PeerState:
        return replace(peer, rx_bytes=peer.rx_bytes // 1024, tx_bytes=peer.tx_bytes // 1024)


class SumsCounters(FakeBackend):
    """Shows the traffic of the device at each peer."""

    async def read(self, ifname: str) -> DeviceState | None:
        state = await super().read(ifname)
        if state is None:
            return None
        received = sum(peer.rx_bytes for peer in state.peers.values())
        sent = sum(peer.tx_bytes for peer in state.peers.values())
        return replace(state, peers={k: replace(p, rx_bytes=received, tx_bytes=sent) for k, p in state.peers.items()})


class ShowsTheLatestHandshake(FakeBackend):
    """Shows that of the device at each peer."""

    async def read(self, ifname: str) -> DeviceState | None:
        state = await super().read(ifname)
        if state is None:
            return None
        latest = max((peer.last_handshake or 0.0 for peer in state.peers.values()), default=0.0) or None
        return replace(state, peers={key: replace(peer, last_handshake=latest) for key, peer in state.peers.items()})


class ReadsLocalTime(ReadsPeersBy):
    """Takes a time of UTC for one of the local time zone."""

    def show(self, peer: PeerState) -> PeerState:
        if peer.last_handshake is None:
            return peer
        return replace(peer, last_handshake=time.mktime(time.gmtime(peer.last_handshake)))


class ReadsSecondsSinceTheBoot(ReadsPeersBy):
    def show(self, peer: PeerState) -> PeerState:
        return replace(peer, last_handshake=peer.last_handshake and time.monotonic())


class ReadsNanoseconds(ReadsPeersBy):
    def show(self, peer: PeerState) -> PeerState:
        return replace(peer, last_handshake=peer.last_handshake and peer.last_handshake * 1e9)


class CachesForASecond(FakeBackend):
    """For all backends of the process; its own writes empty the cache."""

    cache: ClassVar[dict[tuple[int, str], tuple[float, DeviceState | None]]] = {}

    async def read(self, ifname: str) -> DeviceState | None:
        key = (id(self.host), ifname)
        at, state = self.cache.get(key, (0.0, None))
        if time.monotonic() - at > 1.0:
            state = await super().read(ifname)
            self.cache[key] = (time.monotonic(), state)
        return state

    async def create(self, ifname: str) -> None:
        await super().create(ifname)
        self.cache.clear()

    async def delete(self, ifname: str) -> None:
        await super().delete(ifname)
        self.cache.clear()

    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        await super().apply(ifname, patch)
        self.cache.clear()


class RemembersAtOpening(FakeBackend):
    """Knows the peers that it found when it was opened, and those that it wrote: it removes the others."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        state = self.host.device("wg0")
        self.known = set(state.peers) if state else set()

    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        self.known |= {peer.public_key for peer in patch.peers if peer.create}
        await super().apply(ifname, patch)
        state = self.host.device(ifname)
        unknown = frozenset(state.peers.keys() - self.known) if state else frozenset()
        if len(self.known) > len(unknown) > 0:
            self.host.apply(ifname, DevicePatch(remove_peers=unknown))


class IsAloneInTheProcess(FakeBackend):
    """A second backend can't be opened, not even by another program."""

    opened: ClassVar[set[int]] = set()

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        if id(self.host) in self.opened:
            raise OSError("another backend has the socket")
        self.opened.add(id(self.host))

    def close(self) -> None:
        self.opened.discard(id(self.host))
        super().close()


class ReadsAllForAFew(FakeBackend):
    """`read_peers` returns every peer."""

    async def read_peers(self, ifname: str, keys: Any) -> Any:
        state = await super().read(ifname)
        return state.peers if state else {}
