"""The five methods of `ikto_core.plugins.Backend`."""

from collections.abc import AsyncIterator
from functools import partial

from ikto_backend_uapi import devices
from ikto_backend_uapi.monitor import watch
from ikto_core.plugins import DeviceEvent, DevicePatch, DeviceState, Worker


class UapiBackend:
    """Drive the userspace WireGuard devices of this network namespace.

    All calls block, so they run in one thread, one after another: a cancelled call ends before the next one starts.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    async def read(self, ifname: str) -> DeviceState | None:
        """Return the state of the device; None if it is absent."""
        return await self._worker.run(partial(devices.read, ifname))

    async def create(self, ifname: str) -> None:
        """Create the device unless it exists; a new device is down, with no key, no address and no peers."""
        await self._worker.run(partial(devices.create, ifname))

    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        """Write the values that the patch names, and nothing else."""
        await self._worker.run(partial(devices.apply, ifname, patch))

    async def delete(self, ifname: str) -> None:
        """Delete the device if it exists."""
        await self._worker.run(partial(devices.delete, ifname))

    def events(self) -> AsyncIterator[DeviceEvent]:
        """Yield changes of links and addresses, this backend's included. Nothing reports changes of peers."""
        return watch()
