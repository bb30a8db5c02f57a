"""Bounds every call of a backend: a call that never returns is given up, and the agent goes on.

The kernel may never answer, and then a thread of the backend is blocked that nothing can end. Or a backend ignores a
cancellation. So each call runs in a task of its own, and outside a TaskGroup, which would wait for it. This is the one
exception to the rule that tasks live in a TaskGroup; it is the agent that starts them all the same (decision 16).

A call whose caller has gone, because the limit has passed or the caller was cancelled, is left to end and not
cancelled. A cancelled call ends, and what it has begun in the kernel may go on; left alone, it ends when that does.
Until then no other call is made, so writes never overlap.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Set
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, NamedTuple, TypeVar

import msgspec
import structlog

from ikto_core.device.backend import Backend, BackendContext, BackendPlugin, DeviceEvent, read_peers
from ikto_core.device.model import DevicePatch, DeviceState, PeerState
from ikto_core.errors import BackendError
from ikto_core.values.keys import PublicKey

T = TypeVar("T")
StartTask = Callable[[Coroutine[Any, Any, Any]], "asyncio.Task[Any]"]

STUCK_HINT = (
    "delete the device (`ip link delete`), and reboot if that does not return either: on some kernels the removal of a "
    "peer blocks for ever (CVE-2026-52945, threaded NAPI); kill a userspace WireGuard process that does not answer"
)

log = structlog.get_logger(__name__)


class CallLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How long calls may take, in seconds. Generous: a call that is given up although it works costs a full pass."""

    call_s: float = 30.0  # the kernel answers in milliseconds, also on a machine under load in seconds
    per_peer_s: float = 0.01  # for each peer on the device or in the patch; a slow emulated machine takes a tenth of it
    close_s: float = 3.0  # for calls that still run when the backend is closed, and then for its own closing


DEFAULT_LIMITS = CallLimits()


class _Call(NamedTuple):
    what: str  # for the message
    limit_s: float
    ends_at: float  # by the monotonic clock: then it counts as stuck


class BoundedBackend:
    """A backend whose calls all return in time: those of `backend`, or a BackendError after their limit.

    While a call is stuck, every other call fails at once with the same error. A call that was cancelled is waited for.

    Args:
        backend: What drives the devices.
        name: The backend's name, for messages.
        start: Starts a task outside any TaskGroup.
        limits: How long calls may take.

    """

    def __init__(self, backend: Backend, name: str, start: StartTask, limits: CallLimits | None = None) -> None:
        self._backend = backend
        self._name = name
        self._start = start
        self._limits = limits or DEFAULT_LIMITS
        self._left: dict[asyncio.Task[Any], _Call] = {}  # calls that run although their caller has gone
        self._peers = 0  # the most that a device was seen to have

    @property
    def stuck(self) -> bool:
        """Whether a call has not returned within its limit, and still has not."""
        now = time.monotonic()
        return any(call.ends_at <= now for call in self._left.values())

    async def read(self, ifname: str) -> DeviceState | None:
        """Return the state of the device; None if it is absent."""
        state = await self._call(f"read of {ifname}", partial(self._backend.read, ifname))
        self._peers = max(self._peers, len(state.peers) if state else 0)
        return state

    async def read_peers(self, ifname: str, keys: Set[PublicKey]) -> Mapping[PublicKey, PeerState]:
        """Return the states of those of these peers that the device has."""
        return await self._call(f"read of {ifname}", partial(read_peers, self._backend, ifname, keys))

    async def create(self, ifname: str) -> None:
        """Create the device unless it exists."""
        await self._call(f"create of {ifname}", partial(self._backend.create, ifname))

    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        """Write the values that the patch names, and nothing else."""
        written = len(patch.peers) + len(patch.remove_peers)
        await self._call(f"apply to {ifname}", partial(self._backend.apply, ifname, patch), written)

    async def delete(self, ifname: str) -> None:
        """Delete the device if it exists."""
        await self._call(f"delete of {ifname}", partial(self._backend.delete, ifname))

    def events(self) -> AsyncIterator[DeviceEvent]:
        """Yield the backend's events. They have no limit: to wait is their nature."""
        return self._backend.events()

    async def close(self) -> None:
        """Wait for calls that still run, and cancel those that take too long; some do not end even then."""
        await self._wait_for_left()
        for task in self._left:
            task.cancel()
        await self._wait_for_left()
        for call in self._left.values():
            log.error("backend call not ended", backend=self._name, call=call.what)

    async def _wait_for_left(self) -> None:
        if self._left:
            await asyncio.wait(self._left, timeout=self._limits.close_s / 2)

    async def _call(self, what: str, begin: Callable[[], Coroutine[Any, Any, T]], peers: int = 0) -> T:
        await self._no_call_is_left()
        limit_s = self._limits.call_s + self._limits.per_peer_s * (self._peers + peers)
        task, call = self._start(begin()), _Call(what, limit_s, time.monotonic() + limit_s)
        try:
            await asyncio.wait([task], timeout=limit_s)
            if not task.done():
                call = call._replace(ends_at=time.monotonic())
                raise self._error(call)
        finally:
            if not task.done():
                self._left[task] = call
                task.add_done_callback(self._ended)
        if task.cancelled():
            raise BackendError(f"backend {self._name!r}: {what} was cancelled by the backend itself")
        result: T = task.result()
        return result

    async def _no_call_is_left(self) -> None:
        """Wait for calls whose callers were cancelled; raise BackendError for one that is stuck."""
        while self._left:
            task, call = next(iter(self._left.items()))
            await asyncio.wait([task], timeout=max(0.0, call.ends_at - time.monotonic()))
            if not task.done():
                raise self._error(call)

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        call = self._left.pop(task)
        error = None if task.cancelled() else task.exception()
        if call.ends_at <= time.monotonic():
            log.warning("stuck backend call has ended", backend=self._name, call=call.what, error=error and str(error))

    def _error(self, call: _Call) -> BackendError:
        text = f"backend {self._name!r}: {call.what} did not return within {call.limit_s:g} s"
        return BackendError(text, hint=STUCK_HINT)


@asynccontextmanager
async def open_bounded(
    plugin: BackendPlugin, context: BackendContext, start: StartTask, limits: CallLimits | None = None
) -> AsyncIterator[BoundedBackend]:
    """Open a backend for bounded calls. Opening it and closing it are bounded too; an error of the block comes first.

    Raises BackendError if the backend does not open in time, or as its `open`.
    """
    limits = limits or DEFAULT_LIMITS
    deadline = asyncio.timeout(limits.call_s)
    bounded: BoundedBackend | None = None
    raised: BaseException | None = None  # by the block
    try:
        async with deadline, plugin.open(context) as backend:
            deadline.reschedule(None)
            bounded = BoundedBackend(backend, plugin.name, start, limits)
            try:
                yield bounded
            except BaseException as error:
                raised = error
                raise
            finally:
                await bounded.close()
                deadline.reschedule(asyncio.get_running_loop().time() + limits.close_s)
    except TimeoutError:
        if not deadline.expired():
            raise
        if bounded is None:
            text = f"backend {plugin.name!r} did not open within {limits.call_s:g} s"
            raise BackendError(text, hint=STUCK_HINT) from None
        if raised:
            raise raised from None
    finally:
        if bounded is not None and deadline.expired():
            log.error("backend not closed", backend=plugin.name, ifname=context.ifname)
