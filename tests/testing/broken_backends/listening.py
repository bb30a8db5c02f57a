"""Backends whose `events` is wrong."""

import asyncio
import time
from collections.abc import AsyncIterator

from ikto_backends.fake import FakeBackend
from ikto_core.device.backend import DeviceEvent, DeviceEventKind


class EventsAreACoroutine(FakeBackend):
    async def events(self) -> AsyncIterator[DeviceEvent]:  # type: ignore[override]  # the intended mistake
        return super().events()


class EventsAreAList(FakeBackend):
    def events(self) -> AsyncIterator[DeviceEvent]:
        return []  # type: ignore[return-value]  # the intended mistake


class EventsAreNothing(FakeBackend):
    def events(self) -> AsyncIterator[DeviceEvent]:
        return None  # type: ignore[return-value]  # the intended mistake


class EventsAreAGenerator(FakeBackend):
    """A plain generator."""

    def events(self) -> AsyncIterator[DeviceEvent]:  # type: ignore[misc]  # the intended mistake
        yield DeviceEvent("wg0", DeviceEventKind.CHANGED)


class EventsSpin(FakeBackend):
    """Polls without waiting: the loop never turns."""

    async def events(self) -> AsyncIterator[DeviceEvent]:
        while not self.host.device("no-such"):
            pass
        yield DeviceEvent("wg0", DeviceEventKind.CHANGED)


class EventsSleep(FakeBackend):
    """Polls every hour, and blocks the loop meanwhile."""

    async def events(self) -> AsyncIterator[DeviceEvent]:
        while not self.host.device("no-such"):
            time.sleep(3600)  # the intended mistake
        yield DeviceEvent("wg0", DeviceEventKind.CHANGED)


class EventsFlood(FakeBackend):
    """Reports a change all the time, without waiting."""

    async def events(self) -> AsyncIterator[DeviceEvent]:
        while True:
            yield DeviceEvent("wg0", DeviceEventKind.CHANGED)


class EventsRepeat(FakeBackend):
    """Reports a change at each turn of the loop."""

    async def events(self) -> AsyncIterator[DeviceEvent]:
        while True:
            await asyncio.sleep(0)
            yield DeviceEvent("wg0", DeviceEventKind.CHANGED)


class EventsAreText(FakeBackend):
    async def events(self) -> AsyncIterator[DeviceEvent]:
        yield "wg0"  # type: ignore[misc]  # the intended mistake


class EventsSwallowCancellation(FakeBackend):
    async def events(self) -> AsyncIterator[DeviceEvent]:
        while not self.host.device("no-such"):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                continue
        yield DeviceEvent("wg0", DeviceEventKind.CHANGED)
