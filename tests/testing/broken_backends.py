"""Backends that break one clause of the contract each, as real ones have: what the kit must catch."""

import asyncio
from collections.abc import AsyncIterator, Mapping

from msgspec.structs import replace

from ikto_backends.fake import FakeBackend, FakeHost
from ikto_core.device.backend import DeviceEvent, DeviceEventKind
from ikto_core.device.model import DevicePatch, DeviceState, PeerPatch, PeerState
from ikto_core.errors import BackendError
from ikto_core.values.addressing import Endpoint
from ikto_core.values.keys import PublicKey


class ShowsPeersWrongly(FakeBackend):
    """What is wrong is how it shows each peer."""

    async def read(self, ifname: str) -> DeviceState | None:
        state = await super().read(ifname)
        return state and replace(state, peers={key: self.show(peer) for key, peer in state.peers.items()})

    def show(self, peer: PeerState) -> PeerState:
        raise NotImplementedError


class CreateResetsDevice(FakeBackend):
    async def create(self, ifname: str) -> None:
        self.host.delete(ifname)
        await super().create(ifname)


class ReadsAbsentAsEmpty(FakeBackend):
    async def read(self, ifname: str) -> DeviceState | None:
        return await super().read(ifname) or DeviceState()


class ApplyCreatesDevice(FakeBackend):
    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        self.host.create(ifname)
        await super().apply(ifname, patch)


class TreatsNoneAsZero(FakeBackend):
    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        peers = tuple(replace(peer, persistent_keepalive=peer.persistent_keepalive or 0) for peer in patch.peers)
        await super().apply(ifname, replace(patch, fwmark=patch.fwmark or 0, peers=peers))


class DropsSecondaryAddresses(FakeBackend):
    """Linux, where promote_secondaries is off."""

    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        await super().apply(ifname, patch)
        state = self.host.device(ifname)
        networks = {address.network for address in patch.remove_addresses}
        gone = (
            frozenset(address for address in state.addresses if address.network in networks) if state else frozenset()
        )
        self.host.tamper(ifname, DevicePatch(remove_addresses=gone))


class RemovesFirst(FakeBackend):
    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        await super().apply(ifname, DevicePatch(remove_peers=patch.remove_peers))
        await super().apply(ifname, replace(patch, remove_peers=frozenset()))


class ReplacesPeers(FakeBackend):
    """As `wg setconf` does."""

    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        before = self.host.device(ifname)
        await super().apply(ifname, patch)
        after = self.host.device(ifname)
        if not (before and after):
            return
        peers = tuple(
            PeerPatch(
                public_key=peer.public_key,
                create=True,
                allowed_ips=peer.allowed_ips,
                endpoint=peer.endpoint,
                persistent_keepalive=peer.persistent_keepalive,
                preshared_key=peer.preshared_key,
            )
            for peer in after.peers.values()
        )
        self.host.tamper(ifname, DevicePatch(remove_peers=frozenset(after.peers)))
        self.host.tamper(ifname, DevicePatch(peers=peers))


class ShowsTwoOwners(FakeBackend):
    """Reads from its own books, in which nobody loses a prefix."""

    async def read(self, ifname: str) -> DeviceState | None:
        state = await super().read(ifname)
        given = {peer.public_key: peer.allowed_ips for _, patch in self.host.writes for peer in patch.peers}
        if state is None:
            return None
        peers = {key: replace(peer, allowed_ips=given.get(key) or frozenset()) for key, peer in state.peers.items()}
        return replace(state, peers=peers)


class UpdateCreatesPeer(FakeBackend):
    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        await super().apply(ifname, replace(patch, peers=tuple(replace(peer, create=True) for peer in patch.peers)))


class LeaksNativeErrors(FakeBackend):
    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        try:
            await super().apply(ifname, patch)
        except BackendError as error:
            if "listen_port" in str(error):
                raise OverflowError(str(error)) from error
            raise


class SharesPorts(FakeBackend):
    """Or logs the failure, and carries on as if it were done."""

    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        try:
            await super().apply(ifname, patch)
        except BackendError as error:
            if "in use" not in str(error):
                raise


class GivesNoHint(FakeBackend):
    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        try:
            await super().apply(ifname, patch)
        except BackendError as error:
            error.hint = ""
            raise


