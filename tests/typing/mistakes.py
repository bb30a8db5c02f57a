"""What must not type-check: every mistake is found on its line, by mypy and by pyright.

Both are told to complain of an `ignore` that ignores nothing, so a mistake that one of them misses fails.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import asynccontextmanager

from ikto_core.embedding import Config, running_agent
from ikto_core.plugins import (
    Backend,
    BackendContext,
    BackendPlugin,
    DeviceEvent,
    DevicePatch,
    DeviceState,
    Endpoint,
    IpamPlugin,
    Observer,
    ObserverContext,
    ObserverPlugin,
    PeerFacts,
    PeerPatch,
    Prefix,
    PresharedKey,
    PrivateKey,
    PublicKey,
    hookimpl,
    load_plugins,
)
from ikto_core.testing import BackendContract, NoSuchKit  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType]

__all__ = ["NoSuchKit"]

KEY = PublicKey(bytes(32))


class TakesNoPatch:
    async def read(self, ifname: str) -> DeviceState | None:
        return DeviceState()

    async def create(self, ifname: str) -> None: ...
    async def apply(self, ifname: str) -> None: ...
    async def delete(self, ifname: str) -> None: ...
    def events(self) -> AsyncIterator[DeviceEvent]:
        raise NotImplementedError


@asynccontextmanager
async def opened(context: BackendContext) -> AsyncGenerator[Backend, None]:
    yield TakesNoPatch()  # type: ignore[misc]  # pyright: ignore[reportReturnType]


async def not_a_context(context: BackendContext) -> None: ...


class Proposes:
    def candidates(self, request: str) -> Iterable[Prefix]:
        return ()


@hookimpl
def ikto_register_backends() -> Iterable[BackendPlugin]:
    yield BackendPlugin(name="mine", summary="no context", open=not_a_context)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    yield BackendPlugin("mine", "by place", opened)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    yield BackendPlugin(name="mine", open=opened)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def records(patch: DevicePatch) -> None:
    patch.up = True  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    DevicePatch(listen_port="51820")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    DevicePatch(peers=[PeerPatch(public_key=KEY)])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    DevicePatch(listen_prot=51820)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    PeerPatch(public_key=PrivateKey(bytes(32)))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    PeerPatch(public_key=KEY, preshared_key=KEY)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    PeerPatch(public_key=KEY, allowed_ips=frozenset({"fd00::/8"}))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    PeerPatch(public_key=KEY, endpoint="192.0.2.1:51820")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    DeviceState(up=1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Endpoint("192.0.2.1", "51820")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    PresharedKey("text")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    IpamPlugin(name="mine", summary="of no strategy", make=Proposes)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    load_plugins().backend(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


class SeesOne:
    async def see(self, events: PeerFacts) -> None: ...


@asynccontextmanager
async def watching(context: ObserverContext) -> AsyncGenerator[Observer, None]:
    yield SeesOne()  # type: ignore[misc]  # pyright: ignore[reportReturnType]


async def embedded() -> None:
    ObserverPlugin(name="mine", summary="no context", open=not_a_context)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    async with running_agent({"private_address": "auto"}):  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        pass
    async with running_agent(Config(), private_key=KEY) as agent:  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        await agent.shown(10)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


class TestMine(BackendContract):
    unsupported = ["C14"]  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]

    def establish(self) -> None: ...  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
