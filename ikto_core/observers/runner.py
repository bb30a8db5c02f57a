"""Runs one observer: opens it, delivers events, and records how it fails."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

import msgspec
import structlog

from ikto_core.errors import IktoError, described
from ikto_core.observers.contract import Observer, ObserverContext, ObserverPlugin
from ikto_core.observers.event_hub import EventHub, Reader
from ikto_core.values.counters import ObserverCounters

FIRST_RETRY_S = 1.0
LONGEST_RETRY_S = 60.0
CLOSE_TIMEOUT_S = 5.0
"""How long an observer may take to close. An agent that stops waits for it."""

log = structlog.get_logger(__name__)


class ObserverRun:
    """One configured observer, with its counters and its last failure.

    Args:
        name: `NAME` or `NAME=ARGUMENT`, as in the configuration; its name in log, status and metrics.
        plugin: The plugin with that name.
        context: The argument of the plugin's `open`.

    """

    def __init__(self, name: str, plugin: ObserverPlugin, context: ObserverContext) -> None:
        self.name = name
        self.failure = self.hint = ""  # why it receives no events at present, and what to do; empty: it does
        self.stats = ObserverCounters()
        self._plugin = plugin
        self._context = context
        self._reader: Reader | None = None
        self._began_at = 0.0
        self._ended_by = self._end_hint = ""
        self._next_pause_s = FIRST_RETRY_S

    @property
    def waiting(self) -> int:
        """An upper bound of the peers and records with an event to deliver."""
        return self._reader.waiting if self._reader else 0

    async def attempt(self, event_hub: EventHub) -> None:
        """Open the observer and deliver events until it fails; returns then, whatever the observer raised.

        Run it as a task of its own, so that a stray cancellation ends nothing else: up to Python 3.12 an
        asyncio.TaskGroup that fails may leave one behind. Call `record_failure` afterwards.
        """
        self._began_at = time.monotonic()
        self._ended_by, self._end_hint = "cancelled", ""
        try:
            with event_hub.reader() as self._reader:
                async with self._open() as observer:
                    await self._deliver(observer, self._reader)
            self._ended_by = "ended"
        except (asyncio.CancelledError, KeyboardInterrupt):
            raise
        except IktoError as error:
            self._ended_by, self._end_hint = str(error), error.hint
        except BaseException as error:  # noqa: BLE001 - a panic of a Rust extension is not an Exception
            self._ended_by = described(error)
        finally:
            self._reader = None

    def record_failure(self) -> float:
        """Log and count the end of the last attempt. Returns the pause before the next attempt, in seconds."""
        self.failure, self.hint = self._ended_by, self._end_hint
        self.stats.failures += 1
        lasted = time.monotonic() - self._began_at > LONGEST_RETRY_S
        pause_s = FIRST_RETRY_S if lasted else min(self._next_pause_s, LONGEST_RETRY_S)
        self._next_pause_s = pause_s * 2
        log.error("observer failed", observer=self.name, error=self.failure, hint=self.hint, next_try_in_s=pause_s)
        return pause_s

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[Observer]:
        """Open the observer, and give it CLOSE_TIMEOUT_S to close."""
        async with asyncio.timeout(None) as limit, self._plugin.open(self._context) as observer:
            try:
                yield observer
            finally:
                limit.reschedule(asyncio.get_running_loop().time() + CLOSE_TIMEOUT_S)

    async def _deliver(self, observer: Observer, reader: Reader) -> None:
        _stop_if_cancelled()
        async for events in reader:
            await observer.see(events)
            _stop_if_cancelled()
            self.failure = self.hint = ""
            self.stats.calls += 1
            self.stats.events += len(events)
            del events  # the first ones are all peers, and the next ones may be hours away


def _stop_if_cancelled() -> None:
    """Raise CancelledError if this task was cancelled and the awaited code swallowed that."""
    if (task := asyncio.current_task()) and task.cancelling():
        raise asyncio.CancelledError


def observer_runs(
    requested: Iterable[str], context: ObserverContext, find: Callable[[str], ObserverPlugin]
) -> tuple[ObserverRun, ...]:
    """Return one run per requested observer. Raises what `find` raises for an unknown name.

    Args:
        requested: The setting `observers`: texts `NAME` or `NAME=ARGUMENT`.
        context: The context for all of them; each gets its own argument.
        find: Returns the plugin with a name.

    """
    return tuple(_observer_run(text, context, find) for text in requested)


def _observer_run(text: str, context: ObserverContext, find: Callable[[str], ObserverPlugin]) -> ObserverRun:
    name, _, argument = text.partition("=")
    return ObserverRun(text, find(name), msgspec.structs.replace(context, argument=argument))
