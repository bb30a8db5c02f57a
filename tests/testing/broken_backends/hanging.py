"""Backends that hang or block the event loop. Each of these would keep a kit without bounds from ending."""

import asyncio
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from ikto_backends.fake import FakeBackend
from ikto_core.device.model import DevicePatch, DeviceState
from ikto_core.errors import BackendError

FOR_EVER_S = 3600.0


class SleepsInRead(FakeBackend):
    async def read(self, ifname: str) -> DeviceState | None:
        time.sleep(FOR_EVER_S)  # the intended mistake
        return await super().read(ifname)


class SleepsAndSwallows(FakeBackend):
    """Polls, and takes whatever interrupts it for a failure."""

    async def read(self, ifname: str) -> DeviceState | None:
        try:
            time.sleep(FOR_EVER_S)  # the intended mistake
        except BaseException as error:
            raise BackendError(str(error)) from error
        return await super().read(ifname)


class SpinsInApply(FakeBackend):
    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        await super().apply(ifname, patch)
        while patch.peers:
            pass


class RunsProgramsInRead(FakeBackend):
    async def read(self, ifname: str) -> DeviceState | None:
        subprocess.run(["true"], check=True)  # the intended mistake
        return self.host.device(ifname)


class WaitsForAThread(FakeBackend):
    async def read(self, ifname: str) -> DeviceState | None:
        with ThreadPoolExecutor(1) as threads:
            threads.submit(time.sleep, 0.01).result()
            return self.host.device(ifname)


class JoinsAThread(FakeBackend):
    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        await super().apply(ifname, patch)
        thread = threading.Thread(target=time.sleep, args=(0.01,))
        thread.start()
        thread.join()


class AsksABlockingSocket(FakeBackend):
    async def read(self, ifname: str) -> DeviceState | None:
        here, there = socket.socketpair()
        with here, there:
            there.send(b"x")
            here.recv(1)
        return self.host.device(ifname)


class SwallowsCancellation(FakeBackend):
    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        while len(patch.peers) > 100:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                continue
        await super().apply(ifname, patch)


class NeverReads(FakeBackend):
    async def read(self, ifname: str) -> DeviceState | None:
        await asyncio.Event().wait()
        return await super().read(ifname)


class NeverDeletes(FakeBackend):
    async def delete(self, ifname: str) -> None:
        while True:
            try:
                await asyncio.Event().wait()
            except BaseException:  # the intended mistake
                continue


class WritesInAThreadForEver(FakeBackend):
    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        await asyncio.to_thread(threading.Event().wait)


class CancelsItself(FakeBackend):
    async def read(self, ifname: str) -> DeviceState | None:
        raise asyncio.CancelledError


class LeavesTheProgram(FakeBackend):
    async def read(self, ifname: str) -> DeviceState | None:
        raise SystemExit(1)
