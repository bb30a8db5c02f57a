"""Tells one observer what is new, whatever it does with that."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import structlog

from ikto_core.config import Config
from ikto_core.errors import IktoError, described
from ikto_core.observers.contract import Observer, ObserverContext, ObserverPlugin
from ikto_core.observers.event_hub import EventHub, Reader
from ikto_core.underlay.paths import host_name
from ikto_core.values.counters import ObserverCounters

FIRST_RETRY_S = 1.0
LONGEST_RETRY_S = 60.0
CLOSE_TIMEOUT_S = 5.0
"""How long an observer may take to end: an agent that stops waits for it."""

log = structlog.get_logger(__name__)


class ObserverRun:
    """One observer as the configuration asks for it, and how it fares.

    Args:
        asked: What the configuration says; what log, status and metrics call it.
        plugin: What it names.
        context: What it is opened with.

    """

    def __init__(self, asked: str, plugin: ObserverPlugin, context: ObserverContext) -> None:
        self.asked = asked
        self.failure = ""  # why it is told nothing at present; empty: it is
        self.stats = ObserverCounters()
        self._plugin = plugin
        self._context = context
        self._reader: Reader | None = None
        self._began_at = 0.0
        self._ended_by = ""
        self._next_pause_s = FIRST_RETRY_S

    @property
    def waiting(self) -> int:
        """How many peers and records wait to be told of, at most."""
        return self._reader.waiting if self._reader else 0

    async def attempt(self, event_hub: EventHub) -> None:
        """Open the observer and tell it everything, then what is new; returns when it fails, whatever it raises.

        To be run as a task of its own: what it does with cancellations ends nothing else (up to Python 3.12 an
        asyncio.TaskGroup that fails may leave one behind). Then `failed` is to be called.
        """
        self._began_at = time.monotonic()
        self._ended_by = "it was cancelled"
        try:
            with event_hub.reader() as self._reader:
                async with self._opened() as observer:
                    await self._tell(observer, self._reader)
            self._ended_by = "it ended"
        except (asyncio.CancelledError, KeyboardInterrupt):
            raise
        except IktoError as error:
            self._ended_by = str(error)
        except BaseException as error:  # noqa: BLE001 - a panic of an extension is no Exception
            self._ended_by = described(error)
        finally:
            self._reader = None

    def failed(self) -> float:
        """Report how the last attempt ended; return how long to wait before the next, in seconds."""
        self.failure = self._ended_by
        self.stats.failures += 1
        lasted = time.monotonic() - self._began_at > LONGEST_RETRY_S
        pause_s = FIRST_RETRY_S if lasted else min(self._next_pause_s, LONGEST_RETRY_S)
        self._next_pause_s = pause_s * 2
        log.error("an observer failed", observer=self.asked, error=self.failure, next_try_in_s=pause_s)
        return pause_s

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[Observer]:
        """Open the observer; when it is to close, it gets CLOSE_TIMEOUT_S for that."""
        async with asyncio.timeout(None) as limit, self._plugin.open(self._context) as observer:
            try:
                yield observer
            finally:
                limit.reschedule(asyncio.get_running_loop().time() + CLOSE_TIMEOUT_S)

    async def _tell(self, observer: Observer, reader: Reader) -> None:
        _stop_if_cancelled()
        async for events in reader:
            await observer.see(events)
            _stop_if_cancelled()
            self.failure = ""
            self.stats.calls += 1
            self.stats.events += len(events)


def _stop_if_cancelled() -> None:
    """Raise CancelledError if this task was cancelled, although what it awaited went on."""
    if (task := asyncio.current_task()) and task.cancelling():
        raise asyncio.CancelledError


def observer_runs(config: Config, find: Callable[[str], ObserverPlugin]) -> tuple[ObserverRun, ...]:
    """Return a run for each observer that the configuration asks for; raises what `find` raises for a name."""
    return tuple(_observer_run(config, asked, find) for asked in config.observers)


def _observer_run(config: Config, asked: str, find: Callable[[str], ObserverPlugin]) -> ObserverRun:
    name, _, argument = asked.partition("=")
    context = ObserverContext(
        argument=argument,
        ifname=config.wg_dev_name,
        mesh_cidr=config.mesh_cidr,
        name=config.name or host_name(),
        state_dir=config.state_path(),
        nats_hosts=tuple(urlsplit(server).hostname or "" for server in config.nats_servers),
    )
    return ObserverRun(asked, find(name), context)