class ReadsFromItsCache(FakeBackend):
    """Knows the device from the last time that it wrote to it; sessions and counters it asks for."""

    def __init__(self, host: FakeHost) -> None:
        super().__init__(host)
        self.books: dict[str, DeviceState | None] = {}

    async def create(self, ifname: str) -> None:
        await super().create(ifname)
        self.books.pop(ifname, None)

    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        try:
            await super().apply(ifname, patch)
        finally:
            self.books.pop(ifname, None)

    async def delete(self, ifname: str) -> None:
        await super().delete(ifname)
        self.books.pop(ifname, None)

    async def read(self, ifname: str) -> DeviceState | None:
        state = await super().read(ifname)
        known = self.books.setdefault(ifname, state)
        return known and replace(known, peers=state.peers if state else {})


class SendsNoEvents(FakeBackend):
    def events(self) -> AsyncIterator[DeviceEvent]:
        return _no_events()


async def _no_events() -> AsyncIterator[DeviceEvent]:
    await asyncio.Event().wait()
    yield DeviceEvent("", DeviceEventKind.GONE)  # never


class EventsEndAtOnce(FakeBackend):
    """Not broken: its system tells nothing of devices, and it says so."""

    async def events(self) -> AsyncIterator[DeviceEvent]:
        nothing: tuple[DeviceEvent, ...] = ()
        for event in nothing:
            yield event


class SendsNoGoneEvent(FakeBackend):
    """Tells of changes, and stops listening when the device goes."""

    async def events(self) -> AsyncIterator[DeviceEvent]:
        async for event in super().events():
            if event.kind is DeviceEventKind.GONE:
                return
            yield event


class WritesLateAfterCancel(FakeBackend):
    """As one whose threads know nothing of cancellation: the write ends when it ends."""

    def __init__(self, host: FakeHost) -> None:
        super().__init__(host)
        self.late: list[tuple[str, DevicePatch]] = []

    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        try:
            await super().apply(ifname, patch)
        except asyncio.CancelledError:
            self.late.append((ifname, patch))
            raise
        while self.late:
            self.host.apply(*self.late.pop())


class StuckAfterCancel(FakeBackend):
    """As one whose lock is never given back."""

    busy = False

    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        if self.busy:
            raise BackendError("another write is under way")
        self.busy = True
        await super().apply(ifname, patch)
        self.busy = False


class HalfDeletesOnCancel(FakeBackend):
    """The device is gone from sight, and can't be made again."""

    async def delete(self, ifname: str) -> None:
        try:
            await super().delete(ifname)
        except asyncio.CancelledError:
            self.host.fail_next("create", BackendError("it is there, and it is not"))
            raise


class ShowsNoPeersDuringWrites(FakeBackend):
    """As one that replaces all peers: first there are none."""

    writing = False

    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        self.writing = True
        try:
            await super().apply(ifname, patch)
        finally:
            self.writing = False

    async def read(self, ifname: str) -> DeviceState | None:
        state = await super().read(ifname)
        return replace(state, peers={}) if state and self.writing else state


class ShowsZeroForNever(ShowsPeersWrongly):
    def show(self, peer: PeerState) -> PeerState:
        return replace(peer, last_handshake=peer.last_handshake or 0.0)


class CountsFromTheLastWrite(FakeBackend):
    def __init__(self, host: FakeHost) -> None:
        super().__init__(host)
        self.written: dict[PublicKey, int] = {}

    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        await super().apply(ifname, patch)
        self.written = {key: peer.rx_bytes for key, peer in self.peers(ifname).items()}

    async def read(self, ifname: str) -> DeviceState | None:
        state = await super().read(ifname)
        if state is None:
            return None
        peers = {k: replace(p, rx_bytes=max(p.rx_bytes - self.written.get(k, 0), 0)) for k, p in state.peers.items()}
        return replace(state, peers=peers)

    def peers(self, ifname: str) -> Mapping[PublicKey, PeerState]:
        state = self.host.device(ifname)
        return state.peers if state else {}


class LosesIPv6Endpoints(ShowsPeersWrongly):
    def show(self, peer: PeerState) -> PeerState:
        return replace(peer, endpoint=None if peer.endpoint and ":" in peer.endpoint.host else peer.endpoint)


class ReplacesInEveryMessage(ShowsPeersWrongly):
    """Writes a long list of allowed IPs in two messages, each of which replaces the list."""

    def show(self, peer: PeerState) -> PeerState:
        return replace(peer, allowed_ips=frozenset(sorted(peer.allowed_ips)[-500:]))


class LosesScopes(ShowsPeersWrongly):
    def show(self, peer: PeerState) -> PeerState:
        host, port = peer.endpoint or (None, 0)
        return replace(peer, endpoint=Endpoint(host.partition("%")[0], port) if host else None)


class DeletesDevicesOnClose(FakeBackend):
    def close(self) -> None:
        super().close()
        for ifname in ("ikto-kit0", "wg0"):
            self.host.delete(ifname)
