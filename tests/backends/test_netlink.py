"""The errors of the netlink backend where the kernel refuses a call. `tests/kernel` covers the calls that succeed."""

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from threading import get_ident
from typing import Any

import pytest
from pyroute2 import AsyncIPRoute
from pyroute2.netlink.exceptions import NetlinkError

from ikto_backends.netlink import open_netlink
from ikto_backends.netlink.errors import Operation, backend_errors
from ikto_backends.netlink.generic import GenericNetlink
from ikto_core.device.backend import Backend, BackendContext, read_peers
from ikto_core.device.model import DevicePatch
from ikto_core.errors import BackendError, NoSuchDeviceError
from ikto_core.lab.unprivileged import as_nobody
from ikto_core.testing.devices import create, public_key_of

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: the kernel refuses these requests to other users")
LOWER_MTU = DevicePatch(mtu=1400)
ABSENT = f"ikto-{os.getpid()}"[:15]


@pytest.fixture
async def backend(tmp_path: Path) -> AsyncIterator[Backend]:
    async with open_netlink(BackendContext(ifname=ABSENT, state_dir=tmp_path)) as backend:
        yield backend


async def test_an_absent_device_reads_as_none_and_can_be_deleted(backend: Backend) -> None:
    assert await backend.read(ABSENT) is None
    assert await read_peers(backend, ABSENT, {public_key_of(1)}) == {}
    await backend.delete(ABSENT)


@ROOT
@pytest.mark.parametrize(
    "call",
    [
        lambda backend: backend.read(ABSENT),
        lambda backend: backend.create(ABSENT),
        lambda backend: backend.apply(ABSENT, DevicePatch(mtu=1400, up=True)),
        lambda backend: backend.delete("lo"),
    ],
)
async def test_no_call_sends_to_the_kernel_from_the_event_loop(
    backend: Backend, call: Callable[[Backend], Awaitable[object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel works in the thread that sends, and may block it: then the event loop would stop."""
    threads: list[int] = []

    async def link(self: AsyncIPRoute, *arguments: Any, **named: Any) -> Any:
        threads.append(get_ident())
        return await original(self, *arguments, **named)

    original = AsyncIPRoute.link
    monkeypatch.setattr(AsyncIPRoute, "link", link)
    with suppress(BackendError):
        await call(backend)
    await backend.delete(ABSENT)
    assert threads
    assert get_ident() not in threads


@ROOT
@pytest.mark.parametrize("patch", [DevicePatch(fwmark=1), DevicePatch(peers=(create(1),)), DevicePatch(up=True)])
async def test_apply_to_an_absent_device_is_an_error_with_and_without_wireguard(
    backend: Backend, patch: DevicePatch
) -> None:
    with pytest.raises(NoSuchDeviceError):
        await backend.apply(ABSENT, patch)


@ROOT
async def test_a_link_of_another_kind_is_refused_and_unchanged(backend: Backend) -> None:
    before = mtu_of("lo")
    for call in (backend.read("lo"), backend.create("lo"), backend.delete("lo"), backend.apply("lo", LOWER_MTU)):
        with pytest.raises(BackendError, match="lo is not a WireGuard device") as caught:
            await call
        assert "wgtool" in caught.value.hint
    assert mtu_of("lo") == before


@ROOT
async def test_a_kernel_without_wireguard_is_an_error_with_a_hint(backend: Backend) -> None:
    refusal = await refusal_of(backend.create(ABSENT))
    await backend.delete(ABSENT)
    if refusal is None:
        pytest.skip("this kernel has WireGuard")
    assert "this kernel has no WireGuard" in str(refusal)
    assert "modprobe wireguard" in refusal.hint


async def test_missing_rights_are_an_error_that_names_the_capability(tmp_path: Path) -> None:
    with as_nobody():
        async with open_netlink(BackendContext(ifname=ABSENT, state_dir=tmp_path)) as backend:
            with pytest.raises(BackendError, match="no permission") as caught:
                await backend.create(ABSENT)
    assert "CAP_NET_ADMIN" in caught.value.hint


async def test_events_can_be_cancelled(backend: Backend) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(0.1):
            async for _ in backend.events():
                pass


@pytest.mark.parametrize(
    ("operation", "code", "message"),
    [
        (Operation.READ, errno.ENODEV, "there is no device 'wg0'"),
        (Operation.CONFIGURE, errno.EPERM, "no permission"),
        (Operation.CONFIGURE, errno.EADDRINUSE, "its UDP port is in use"),
        (Operation.LINK, errno.EADDRINUSE, "its UDP port is in use"),
        (Operation.CREATE, errno.EOPNOTSUPP, "this kernel has no WireGuard"),
        (Operation.READ, errno.EOPNOTSUPP, "wg0 is not a WireGuard device"),
        (Operation.ADDRESS, errno.EACCES, "IPv6 is disabled"),
        (Operation.LINK, errno.EACCES, "can't be set up or down: Permission denied"),
        (Operation.DELETE, errno.EINVAL, "can't be deleted: Invalid argument"),
    ],
)
def test_kernel_errors_are_mapped_to_backend_errors(operation: Operation, code: int, message: str) -> None:
    for native in (OSError(code, os.strerror(code)), NetlinkError(code)):
        with pytest.raises(BackendError, match=message) as caught, backend_errors("wg0", operation):
            raise native
        assert isinstance(caught.value, NoSuchDeviceError) == (code == errno.ENODEV)


def mtu_of(ifname: str) -> str:
    return Path(f"/sys/class/net/{ifname}/mtu").read_text()


async def refusal_of(call: Awaitable[None]) -> BackendError | None:
    try:
        await call
    except BackendError as error:
        return error
    return None


class Counted:
    """Counts what a backend asks the kernel: sockets of pyroute2, and requests to WireGuard's own family."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.route_sockets = self.dumps = self.messages = 0
        opened = AsyncIPRoute.bind

        async def bind(*arguments: Any, **options: Any) -> Any:
            self.route_sockets += 1
            return await opened(*arguments, **options)

        def dump(*_: object) -> list[bytes]:
            self.dumps += 1
            return []

        def send(_: object, __: int, messages: list[bytes]) -> None:
            self.messages += len(messages)

        monkeypatch.setattr(AsyncIPRoute, "bind", bind)
        monkeypatch.setattr(GenericNetlink, "dump", dump)
        monkeypatch.setattr(GenericNetlink, "send", send)

    @property
    def requests(self) -> tuple[int, int, int]:
        return self.route_sockets, self.dumps, self.messages


@pytest.mark.parametrize(
    ("call", "requests"),
    [
        (lambda backend: backend.apply("lo", DevicePatch(peers=(create(1),))), (0, 0, 1)),
        (lambda backend: backend.apply("lo", DevicePatch(remove_peers=frozenset({public_key_of(1)}))), (0, 0, 1)),
        (lambda backend: read_peers(backend, "lo", {public_key_of(1)}), (0, 1, 0)),
        (lambda backend: backend.read("lo"), (1, 1, 0)),
    ],
)
async def test_what_is_asked_of_the_kernel(
    backend: Backend, monkeypatch: pytest.MonkeyPatch, call: Callable[[Backend], Awaitable[object]], requests: object
) -> None:
    """One peer is one message or one dump; a socket of pyroute2, which costs more than both, is for the link only."""
    monkeypatch.setattr("ikto_backends.netlink.backend.WIREGUARD", "")  # the kind of `lo`
    counted = Counted(monkeypatch)
    await call(backend)
    assert counted.requests == requests
