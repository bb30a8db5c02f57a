"""Backends that forget that others use the device too."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from msgspec.structs import replace

from ikto_backends.fake import FakeBackend, FakeHost
from ikto_core.device.backend import BackendContext
from ikto_core.device.model import DevicePatch, DeviceState, PeerPatch
from ikto_core.values.keys import PublicKey

_devices_of_this_module = FakeHost()


@asynccontextmanager
async def open_in_module(_: BackendContext) -> AsyncIterator[FakeBackend]:
    """Keep the devices in the module: another process does not find them."""
    yield FakeBackend(_devices_of_this_module)


@asynccontextmanager
async def open_in_backend(_: BackendContext) -> AsyncIterator[FakeBackend]:
    """Keep the devices in the backend: the next one does not find them."""
    yield FakeBackend(FakeHost())


class RemovesUnknownPeers(FakeBackend):
    """Writes the peers that it was told of, and removes all others."""

    def __init__(self, host: FakeHost) -> None:
        super().__init__(host)
        self.known: set[PublicKey] = set()

    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        self.known |= {peer.public_key for peer in patch.peers if peer.create}
        await super().apply(ifname, patch)
        state = self.host.device(ifname)
        if state and self.known:
            self.host.apply(ifname, DevicePatch(remove_peers=frozenset(state.peers.keys() - self.known)))


class IgnoresTheName(FakeBackend):
    """Has one device, whatever its name."""

    async def read(self, ifname: str) -> DeviceState | None:
        return await super().read("wg0")

    async def create(self, ifname: str) -> None:
        await super().create("wg0")

    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        await super().apply("wg0", patch)

    async def delete(self, ifname: str) -> None:
        await super().delete("wg0")


class WritesBackWhatItRemembers(FakeBackend):
    """Writes all peers at each change, as they were when it last wrote or read them."""

    def __init__(self, host: FakeHost) -> None:
        super().__init__(host)
        self.remembered: dict[str, DeviceState] = {}

    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        remembered = self.remembered.get(ifname, DeviceState()).peers
        await super().apply(ifname, DevicePatch(peers=tuple(_whole(remembered).values())))
        await super().apply(ifname, patch)
        if state := self.host.device(ifname):
            self.remembered[ifname] = state

    async def delete(self, ifname: str) -> None:
        self.remembered.pop(ifname, None)
        await super().delete(ifname)


class WritesTheWholeDevice(FakeBackend):
    """Reads the device, changes what it read, and replaces the device by it, as a configuration file is written."""

    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        before = self.host.device(ifname)
        await asyncio.sleep(0)
        await super().apply(ifname, patch)
        now = self.host.device(ifname)
        if before and now:
            named = {peer.public_key for peer in patch.peers}
            lost = now.peers.keys() - before.peers.keys() - named
            self.host.apply(ifname, DevicePatch(remove_peers=frozenset(lost)))


def _whole(peers: object) -> dict[PublicKey, PeerPatch]:
    assert isinstance(peers, dict)
    return {
        key: replace(PeerPatch(public_key=key), persistent_keepalive=peer.persistent_keepalive)
        for key, peer in peers.items()
    }
