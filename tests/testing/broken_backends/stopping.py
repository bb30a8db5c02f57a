"""Backends that handle a cancellation wrongly, or leave something behind in calls that are less usual."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import ClassVar

from ikto_backends.fake import FakeBackend
from ikto_core.device.backend import DeviceEvent
from ikto_core.device.model import DevicePatch, DeviceState
from ikto_core.errors import BackendError


class ReadsNothingWhenCancelled(FakeBackend):
    """Returns None, so that the device seems to be absent."""

    async def read(self, ifname: str) -> DeviceState | None:
        try:
            await asyncio.sleep(0.002)
            return await super().read(ifname)
        except asyncio.CancelledError:
            return None


class SaysDoneWhenCancelled(FakeBackend):
    """Returns as if the write had been carried out."""

    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        try:
            await asyncio.sleep(0.002)
            await super().apply(ifname, patch)
        except asyncio.CancelledError:
            return


class SaysCreatedWhenCancelled(FakeBackend):
    async def create(self, ifname: str) -> None:
        try:
            await asyncio.sleep(0.002)
            await super().create(ifname)
        except asyncio.CancelledError:
            pass


class SaysDeletedWhenCancelled(FakeBackend):
    async def delete(self, ifname: str) -> None:
        try:
            await asyncio.sleep(0.002)
            await super().delete(ifname)
        except asyncio.CancelledError:
            pass


class FailsToDeleteWhenCancelled(FakeBackend):
    async def delete(self, ifname: str) -> None:
        try:
            await asyncio.sleep(0.002)
            await super().delete(ifname)
        except BaseException as error:
            raise BackendError(f"{ifname}: could not be deleted") from error


class LeaksWhenDeleting(FakeBackend):
    async def delete(self, ifname: str) -> None:
        os.open("/dev/null", os.O_RDONLY)
        await super().delete(ifname)


class LeaksWhenCreating(FakeBackend):
    """Only a device that is new costs a descriptor."""

    async def create(self, ifname: str) -> None:
        if self.host.device(ifname) is None:
            os.open("/dev/null", os.O_RDONLY)
        await super().create(ifname)


class LeaksNowAndThen(FakeBackend):
    """At each fifth call."""

    calls = 0

    async def read(self, ifname: str) -> DeviceState | None:
        self.calls += 1
        if self.calls % 5 == 0:
            os.open("/dev/null", os.O_RDONLY)
        return await super().read(ifname)


class ShutsDownWithoutWaiting(FakeBackend):
    """Closing leaves the thread to itself, which writes on."""

    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        done = asyncio.Event()
        loop = asyncio.get_running_loop()

        def write() -> None:
            for peer in patch.peers:
                self.host.apply(ifname, DevicePatch(peers=(peer,)))
                threading.Event().wait(0.0005)
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(done.set)

        if len(patch.peers) < 100:
            await super().apply(ifname, patch)
            return
        threading.Thread(target=write, daemon=True).start()
        await done.wait()


class EventsOnlyOnce(FakeBackend):
    """Only the first `events` of a backend yields anything."""

    asked = False

    async def events(self) -> AsyncIterator[DeviceEvent]:
        if self.asked:
            await asyncio.Event().wait()
        self.asked = True
        async for event in super().events():
            yield event


class EventsOfAnotherName(FakeBackend):
    async def events(self) -> AsyncIterator[DeviceEvent]:
        async for event in super().events():
            yield DeviceEvent(f"/sys/class/net/{event.ifname}", event.kind)


class CreatesLater(FakeBackend):
    """Returns before the device is there."""

    tasks: ClassVar[list["asyncio.Task[None]"]] = []

    async def create(self, ifname: str) -> None:
        async def later() -> None:
            await asyncio.sleep(0.01)
            self.host.create(ifname)

        self.tasks.append(asyncio.ensure_future(later()))


class DeletesLater(FakeBackend):
    tasks: ClassVar[list["asyncio.Task[None]"]] = []

    async def delete(self, ifname: str) -> None:
        async def later() -> None:
            await asyncio.sleep(0.01)
            self.host.delete(ifname)

        self.tasks.append(asyncio.ensure_future(later()))


class DeleteNeedsADevice(FakeBackend):
    async def delete(self, ifname: str) -> None:
        if self.host.device(ifname) is None:
            raise BackendError(f"{ifname}: no such device")
        await super().delete(ifname)
