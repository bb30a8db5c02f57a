"""Backends that block the event loop, or never return, in less usual ways."""

import asyncio
import fcntl
import os
import select
import socket
import threading
from contextlib import suppress
from multiprocessing.pool import ThreadPool
from pathlib import Path

from ikto_backends.fake import FakeBackend
from ikto_core.device.model import DevicePatch, DeviceState
from ikto_core.errors import BackendError


class SelectsInRead(FakeBackend):
    """Waits for a socket as programs without asyncio do."""

    async def read(self, ifname: str) -> DeviceState | None:
        here, there = socket.socketpair()
        with here, there:
            select.select([here], [], [], 0.001)
        return await super().read(ifname)


class LocksAFile(FakeBackend):
    """Waits for a lock that another program may hold for ever."""

    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        with Path(f"/tmp/ikto-kit-lock-{os.getpid()}").open("w") as file:  # the intended mistake
            fcntl.flock(file, fcntl.LOCK_EX)
            await super().apply(ifname, patch)
        with suppress(FileNotFoundError):
            os.remove(file.name)


class ReadsAPipe(FakeBackend):
    async def read(self, ifname: str) -> DeviceState | None:
        out, into = os.pipe()
        threading.Timer(0.01, os.close, (into,)).start()
        os.read(out, 1)
        os.close(out)
        return await super().read(ifname)


class WaitsForAProcessId(FakeBackend):
    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        await super().apply(ifname, patch)
        os.waitpid(os.posix_spawnp("true", ["true"], os.environ), 0)


class ReadsAProgram(FakeBackend):
    async def read(self, ifname: str) -> DeviceState | None:
        with os.popen("true") as program:  # the intended mistake
            program.read()
        return await super().read(ifname)


class MapsInAPool(FakeBackend):
    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        with ThreadPool(2) as pool:
            pool.map(str, patch.peers)
        await super().apply(ifname, patch)


class RetriesForEver(FakeBackend):
    """Takes every failure for one that passes."""

    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        while True:
            try:
                return await super().apply(ifname, patch)
            except BackendError:
                await asyncio.sleep(0.05)


class HangsAfterFortyWrites(FakeBackend):
    """As a socket whose buffer is full."""

    written = 0

    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        self.written += 1
        if self.written > 40:
            await asyncio.Event().wait()
        await super().apply(ifname, patch)


class WaitsForItself(FakeBackend):
    """Keeps its lock when a write fails."""

    def __init__(self, *given: object) -> None:
        super().__init__(*given)  # type: ignore[arg-type]
        self.lock = asyncio.Lock()

    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        await self.lock.acquire()
        await super().apply(ifname, patch)
        self.lock.release()
