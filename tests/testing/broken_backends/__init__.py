"""Backends that each break one clause of the contract, as real ones have. The kit must detect every one."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Set

from msgspec.structs import replace

from ikto_backends.fake import FakeBackend, FakeHost
from ikto_core.device.backend import Backend, DeviceEvent, DeviceEventKind
from ikto_core.device.model import DevicePatch, DeviceState, PeerPatch, PeerState
from ikto_core.errors import BackendError
from ikto_core.values.addressing import Endpoint
from ikto_core.values.keys import PublicKey


class ShowsPeersWrongly(FakeBackend):
    """Base of backends that read peers incorrectly."""

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
    """As Linux does if promote_secondaries is off."""

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
    """Removes and adds all peers at each write, as `wg setconf` does."""

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
    """Shows the allowed IPs that were last written, also those that another peer has taken over."""

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
    """Ignores the error of a port in use."""

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
    """Caches the device after each write; only peers are read from the device."""

    def __init__(self, host: FakeHost) -> None:
        super().__init__(host)
        self.cache: dict[str, DeviceState | None] = {}

    async def create(self, ifname: str) -> None:
        await super().create(ifname)
        self.cache.pop(ifname, None)

    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        try:
            await super().apply(ifname, patch)
        finally:
            self.cache.pop(ifname, None)

    async def delete(self, ifname: str) -> None:
        await super().delete(ifname)
        self.cache.pop(ifname, None)

    async def read(self, ifname: str) -> DeviceState | None:
        state = await super().read(ifname)
        known = self.cache.setdefault(ifname, state)
        return known and replace(known, peers=state.peers if state else {})


class SendsNoEvents(FakeBackend):
    def events(self) -> AsyncIterator[DeviceEvent]:
        return _no_events()


async def _no_events() -> AsyncIterator[DeviceEvent]:
    await asyncio.Event().wait()
    yield DeviceEvent("", DeviceEventKind.GONE)  # never


class EventsEndAtOnce(FakeBackend):
    """Not broken: its system can't report changes, so the events end at once."""

    async def events(self) -> AsyncIterator[DeviceEvent]:
        nothing: tuple[DeviceEvent, ...] = ()
        for event in nothing:
            yield event


class SendsNoGoneEvent(FakeBackend):
    """Reports changes, but ends without an event when the device is deleted."""

    async def events(self) -> AsyncIterator[DeviceEvent]:
        async for event in super().events():
            if event.kind is DeviceEventKind.GONE:
                return
            yield event


class WritesLateAfterCancel(FakeBackend):
    """Carries out a cancelled write during a later call, as a thread that can't be cancelled does."""

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
    """Never releases its lock after a cancellation."""

    busy = False

    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        if self.busy:
            raise BackendError("another write is in progress")
        self.busy = True
        await super().apply(ifname, patch)
        self.busy = False


class HalfDeletesOnCancel(FakeBackend):
    """Leaves a device half deleted, so that it can't be created again."""

    async def delete(self, ifname: str) -> None:
        try:
            await super().delete(ifname)
        except asyncio.CancelledError:
            self.host.fail_next("create", BackendError("the device is half deleted"))
            raise


class ShowsNoPeersDuringWrites(FakeBackend):
    """As a backend that removes all peers before it adds them again."""

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
    """Writes a long list of allowed IPs in two messages, and replaces the list in both."""

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


class IgnoresCancellation(FakeBackend):
    """Waits on for an answer when it is cancelled the first time."""

    async def read(self, ifname: str) -> DeviceState | None:
        try:
            return await super().read(ifname)
        except asyncio.CancelledError:
            await asyncio.Event().wait()
            raise


class FailsWhenCancelled(FakeBackend):
    """Takes a cancellation for an error of its own."""

    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        try:
            await super().apply(ifname, patch)
        except asyncio.CancelledError:
            raise BackendError("interrupted") from None


class ShowsPeersAsLastRead(FakeBackend):
    """Reads a few peers from what it cached when it last read the device."""

    def __init__(self, host: FakeHost) -> None:
        super().__init__(host)
        self.cache: dict[str, Mapping[PublicKey, PeerState]] = {}

    async def read(self, ifname: str) -> DeviceState | None:
        state = await super().read(ifname)
        self.cache[ifname] = state.peers if state else {}
        return state

    async def read_peers(self, ifname: str, keys: Set[PublicKey]) -> Mapping[PublicKey, PeerState]:
        return {key: peer for key, peer in self.cache[ifname].items() if key in keys}


class ShowsTheRestOfASplitPeer(FakeBackend):
    """Shows only the last part of a peer that the system reports in several parts."""

    async def read_peers(self, ifname: str, keys: Set[PublicKey]) -> Mapping[PublicKey, PeerState]:
        peers = await super().read_peers(ifname, keys)
        return {k: replace(p, allowed_ips=frozenset(sorted(p.allowed_ips)[-500:])) for k, p in peers.items()}


class ReadsNoCounters(FakeBackend):
    """Reads what is configured of a few peers, and neither handshakes nor traffic."""

    async def read_peers(self, ifname: str, keys: Set[PublicKey]) -> Mapping[PublicKey, PeerState]:
        peers = await super().read_peers(ifname, keys)
        return {k: replace(p, last_handshake=None, rx_bytes=0, tx_bytes=0) for k, p in peers.items()}


class FailsForAbsentPeers(FakeBackend):
    async def read_peers(self, ifname: str, keys: Set[PublicKey]) -> Mapping[PublicKey, PeerState]:
        peers = await super().read_peers(ifname, keys)
        if keys - peers.keys():
            raise BackendError("there is no such peer")
        return peers


class OnlyFiveMethods:
    """Not broken: drives the devices of another backend, without its optional part."""

    def __init__(self, backend: Backend) -> None:
        self.read = backend.read
        self.create = backend.create
        self.apply = backend.apply
        self.delete = backend.delete
        self.events = backend.events
