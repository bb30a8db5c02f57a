"""The five methods of `ikto_core.device.backend.Backend`."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from ikto_backend_uapi import devices
from ikto_backend_uapi.monitor import monitored
from ikto_core.plugins import DeviceEvent, DevicePatch, DeviceState

T = TypeVar("T")


class UapiBackend:
    """Drive the userspace WireGuard devices of this network namespace.

    What blocks runs in one thread, in turn: so it may be written plainly, and a call that was cancelled is over before
    the next one begins.
    """

    def __init__(self, thread: ThreadPoolExecutor) -> None:
        self._thread = thread

    async def read(self, ifname: str) -> DeviceState | None:
        """Return the device as it is, None if it is absent."""
        return await self._run(partial(devices.read, ifname))

    async def create(self, ifname: str) -> None:
        """Make sure the device exists; a new one is down, with no key and no peers."""
        await self._run(partial(devices.create, ifname))

    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        """Write what the patch names, and nothing else."""
        await self._run(partial(devices.apply, ifname, patch))

    async def delete(self, ifname: str) -> None:
        """Make sure the device does not exist."""
        await self._run(partial(devices.delete, ifname))

    def events(self) -> AsyncIterator[DeviceEvent]:
        """Tell of links and addresses that change, by our own hand too; of peers nobody tells."""
        return monitored()

    async def _run(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)
