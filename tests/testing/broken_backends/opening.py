"""Plugins whose `open`, or what it yields, is wrong."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ikto_backends.fake import FakeBackend, FakeHost
from ikto_core.device.backend import BackendContext
from ikto_core.device.model import DeviceState

HOST = FakeHost()


@asynccontextmanager
async def yields_none(_: BackendContext) -> AsyncIterator[None]:
    yield None


@asynccontextmanager
async def never_opens(_: BackendContext) -> AsyncIterator[FakeBackend]:
    await asyncio.Event().wait()
    yield FakeBackend(HOST)


@asynccontextmanager
async def never_closes(_: BackendContext) -> AsyncIterator[FakeBackend]:
    yield FakeBackend(HOST)
    await asyncio.Event().wait()


@asynccontextmanager
async def never_closes_even_if_cancelled(_: BackendContext) -> AsyncIterator[FakeBackend]:
    yield FakeBackend(HOST)
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            continue


async def is_a_coroutine(_: BackendContext) -> FakeBackend:
    return FakeBackend(HOST)


def returns_the_backend(_: BackendContext) -> FakeBackend:
    return FakeBackend(HOST)


async def is_an_undecorated_generator(_: BackendContext) -> AsyncIterator[FakeBackend]:
    yield FakeBackend(HOST)


@asynccontextmanager
async def lacks_delete(_: BackendContext) -> AsyncIterator[object]:
    class Backend:
        pass

    found, whole = Backend(), FakeBackend(HOST)
    for name in ("read", "create", "apply", "events"):
        setattr(found, name, getattr(whole, name))
    yield found


@asynccontextmanager
async def reads_without_async(_: BackendContext) -> AsyncIterator[FakeBackend]:
    class Backend(FakeBackend):
        def read(self, ifname: str) -> DeviceState | None:  # type: ignore[override]  # the intended mistake
            return self.host.device(ifname)

    yield Backend(HOST)
