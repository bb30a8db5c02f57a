"""Bounds every call of the plugin under test: the kit ends, and names the call that did not.

Each call runs in a task of its own, so that one that ignores its cancellation can be left behind. Values of another
type than the contract says are named at once, not where a later comparison fails.
"""

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Set
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, TypeVar, cast

from msgspec.structs import replace

from ikto_core.device.backend import Backend, BackendContext, BackendPlugin, DeviceEvent, PeerReader
from ikto_core.device.model import DevicePatch, DeviceState, PeerState
from ikto_core.testing.daemon_executor import exit_despite_threads, use_daemon_threads
from ikto_core.testing.loop_watch import LoopBlockedError
from ikto_core.testing.result_types import check_device, check_event, check_method, check_peer
from ikto_core.testing.retrieved import retrieved
from ikto_core.testing.verdict import ClauseError
from ikto_core.values.keys import PublicKey

T = TypeVar("T")

METHODS = ("read", "create", "apply", "delete", "events")
MOST_UNREAD_EVENTS, PER_PEER_S = 10_000, 0.01  # a write may take so much longer for each peer, as in the agent


_abandoned: list["asyncio.Task[Any]"] = []


async def bounded(what: str, call: Callable[[], Awaitable[T]], limit_s: float) -> T:
    """Return what the call returns, or raise what it raises. Raises ClauseError if it does not end.

    It may take `limit_s`, and as long again to end once it is cancelled.
    """
    use_daemon_threads()
    task = retrieved(asyncio.ensure_future(_plain(what, call)))
    try:
        await asyncio.wait({task}, timeout=limit_s)
    except asyncio.CancelledError:
        await _end(task, f"your `{what}` has not ended {limit_s:g} s after it was cancelled: it swallows the "
                   "cancellation", limit_s)  # fmt: skip
        if task.cancelled():
            raise
        return task.result()
    if not task.done():
        text = f"your `{what}` has not returned after {limit_s:g} s"
        await _end(task, f"{text}, nor when it was cancelled", limit_s)
        raise ClauseError("C16", text, hangs=True)
    if task.cancelled():
        raise ClauseError("C16", f"your `{what}` raised CancelledError, and nobody had cancelled it")
    return task.result()


async def _end(task: "asyncio.Task[T]", text: str, limit_s: float) -> None:
    """Cancel a task and wait until it has ended. Raises ClauseError with the text, and abandons it, if it does not."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await asyncio.wait({task}, timeout=limit_s)
    if not task.done():
        abandon(task)
        raise ClauseError("C16", text, hangs=True)


def abandon(task: "asyncio.Task[T]") -> None:
    """Leave a task behind that can't be cancelled, so that the loop does not wait for it at its end."""
    exit_despite_threads()
    _abandoned.append(task)  # never collected: closing its coroutine would fail as cancelling it did
    task.cancel()
    asyncio.tasks._unregister_task(task)  # noqa: SLF001 - documented for "Extending asyncio"


async def _plain(what: str, call: Callable[[], Awaitable[T]]) -> T:
    """Await a call; what would end the event loop becomes a verdict."""
    try:
        awaitable: object = call()
        if not inspect.isawaitable(awaitable):
            text = f"your `{what}` returned {type(awaitable).__name__}, not a coroutine: define it with `async def`"
            raise ClauseError("C23", text)
        result: T = await awaitable
        return result  # noqa: TRY300 - one path
    except LoopBlockedError as error:
        raise ClauseError("C16", f"your `{what}` never yields to the event loop: {error}", hangs=True) from error
    except SystemExit as error:
        raise ClauseError("C8", f"your `{what}` raised SystemExit, which ends the agent") from error


class GuardedBackend:
    """A backend whose calls all end. `backend` is the one under test."""

    def __init__(self, backend: Backend, limit_s: float) -> None:
        self.backend = backend
        self.limit_s = limit_s

    async def read(self, ifname: str) -> DeviceState | None:
        """Return the state of the device."""
        return check_device(await bounded("read", partial(self.backend.read, ifname), self.limit_s))

    async def create(self, ifname: str) -> None:
        """Create the device."""
        await bounded("create", partial(self.backend.create, ifname), self.limit_s)

    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        """Write the values that the patch names."""
        limit_s = self.limit_s + PER_PEER_S * (len(patch.peers) + len(patch.remove_peers))
        await bounded("apply", partial(self.backend.apply, ifname, patch), limit_s)

    async def delete(self, ifname: str) -> None:
        """Delete the device."""
        await bounded("delete", partial(self.backend.delete, ifname), self.limit_s)

    def events(self) -> AsyncIterator[DeviceEvent]:
        """Yield the events; to wait for one has no limit."""
        found: object = self.backend.events()
        if inspect.iscoroutine(found):
            found.close()
            raise ClauseError(
                "C9", "your `events` is a coroutine function without `yield`: write it as an async generator"
            )
        if not isinstance(found, AsyncIterator):
            name = type(found).__name__
            raise ClauseError(
                "C9", f"your `events` returned {name}, not an async iterator: write `async def` and `yield`"
            )
        return _pumped(found, self.limit_s)


