"""Backends that can't repeat a call, or whose reads and writes are a step behind."""

import asyncio
import multiprocessing
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from ipaddress import ip_interface
from typing import Any, ClassVar

from msgspec.structs import replace

from ikto_backends.fake import FakeBackend
from ikto_core.device.model import NO_PRESHARED_KEY, DevicePatch, DeviceState, PeerPatch, PeerState
from ikto_core.errors import BackendError
from tests.testing.broken_backends.updating import PeersBy
from tests.testing.broken_backends.values import PatchesBy, ReadsPeersBy


class WritesLater(FakeBackend):
    """Starts the write as a task, and does not wait for it."""

    tasks: ClassVar[list["asyncio.Task[None]"]] = []

    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        self.tasks.append(asyncio.ensure_future(super().apply(ifname, patch)))


class ReadsAStepBehind(FakeBackend):
    """Returns what it read the time before, as a cache that is refreshed in the background."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.last: dict[str, DeviceState | None] = {}

    async def read(self, ifname: str) -> DeviceState | None:
        state = await super().read(ifname)
        before = self.last.get(ifname, state)
        self.last[ifname] = state
        return before


class AddsAnAddressOnce(FakeBackend):
    """The system refuses an address that is there."""

    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        state = self.host.device(ifname)
        if state and patch.add_addresses & state.addresses:
            raise BackendError("RTNETLINK answers: File exists")
        await super().apply(ifname, patch)


class RemovesAnAddressOnce(FakeBackend):
    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        state = self.host.device(ifname)
        if state and patch.remove_addresses - state.addresses:
            raise BackendError("RTNETLINK answers: Cannot assign requested address")
        await super().apply(ifname, patch)


class CreatesWhenOpened(FakeBackend):
    """Makes the device when it is opened, so that it is always there."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.host.create("wg0")


class GoesUpWithEachWrite(PatchesBy):
    def changed(self, patch: DevicePatch) -> DevicePatch:
        return replace(patch, up=True if patch.up is None else patch.up)


class WritesNetworks(PatchesBy):
    """Clears the host bits of an address."""

    def changed(self, patch: DevicePatch) -> DevicePatch:
        return replace(patch, add_addresses=frozenset(ip_interface(str(a.network)) for a in patch.add_addresses))


class MarksInSixteenBits(PatchesBy):
    def changed(self, patch: DevicePatch) -> DevicePatch:
        return replace(patch, fwmark=None if patch.fwmark is None else patch.fwmark & 0xFFFF)


class KeepsAliveInEightBits(PeersBy):
    def of_peer(self, patch: PeerPatch) -> PeerPatch:
        seconds = patch.persistent_keepalive
        return replace(patch, persistent_keepalive=None if seconds is None else seconds & 0xFF)


class IgnoresDefaultRoutes(PeersBy):
    """Drops 0.0.0.0/0 and ::/0, which would change the routes of the host."""

    def of_peer(self, patch: PeerPatch) -> PeerPatch:
        ips = patch.allowed_ips
        return replace(patch, allowed_ips=None if ips is None else frozenset(ip for ip in ips if ip.length))


class ReadsIPv4Only(ReadsPeersBy):
    def show(self, peer: PeerState) -> PeerState:
        return replace(peer, allowed_ips=frozenset(ip for ip in peer.allowed_ips if ip.bits == 32))


class ShowsAKeyOfZeros(ReadsPeersBy):
    """Shows the preshared key that the system uses for none."""

    def show(self, peer: PeerState) -> PeerState:
        return replace(peer, preshared_key=peer.preshared_key or NO_PRESHARED_KEY)


class MapsInAnExecutor(FakeBackend):
    async def read(self, ifname: str) -> DeviceState | None:
        with ThreadPoolExecutor(1) as threads:
            (_,) = threads.map(time.sleep, [0.01])
        return await super().read(ifname)


class WaitsAsCompleted(FakeBackend):
    async def read(self, ifname: str) -> DeviceState | None:
        with ThreadPoolExecutor(1) as threads:
            for _ in as_completed([threads.submit(time.sleep, 0.01)]):
                pass
        return await super().read(ifname)


class JoinsAProcess(FakeBackend):
    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        await super().apply(ifname, patch)
        process = multiprocessing.get_context("fork").Process(target=time.sleep, args=(0.01,))
        process.start()
        process.join()


class WaitsForACondition(FakeBackend):
    async def read(self, ifname: str) -> DeviceState | None:
        told = threading.Condition()
        with told:
            threading.Timer(0.01, self._tell, (told,)).start()
            told.wait()
        return await super().read(ifname)

    def _tell(self, told: threading.Condition) -> None:
        with told:
            told.notify()


class LooksANameUp(FakeBackend):
    async def read(self, ifname: str) -> DeviceState | None:
        socket.gethostbyaddr("127.0.0.1")
        return await super().read(ifname)


class ThreadsRightly(FakeBackend):
    """Not broken: threads that the loop waits for."""

    async def read(self, ifname: str) -> DeviceState | None:
        threads = ThreadPoolExecutor(1)
        try:
            return await asyncio.wrap_future(threads.submit(self.host.device, ifname))
        finally:
            threads.shutdown(wait=False)
