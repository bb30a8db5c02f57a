"""What a full pass would do to a device, found out by making one that writes nothing."""

from collections.abc import AsyncIterator

import msgspec

from ikto_core.device.backend import Backend, DeviceEvent
from ikto_core.device.model import DevicePatch, DeviceState
from ikto_core.values.keys import PublicKey


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """What would be done to a device now."""

    state: DeviceState | None = None  # the device as it is; None: it is absent
    deleted: tuple[str, ...] = ()  # devices that would be deleted, in this order, before anything else
    created: bool = False  # whether the device would be created
    patch: DevicePatch = DevicePatch()  # what would be written then
    pending_removals: frozenset[PublicKey] = frozenset()  # peers that would be removed, but for removal_limit
    revision: int | None = None  # of the bucket, whose mesh the device would show; None: it was not read

    def __bool__(self) -> bool:
        """Whether anything would be done now."""
        return bool(self.created or self.deleted or self.patch)


class RecordingBackend:
    """A backend that reads, and records what it is told to write instead of writing it. One device is created."""

    def __init__(self, backend: Backend, ifname: str) -> None:
        self.state: DeviceState | None = None  # as read
        self.created = False
        self.deleted: list[str] = []
        self.patch = DevicePatch()
        self._backend = backend
        self._ifname = ifname

    async def read(self, ifname: str) -> DeviceState | None:
        """Return the state of a device; an empty one for the device `ifname` if it would have been created."""
        if ifname != self._ifname:
            return await self._backend.read(ifname)
        if self.created:
            return DeviceState()
        self.state = await self._backend.read(ifname)
        return self.state

    async def create(self, _: str) -> None:
        """Record that the device would be created."""
        self.created = True

    async def apply(self, _: str, patch: DevicePatch) -> None:
        """Record what would be written. A full pass writes once at most."""
        self.patch = patch

    async def delete(self, ifname: str) -> None:
        """Record that a device would be deleted."""
        self.deleted.append(ifname)

    def events(self) -> AsyncIterator[DeviceEvent]:
        """Yield what happens to the devices outside Ikto."""
        return self._backend.events()
