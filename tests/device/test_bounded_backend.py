"""A backend call that never returns is given up, no other call overlaps it, and it does not hang the agent."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Set
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from ikto_backends.fake import FakeBackend, FakeHost
from ikto_core.device.backend import Backend, BackendContext, BackendPlugin
from ikto_core.device.bounded_backend import BoundedBackend, CallLimits, open_bounded
from ikto_core.device.model import DevicePatch, DeviceState, PeerState
from ikto_core.errors import BackendError
from ikto_core.testing.devices import create, public_key_of
from ikto_core.values.keys import PublicKey
from tests.nodes import until

WG = "wg0"
SOON = CallLimits(call_s=0.05, per_peer_s=0.0, close_s=0.05)
PATIENT = CallLimits(call_s=60.0, close_s=60.0)
NOTHING, ONE_PEER = DevicePatch(), DevicePatch(peers=(create(1),))


class HangingBackend(FakeBackend):
    """Every call but `create` waits until `let_go`, as a blocked thread does: a cancellation does not end it."""

    def __init__(self) -> None:
        super().__init__(FakeHost())
        self.host.create(WG)
        self.hangs = True
        self.running = 0
        self.most_running = 0
        self.cancelled = 0

    def let_go(self) -> None:
        self.hangs = False

    async def read(self, ifname: str) -> DeviceState | None:
        await self._hang()
        return await super().read(ifname)

    async def read_peers(self, ifname: str, keys: Set[PublicKey]) -> Mapping[PublicKey, PeerState]:
        await self._hang()
        return await super().read_peers(ifname, keys)

    async def create(self, ifname: str) -> None:
        await self._hang()
        await super().create(ifname)

    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        await self._hang()
        await super().apply(ifname, patch)

    async def delete(self, ifname: str) -> None:
        await self._hang()
        await super().delete(ifname)

    async def _hang(self) -> None:
        self.running += 1
        self.most_running = max(self.running, self.most_running)
        while self.hangs:
            try:
                await asyncio.sleep(0.001)
            except asyncio.CancelledError:
                self.cancelled += 1
        self.running -= 1


@pytest.fixture
async def hanging() -> AsyncIterator[HangingBackend]:
    backend = HangingBackend()
    yield backend
    backend.let_go()
    await until(lambda: not backend.running)


def bounded(backend: Backend, limits: CallLimits = SOON) -> BoundedBackend:
    return BoundedBackend(backend, "hanging", asyncio.create_task, limits)


CALLS: dict[str, Callable[[BoundedBackend], Coroutine[Any, Any, object]]] = {
    "read": lambda backend: backend.read(WG),
    "read_peers": lambda backend: backend.read_peers(WG, {public_key_of(1)}),
    "create": lambda backend: backend.create(WG),
    "apply": lambda backend: backend.apply(WG, NOTHING),
    "delete": lambda backend: backend.delete(WG),
}


@pytest.mark.parametrize("name", CALLS)
async def test_every_call_that_does_not_return_is_an_error_with_a_hint(hanging: HangingBackend, name: str) -> None:
    with pytest.raises(
        BackendError, match=r"^backend 'hanging': \w+ (of|to) wg0 did not return within 0.05 s$"
    ) as raised:
        await CALLS[name](bounded(hanging))
    assert "CVE-2026-52945" in raised.value.hint


@pytest.mark.parametrize("name", CALLS)
async def test_while_a_call_is_stuck_every_other_fails_at_once_and_is_not_made(
    hanging: HangingBackend, name: str
) -> None:
    backend = bounded(hanging)
    with pytest.raises(BackendError) as first:
        await backend.apply(WG, ONE_PEER)
    assert backend.stuck
    for _ in range(3):
        with pytest.raises(BackendError) as again:
            await CALLS[name](backend)
        assert (str(again.value), again.value.hint) == (str(first.value), first.value.hint)
    assert hanging.most_running == 1


async def test_calls_work_again_once_the_stuck_one_has_ended(hanging: HangingBackend) -> None:
    backend = bounded(hanging)
    with pytest.raises(BackendError):
        await backend.apply(WG, ONE_PEER)
    hanging.let_go()
    await until(lambda: not backend.stuck)
    state = await backend.read(WG)
    assert state
    assert state.peers.keys() == {public_key_of(1)}, "the stuck write was carried out, before the next call"
    assert hanging.cancelled == 0


async def test_a_cancelled_caller_leaves_at_once_and_the_next_call_waits_for_the_one_before(
    hanging: HangingBackend,
) -> None:
    backend = bounded(hanging, PATIENT)
    caller = asyncio.ensure_future(backend.apply(WG, ONE_PEER))
    await until(lambda: hanging.running)
    caller.cancel()
    await asyncio.wait([caller])
    assert caller.cancelled()
    following = asyncio.ensure_future(backend.read(WG))
    for _ in range(10):
        await asyncio.sleep(0)
    assert (hanging.most_running, following.done(), backend.stuck) == (1, False, False)
    hanging.let_go()
    state = await following
    assert state
    assert state.peers
    assert hanging.most_running == 1


async def test_a_call_whose_caller_was_cancelled_is_stuck_after_its_limit_too(hanging: HangingBackend) -> None:
    backend = bounded(hanging)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.001):
            await backend.read(WG)
    with pytest.raises(BackendError, match="read of wg0 did not return"):
        await backend.apply(WG, NOTHING)
    assert backend.stuck


async def test_the_limit_grows_with_the_peers_on_the_device_and_in_the_patch() -> None:
    host = FakeHost()
    host.create(WG)
    host.tamper(WG, DevicePatch(peers=tuple(map(create, range(1, 41)))))
    backend = HangingBackend()
    backend.host, backend.hangs = host, False
    limited = bounded(backend, CallLimits(call_s=0.01, per_peer_s=0.001))
    await limited.read(WG)
    backend.hangs = True
    with pytest.raises(BackendError, match=r"within 0.06 s$"):
        await limited.apply(WG, DevicePatch(peers=tuple(map(create, range(1, 11)))))
    backend.let_go()
    await until(lambda: not backend.running)


async def test_results_and_errors_of_a_backend_that_returns_are_its_own() -> None:
    host = FakeHost()
    backend = bounded(FakeBackend(host), PATIENT)
    await backend.create(WG)
    await backend.apply(WG, ONE_PEER)
    assert await backend.read(WG) == host.device(WG)
    assert (await backend.read_peers(WG, {public_key_of(1), public_key_of(2)})).keys() == {public_key_of(1)}
    error = BackendError("no buffer space", hint="add some")
    host.fail_next("apply", error)
    with pytest.raises(BackendError) as raised:
        await backend.apply(WG, NOTHING)
    assert raised.value is error
    await backend.delete(WG)
    assert await backend.read(WG) is None


async def test_a_call_that_the_backend_cancels_itself_is_an_error_and_cancels_nobody() -> None:
    host = FakeHost()
    host.fail_next("read", asyncio.CancelledError())  # type: ignore[arg-type]
    with pytest.raises(BackendError, match="was cancelled by the backend itself"):
        await bounded(FakeBackend(host)).read(WG)


# -- opening and closing -----------------------------------------------------------------------------------------------


class Plugin:
    """A backend that never opens or never closes."""

    def __init__(self, backend: FakeBackend, *, opens: bool = True, closes: bool = True) -> None:
        self.backend, self.opens, self.closes = backend, opens, closes
        self.plugin = BackendPlugin(name="hanging", summary="", open=self.open)

    @asynccontextmanager
    async def open(self, _: BackendContext) -> AsyncIterator[Backend]:
        if not self.opens:
            await asyncio.Event().wait()
        try:
            yield self.backend
        finally:
            if not self.closes:
                await asyncio.Event().wait()


def context(tmp_path: Path) -> BackendContext:
    return BackendContext(ifname=WG, state_dir=tmp_path)


async def test_a_backend_that_does_not_open_is_an_error(tmp_path: Path) -> None:
    plugin = Plugin(FakeBackend(FakeHost()), opens=False).plugin
    with pytest.raises(BackendError, match=r"^backend 'hanging' did not open within 0.05 s$"):
        async with open_bounded(plugin, context(tmp_path), asyncio.create_task, SOON):
            raise AssertionError


@pytest.mark.parametrize("error", [None, ValueError("of the block"), TimeoutError("of the block")])
async def test_a_backend_that_does_not_close_is_given_up_and_hides_no_error(
    tmp_path: Path, error: Exception | None
) -> None:
    plugin = Plugin(FakeBackend(FakeHost()), closes=False).plugin

    async def use() -> None:
        async with open_bounded(plugin, context(tmp_path), asyncio.create_task, SOON):
            if error:
                raise error

    raised: Exception | None = None
    try:
        await use()
    except Exception as caught:  # noqa: BLE001 - any
        raised = caught
    assert raised is error


async def test_a_cancelled_block_is_cancelled_although_calls_and_the_close_hang(
    hanging: HangingBackend, tmp_path: Path
) -> None:
    plugin = Plugin(hanging, closes=False).plugin

    async def use() -> None:
        async with open_bounded(plugin, context(tmp_path), asyncio.create_task, SOON) as backend:
            with suppress(BackendError):
                await backend.apply(WG, NOTHING)
            await asyncio.Event().wait()

    task = asyncio.ensure_future(use())
    await until(lambda: hanging.running)
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=60)
    assert done
    assert task.cancelled()


async def test_calls_that_still_run_at_the_end_have_ended_when_the_backend_closes(
    hanging: HangingBackend, tmp_path: Path
) -> None:
    running_at_close: list[int] = []

    class Watched(Plugin):
        @asynccontextmanager
        async def open(self, _: BackendContext) -> AsyncIterator[Backend]:
            yield self.backend
            running_at_close.append(hanging.running)

    async with open_bounded(Watched(hanging).plugin, context(tmp_path), asyncio.create_task, PATIENT) as backend:
        with suppress(TimeoutError):
            async with asyncio.timeout(0.001):
                await backend.apply(WG, NOTHING)
        asyncio.get_running_loop().call_later(0.01, hanging.let_go)
    assert running_at_close == [0]