class GuardedReader(GuardedBackend):
    """A guarded backend that can read a few peers."""

    def __init__(self, backend: Backend, reader: PeerReader, limit_s: float) -> None:
        super().__init__(backend, limit_s)
        self._reader = reader

    async def read_peers(self, ifname: str, keys: Set[PublicKey]) -> Mapping[PublicKey, PeerState]:
        """Return the states of these peers."""
        found = await bounded("read_peers", partial(self._reader.read_peers, ifname, keys), self.limit_s)
        for peer in found.values():
            check_peer(peer)
        return found


async def _pumped(events: AsyncIterator[DeviceEvent], limit_s: float) -> AsyncGenerator[DeviceEvent, None]:
    """Yield the events that a task of its own takes from the backend: one task has the iterator, as in the core."""
    queue: asyncio.Queue[DeviceEvent | None] = asyncio.Queue()

    use_daemon_threads()
    task = retrieved(asyncio.ensure_future(_pump(events, queue)))
    try:
        while (event := await queue.get()) is not None:
            yield event
        await task
    finally:
        if not task.done():
            text = f"your `events` has not ended {limit_s:g} s after it was cancelled: it swallows the cancellation"
            await _end(task, text, limit_s)


def guarded_backend(backend: Backend, limit_s: float) -> GuardedBackend:
    """Return the backend with bounded calls. Raises ClauseError if it is not one."""
    for name in METHODS:
        check_method(backend, name)
    if isinstance(backend, PeerReader):
        return GuardedReader(backend, backend, limit_s)
    return GuardedBackend(backend, limit_s)


async def _pump(events: AsyncIterator[DeviceEvent], queue: "asyncio.Queue[DeviceEvent | None]") -> None:
    """Put events in the queue, and None at their end."""
    try:
        async for event in events:
            queue.put_nowait(check_event(event))
            if queue.qsize() > MOST_UNREAD_EVENTS:
                raise ClauseError("C9", "your `events` yields events without end, although nothing changes")
            await asyncio.sleep(0)  # a generator that never waits must not block the loop
    except LoopBlockedError as error:
        raise ClauseError("C9", f"your `events` never yields to the event loop: {error}", hangs=True) from error
    finally:
        queue.put_nowait(None)
        if isinstance(events, AsyncGenerator):
            await events.aclose()


def original(backend: Backend) -> Backend:
    """Return the backend that a guarded one guards: what overridden methods of a kit get."""
    return backend.backend if isinstance(backend, GuardedBackend) else backend


def guarded_plugin(plugin: BackendPlugin, limit_s: float) -> BackendPlugin:
    """Return the plugin, whose `open` gives a guarded backend, and ends."""
    return replace(plugin, open=partial(_opened, plugin, limit_s))


@asynccontextmanager
async def _opened(plugin: BackendPlugin, limit_s: float, context: BackendContext) -> AsyncIterator[GuardedBackend]:
    """Open the backend in a task of its own, which also closes it: a TaskGroup or a timeout may span both."""
    use_daemon_threads()
    ready: asyncio.Future[Backend] = asyncio.get_running_loop().create_future()
    closing = asyncio.Event()
    task = retrieved(asyncio.ensure_future(_plain("open", partial(_hold, plugin, context, ready, closing))))
    try:
        await asyncio.wait(
            cast("set[asyncio.Future[object]]", {task, ready}), timeout=limit_s, return_when=asyncio.FIRST_COMPLETED
        )
        if not ready.done():
            await _not_opened(task, limit_s)
        yield guarded_backend(ready.result(), limit_s)
    finally:
        closing.set()
        await _closed(task, limit_s)
        if not ready.done():
            ready.cancel()
    if not task.cancelled():
        task.result()


async def _hold(
    plugin: BackendPlugin, context: BackendContext, ready: "asyncio.Future[Backend]", closing: asyncio.Event
) -> None:
    """Open the backend, and close it once `closing` is set."""
    manager: object = plugin.open(context)
    if not (hasattr(manager, "__aenter__") and hasattr(manager, "__aexit__")):
        if inspect.iscoroutine(manager):
            manager.close()
        text = f"your `open` returned {type(manager).__name__}, not an async context manager"
        raise ClauseError("C23", f"{text}: decorate it with @asynccontextmanager")
    async with manager as backend:
        ready.set_result(backend)
        await closing.wait()


async def _closed(task: "asyncio.Task[None]", limit_s: float) -> None:
    if not task.done():
        await asyncio.wait({task}, timeout=limit_s)
    if not task.done():
        text = f"your backend has not closed after {limit_s:g} s"
        await _end(task, f"{text}, nor when it was cancelled", limit_s)
        raise ClauseError("C16", text, hangs=True)


async def _not_opened(task: "asyncio.Task[None]", limit_s: float) -> None:
    if task.done():
        task.result()
        raise ClauseError("C23", "your `open` ended without yielding a backend")
    text = f"your `open` has not returned after {limit_s:g} s"
    await _end(task, f"{text}, nor when it was cancelled", limit_s)
    raise ClauseError("C16", text, hangs=True)
