"""The way to NATS, kept open for ever: one session after another, each a new connection."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from random import Random

import structlog

from ikto_core.errors import NatsError
from ikto_core.store.dial import dial
from ikto_core.store.login import LoginFileError
from ikto_core.store.session import NatsSettings, Session
from ikto_core.values.counters import ConnectionCounters

FIRST_BACKOFF_S = 0.25
LONGEST_BACKOFF_S = 30.0

log = structlog.get_logger(__name__)


@asynccontextmanager
async def open_session(settings: NatsSettings, random: Random) -> AsyncIterator[Session]:
    """Connect to any one of the servers, tried in random order; closed on leaving.

    Raises NatsError if none lets us in: the last one's; LoginFileError if a file that the login needs can't be used.
    """
    async with AsyncExitStack() as stack:
        yield await _first_that_answers(stack, settings, random)


async def _first_that_answers(stack: AsyncExitStack, settings: NatsSettings, random: Random) -> Session:
    failure = NatsError("nats_url names no server")
    for server in random.sample(settings.servers, len(settings.servers)):
        try:
            return await stack.enter_async_context(dial(settings, server))
        except NatsError as error:
            failure = error
    raise failure


class Backoff:
    """How long to wait after one failure and the next: twice as long each time, jittered, up to LONGEST_BACKOFF_S."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.reset()

    def reset(self) -> None:
        """Say that it worked: the next failure is a first one."""
        self._longest_s = FIRST_BACKOFF_S

    def next_s(self) -> float:
        """Return how long to wait now, in seconds."""
        longest_s = min(self._longest_s, LONGEST_BACKOFF_S)
        self._longest_s = longest_s * 2
        return longest_s * self._random.uniform(0.5, 1)


class Connection:
    """Dials again whenever a session ends, with capped, jittered backoff.

    Args:
        settings: Where NATS is; read anew at every dial, so that a renewed credential file is taken up.
        random: Jitter and the order of servers.
        patient: False: until a session has settled once, the first failure is final.

    """

    def __init__(self, settings: NatsSettings, random: Random, *, patient: bool) -> None:
        self.server = ""  # what we are connected to; empty: nothing
        self.failure = ""  # why we are not; empty: no failure yet
        self.stats = ConnectionCounters()
        self._settings = settings
        self._random = random
        self._patient = patient
        self._over = False
        self._backoff = Backoff(random)

    def settled(self) -> None:
        """Say that the present session serves its purpose: from now on every failure is worth another try."""
        self._patient = True
        self._backoff.reset()
        self.failure = ""

    def end(self) -> None:
        """Dial no more: for who cancels `run` while a session ends, when a TaskGroup may forget the cancellation."""
        self._over = True

    async def run(self, use: Callable[[Session], Awaitable[None]]) -> None:
        """Call `use` with one session after another until cancelled. Errors but NatsError and LoginFileError end it."""
        while True:
            try:
                async with open_session(self._settings, self._random) as session:
                    self.server = session.server
                    self.stats.sessions += 1
                    log.info("connected to NATS", server=session.server)
                    await use(session)
            except (NatsError, LoginFileError) as error:  # such a file may be one that is being renewed
                if not self._patient:
                    raise
                self.failure = str(error)
            finally:
                self.server = ""
            if self._over:
                return
            self.stats.failures += 1
            pause_s = self._backoff.next_s()
            log.warning("no connection to NATS", error=self.failure, next_try_in_s=round(pause_s, 1))
            await asyncio.sleep(pause_s)
