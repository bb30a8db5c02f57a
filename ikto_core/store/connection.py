"""The connection to NATS: one session after another, redialled with backoff for as long as the agent runs."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from random import Random
from urllib.parse import urlsplit

import structlog

from ikto_core.errors import NatsDeniedError, NatsError
from ikto_core.store.addresses import targets
from ikto_core.store.answers import NoAnswerError
from ikto_core.store.dial import dial
from ikto_core.store.inside_mesh import cut_off, is_inside
from ikto_core.store.login import without_user
from ikto_core.store.login_failure import UNREACHABLE_HINT, unreachable
from ikto_core.store.login_files import LoginFileError
from ikto_core.store.session import NatsSettings, Session
from ikto_core.values.counters import ConnectionCounters

FIRST_BACKOFF_S = 0.25
LONGEST_BACKOFF_S = 30.0

MAX_SHOWN_FAILURES = 8
"""An error names so many addresses, and counts the others."""

log = structlog.get_logger(__name__)


@asynccontextmanager
async def open_session(settings: NatsSettings, random: Random) -> AsyncIterator[Session]:
    """Connect to one of the servers, tried in random order, address by address; the session is closed on leaving.

    Raises NatsError, which names every address tried and why it failed, if none accepts the connection; LoginFileError
    if a file for the login can't be used.
    """
    async with AsyncExitStack() as stack:
        yield await _dial_any(stack, settings, random)


async def _dial_any(stack: AsyncExitStack, settings: NatsSettings, random: Random) -> Session:
    failures: list[NatsError] = []
    servers = random.sample(settings.servers, len(settings.servers))
    for number, server in enumerate(servers, 1):
        try:
            found = await targets(server, is_last=number == len(servers))
        except (OSError, UnicodeError) as error:  # UnicodeError: not a host name
            failures.append(unreachable(without_user(server), error))
            continue
        for target in found:
            try:
                return await stack.enter_async_context(dial(settings, target))
            except NatsDeniedError as error:
                failures.append(error)
            except NatsError as error:
                address, mesh = target.address or urlsplit(server).hostname or "", settings.mesh
                failures.append(cut_off(error, address, mesh) if mesh and is_inside(mesh, address) else error)
    raise _joined(failures)


def _joined(failures: Sequence[NatsError]) -> NatsError:
    """Return one error for the failures of all addresses, with the most telling hint."""
    if len(failures) < 2:
        return failures[0] if failures else NatsError("nats_url names no server")
    shown = [str(failure) for failure in failures[:MAX_SHOWN_FAILURES]]
    if more := len(failures) - len(shown):
        shown.append(f"and {more} more")
    hints = [failure.hint for failure in failures if failure.hint != UNREACHABLE_HINT] or [UNREACHABLE_HINT]
    denied = all(isinstance(failure, NatsDeniedError) for failure in failures)
    return (NatsDeniedError if denied else NatsError)("; ".join(shown), hint=hints[0])


class Backoff:
    """The pause between attempts: doubled after each failure, up to LONGEST_BACKOFF_S, with jitter."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.reset()

    def reset(self) -> None:
        """Start again with the shortest pause, after a success."""
        self._longest_s = FIRST_BACKOFF_S

    def next_s(self) -> float:
        """Return the next pause, in seconds."""
        longest_s = min(self._longest_s, LONGEST_BACKOFF_S)
        self._longest_s = longest_s * 2
        return longest_s * self._random.uniform(0.5, 1)


class Connection:
    """Dials a new session whenever one ends.

    Args:
        settings: Servers and login. Credential files are read at every dial, so a renewed file is used.
        random: Jitter, and the order of servers.
        keep_trying: Returns whether to retry. While it returns False, a failure before `mark_healthy` is final, except
            that a request got no answer in time: a server that starts, or that has many agents to serve, may be slow.

    """

    def __init__(self, settings: NatsSettings, random: Random, *, keep_trying: Callable[[], bool]) -> None:
        self.server = ""  # URL of the connected server; empty: not connected
        self.failure = self.hint = ""  # why the last attempt or session ended, and what to do; empty: no failure
        self.error: NatsError | LoginFileError | None = None  # the same as it was raised
        self.stats = ConnectionCounters()
        self._settings = settings
        self._random = random
        self._keep_trying = keep_trying
        self._was_healthy = False
        self._session: Session | None = None
        self._stopped = False
        self._backoff = Backoff(random)

    def mark_healthy(self) -> None:
        """Report that the session works: from now on failures are retried, beginning with the shortest pause."""
        self._was_healthy = True
        self._backoff.reset()
        self.failure, self.hint, self.error = "", "", None

    def end_session_without(self, has_address: Callable[[str], bool]) -> None:
        """Dial anew if this host no longer has the address of the connection: its packets arrive nowhere.

        Otherwise that would be noticed only when two pings are unanswered.
        """
        session = self._session
        if session and session.source and not has_address(session.source):
            session.end(f"this host no longer has the address {session.source}")

    def stop(self) -> None:
        """Stop dialling. Call it before cancelling `run`: a TaskGroup that is ending may swallow the cancellation."""
        self._stopped = True

    async def run(self, use: Callable[[Session], Awaitable[None]]) -> None:
        """Call `use` with one session after another until cancelled. NatsError and LoginFileError are retried."""
        while True:
            try:
                async with open_session(self._settings, self._random) as session:
                    self.server, self._session = session.server, session
                    self.stats.sessions += 1
                    log.info("connected to NATS", server=session.server)
                    await use(session)
            except (NatsError, LoginFileError) as error:  # the file may be in the middle of being replaced
                if not (self._was_healthy or self._keep_trying() or isinstance(error, NoAnswerError)):
                    raise
                self.failure, self.hint, self.error = str(error), error.hint, error
            finally:
                self.server, self._session = "", None
            if self._stopped:
                return
            self.stats.failures += 1
            pause_s = self._backoff.next_s()
            log.warning("no connection to NATS", error=self.failure, hint=self.hint, next_try_in_s=round(pause_s, 1))
            await asyncio.sleep(pause_s)
