"""Tests of C16, C21 and C23 that run first: what hangs is found before other tests wait for it."""

import asyncio
import gc
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from msgspec.structs import replace

from ikto_core.device.backend import Backend, BackendContext, BackendPlugin, read_peers
from ikto_core.device.model import DevicePatch
from ikto_core.errors import BackendError
from ikto_core.testing.blocking import blocking_calls
from ikto_core.testing.clauses import clause
from ikto_core.testing.contract_base import ContractBase
from ikto_core.testing.devices import check_equal, create, new_device, private_key_of, public_key_of, read_device
from ikto_core.testing.loop_watch import LoopBlockedError
from ikto_core.testing.retrieved import retrieved
from ikto_core.testing.verdict import ClauseError

Calls = Mapping[str, Callable[[], Awaitable[object]]]

_FDS = Path("/proc/self/fd")
WARM_UP, REPEATS = 5, 50
"""Calls before the first count, and until the second one."""
ALLOWED = {"threads": 15}
ALLOWED_OF_OTHERS = 5
"""The growth that is no leak: a pool of threads grows, and what has just ended is counted for a moment."""


class LoopClauses(ContractBase):
    """Clauses about how calls run and what they leave."""

    @clause("C16")
    async def test_no_call_blocks_the_event_loop(
        self, plugin: BackendPlugin, context: BackendContext, backend: Backend, ifname: str
    ) -> None:
        """Looks for what waits in the loop's thread, such as `time.sleep`, `subprocess.run` and a blocking socket."""
        with blocking_calls() as blocking:
            try:
                await self._each_call(plugin, context, backend, ifname)
            except (Exception, LoopBlockedError):
                if not blocking.found:
                    raise
        if blocking.found:
            raise ClauseError("C16", f"the backend blocks the event loop: {blocking.found[0]}")

    @clause("C23")
    async def test_the_methods_and_values_have_the_types_of_the_contract(self, backend: Backend, ifname: str) -> None:
        """Each method is called once, on a device with peers of both families."""
        state = await self._device_with_peers(backend, ifname, 3)
        await backend.apply(ifname, DevicePatch())
        check_equal(await read_device(backend, ifname), state)
        shown = await backend.read(ifname)
        before = dict(shown.peers) if shown else {}
        await backend.apply(ifname, DevicePatch(peers=(create(4),), remove_peers=frozenset({public_key_of(1)})))
        check_equal(dict(shown.peers) if shown else {}, before)  # a state that was read does not change afterwards
        await _close(backend.events())
        await read_peers(backend, ifname, set(state.peers))

    @clause("C21")
    async def test_many_calls_leave_nothing_behind(
        self, plugin: BackendPlugin, context: BackendContext, backend: Backend, ifname: str
    ) -> None:
        """Counts file descriptors, threads, tasks and child processes around fifty calls of each kind."""
        await self._device_with_peers(backend, ifname, 2)
        wrong = DevicePatch(listen_port=70000)
        calls: Calls = {
            "read": lambda: backend.read(ifname),
            "read_peers": lambda: read_peers(backend, ifname, {public_key_of(1)}),
            "create": lambda: backend.create(ifname),
            "apply": lambda: backend.apply(ifname, DevicePatch(fwmark=9, peers=(replace(create(1), create=False),))),
            "apply that fails": lambda: _failing(backend.apply(ifname, wrong)),
            "read that is cancelled": lambda: _cancelled(backend.read(ifname)),
            "apply that is cancelled": lambda: _cancelled(backend.apply(ifname, DevicePatch(peers=(create(1),)))),
            "events": lambda: _first_event(backend),
            "open and close": lambda: _open_and_close(plugin, context),
            "delete and create": lambda: new_device(backend, ifname),
        }
        for name, call in calls.items():
            for _ in range(WARM_UP):
                await call()
            before = _left()
            for _ in range(REPEATS):
                await call()
            if grown := await self._grown(before):
                raise AssertionError(f"{REPEATS} calls of `{name}` left {grown}")

    @clause("C21")
    async def test_closing_ends_what_the_backend_has_started(
        self, plugin: BackendPlugin, context: BackendContext, backend: Backend, ifname: str
    ) -> None:
        """A write that was cancelled just before: nothing of it runs or writes once the backend has closed."""
        many = DevicePatch(peers=tuple(map(create, range(1, 301))))
        for delay_s in (0.0, 0.001, 0.01):
            await new_device(backend, ifname)
            await backend.apply(ifname, DevicePatch(private_key=private_key_of(1)))
            before = asyncio.all_tasks()
            async with plugin.open(context) as closing:
                await _cancelled(closing.apply(ifname, many), delay_s)
            if left := [task for task in asyncio.all_tasks() - before if not task.done()]:
                raise AssertionError(f"a task still runs after closing: {left[0].get_coro()}")
            shown = await read_device(backend, ifname)
            for _ in range(20):
                await asyncio.sleep(0.02)
                check_equal(await read_device(backend, ifname), shown)

    async def _each_call(self, plugin: BackendPlugin, context: BackendContext, backend: Backend, ifname: str) -> None:
        await self._device_with_peers(backend, ifname, 3)
        await read_peers(backend, ifname, {public_key_of(2)})
        many = DevicePatch(mtu=1300, peers=tuple(map(create, range(4, 20))), remove_peers=frozenset({public_key_of(1)}))
        for patch in (many, DevicePatch(up=True)):
            await backend.apply(ifname, patch)
        await _first_event(backend)
        await backend.delete(ifname)
        await backend.read(ifname)
        await _open_and_close(plugin, context)

    async def _grown(self, before: Mapping[str, int]) -> str:
        """Return what has grown since, in words; waits for what is about to end. Empty: nothing."""
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + self.patience_s
        while grown := list(_growth(before, _left())):
            if loop.time() > give_up_at:
                return " and ".join(grown)
            await asyncio.sleep(0.05)
        return ""


def _growth(before: Mapping[str, int], now: Mapping[str, int]) -> Iterator[str]:
    for what, count in now.items():
        if count > before[what] + ALLOWED.get(what, ALLOWED_OF_OTHERS):
            yield f"{count - before[what]} {what}"


def _left() -> Mapping[str, int]:
    """Return how many of each there are now in this process."""
    gc.collect()
    return {
        "file descriptors": len(list(_FDS.iterdir())) if _FDS.exists() else 0,
        "threads": threading.active_count(),
        "tasks": len(asyncio.all_tasks()),
        "child processes": _children(),
    }


def _children() -> int:
    found = 0
    for path in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):  # the thread has ended
            found += len(path.read_text().split())
    return found


async def _failing(call: Awaitable[None]) -> None:
    with suppress(BackendError):
        await call


async def _cancelled(call: Awaitable[object], delay_s: float = 0.0) -> None:
    """Begin a call, cancel it after a moment, and wait until it has ended."""
    task = retrieved(asyncio.ensure_future(call))
    await asyncio.sleep(0)
    if delay_s:
        await asyncio.wait({task}, timeout=delay_s)
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.result()


async def _first_event(backend: Backend) -> None:
    """Begin to wait for an event, and stop."""
    events = backend.events()

    async def wait() -> None:
        with suppress(StopAsyncIteration):
            await anext(events)

    try:
        await _cancelled(wait(), 0.02)
    finally:
        await _close(events)


async def _close(events: object) -> None:
    if isinstance(events, AsyncGenerator):
        await events.aclose()


async def _open_and_close(plugin: BackendPlugin, context: BackendContext) -> None:
    async with plugin.open(context):
        pass
