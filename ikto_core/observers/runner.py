"""Runs one observer, whatever it does: it is opened, told, and after a failure opened anew."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import structlog

from ikto_core.config import Config
from ikto_core.counters import ObserverCounters
from ikto_core.egress import host_name
from ikto_core.errors import IktoError
from ikto_core.observers.contract import Observer, ObserverContext, ObserverPlugin
from ikto_core.observers.newsroom import Newsroom, Reader
from ikto_core.store.cancelling import cancellation_kept

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

    @property
    def waiting(self) -> int:
        """How many peers and records wait to be told of, at most."""
        return self._reader.telling.waiting if self._reader else 0

    async def run(self, news: Newsroom) -> None:
        """Tell the observer what is new, until cancelled. Whatever it raises ends nothing but this telling."""
        retry_s = FIRST_RETRY_S
        while True:
            began_at = time.monotonic()
            self.failure = await self._attempt(news)
            self.stats.failures += 1
            if time.monotonic() - began_at > LONGEST_RETRY_S:
                retry_s = FIRST_RETRY_S
            log.error("an observer failed", observer=self.asked, error=self.failure, next_try_in_s=retry_s)
            await asyncio.sleep(retry_s)
            retry_s = min(retry_s * 2, LONGEST_RETRY_S)

    async def _attempt(self, news: Newsroom) -> str:
        """Open the observer and tell it everything, then what is new; return why that ended."""
        try:
            with cancellation_kept(), news.reader() as self._reader:
                async with self._opened() as observer:
                    await self._tell(observer, self._reader)
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) and task.cancelling():
                raise
            return "it raised CancelledError"
        except IktoError as error:
            return str(error)
        except (Exception, SystemExit, BaseExceptionGroup) as error:  # noqa: BLE001 - a plugin may raise anything, and must harm no other
            return f"{type(error).__name__}: {error}"
        finally:
            self._reader = None
        return "it ended"

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[Observer]:
        """Open the observer; when it is to close, it gets CLOSE_TIMEOUT_S for that."""
        async with asyncio.timeout(None) as limit, self._plugin.open(self._context) as observer:
            try:
                yield observer
            finally:
                limit.reschedule(asyncio.get_running_loop().time() + CLOSE_TIMEOUT_S)

    async def _tell(self, observer: Observer, reader: Reader) -> None:
        async for events in reader:
            with cancellation_kept():
                await observer.see(events)
            self.failure = ""
            self.stats.calls += 1
            self.stats.events += len(events)


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
    )
    return ObserverRun(asked, find(name), context)
