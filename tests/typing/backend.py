"""A backend as its author writes it: checks the types of the names that it imports."""

from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from ipaddress import IPv4Interface, IPv6Interface
from pathlib import Path
from typing import assert_type

from ikto_core.plugins import (
    Backend,
    BackendContext,
    BackendError,
    BackendPlugin,
    DeviceEvent,
    DeviceEventKind,
    DevicePatch,
    DeviceState,
    Endpoint,
    IktoError,
    NoSuchDeviceError,
    PeerPatch,
    PeerState,
    Prefix,
    PresharedKey,
    PrivateKey,
    PublicKey,
    hookimpl,
)


class MyBackend:
    async def read(self, ifname: str) -> DeviceState | None:
        return DeviceState(listen_port=1) if ifname else None

    async def create(self, ifname: str) -> None: ...

    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        assert_type(patch.private_key, PrivateKey | None)
        assert_type(patch.listen_port, int | None)
        assert_type(patch.up, bool | None)
        assert_type(patch.add_addresses, frozenset[IPv4Interface | IPv6Interface])
        assert_type(patch.remove_peers, frozenset[PublicKey])
        for peer in patch.peers:
            assert_type(peer, PeerPatch)
            assert_type(peer.public_key, PublicKey)
            assert_type(peer.allowed_ips, frozenset[Prefix] | None)
            assert_type(peer.endpoint, Endpoint | None)
            assert_type(peer.preshared_key, PresharedKey | None)
        if not patch:
            raise NoSuchDeviceError(ifname, hint="none")

    async def delete(self, ifname: str) -> None: ...

    async def events(self) -> AsyncGenerator[DeviceEvent, None]:
        yield DeviceEvent("wg0", DeviceEventKind.GONE)


@asynccontextmanager
async def open_backend(context: BackendContext) -> AsyncGenerator[Backend, None]:
    assert_type(context.ifname, str)
    assert_type(context.state_dir, Path)
    assert_type(context.netns, str | None)
    yield MyBackend()


@hookimpl
def ikto_register_backends() -> Iterable[BackendPlugin]:
    return [BackendPlugin(name="mine", summary="drives my device", open=open_backend)]


async def use(plugin: BackendPlugin, context: BackendContext) -> None:
    async with plugin.open(context) as backend:
        assert_type(backend, Backend)
        state = await backend.read("wg0")
        assert_type(state, DeviceState | None)
        if state:
            assert_type(state.peers, Mapping[PublicKey, PeerState])
        async for event in backend.events():
            assert_type(event.kind, DeviceEventKind)


def values() -> None:
    assert_type(Prefix.parse("fd00::/8"), Prefix)
    assert_type(Prefix.parse("fd00::/8").length, int)
    assert_type(Endpoint.parse("192.0.2.1:1").host, str)
    assert_type(PrivateKey.generate().public(), PublicKey)
    assert_type(PublicKey.parse("").text, str)
    assert_type(BackendError("").hint, str)
    assert_type(IktoError.exit_code, int)
