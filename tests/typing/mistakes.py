"""Code that must not type-check: mypy and pyright must each report every mistake on its line.

Both are configured to report an unused `ignore` comment, so a mistake that one of them misses is an error.
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
async def open_wrong(context: BackendContext) -> AsyncGenerator[Backend, None]:
    yield TakesNoPatch()  # type: ignore[misc]  # pyright: ignore[reportReturnType]


async def not_a_context(context: BackendContext) -> None: ...


class WrongStrategy:
    def candidates(self, request: str) -> Iterable[Prefix]:
        return ()


@hookimpl
def ikto_register_backends() -> Iterable[BackendPlugin]:
    yield BackendPlugin(name="mine", summary="not a context manager", open=not_a_context)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    yield BackendPlugin("mine", "positional arguments", open_wrong)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    yield BackendPlugin(name="mine", open=open_wrong)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


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
    IpamPlugin(name="mine", summary="not a strategy", make=WrongStrategy)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    load_plugins().backend(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


class WrongObserver:
    async def see(self, events: PeerFacts) -> None: ...


@asynccontextmanager
async def open_wrong_observer(context: ObserverContext) -> AsyncGenerator[Observer, None]:
    yield WrongObserver()  # type: ignore[misc]  # pyright: ignore[reportReturnType]


async def embed() -> None:
    ObserverPlugin(name="mine", summary="not a context manager", open=not_a_context)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    async with running_agent({"private_address": "auto"}):  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        pass
    async with running_agent(Config(), private_key=KEY) as agent:  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        await agent.shown(10)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


class TestMyBackend(BackendContract):
    unsupported = ["C14"]  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]

    def establish(self) -> None: ...  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
