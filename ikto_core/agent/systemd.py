"""Notifies systemd of the service's state (sd_notify(3)). Without systemd it does nothing."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from socket import AF_UNIX, SOCK_DGRAM, socket

import msgspec

_READY, _STATUS = "READY=1", "STATUS="

LOOK_EVERY_S = 2.0
"""How often the status is compared with the one that was sent. A look costs some microseconds."""

START_LIMIT_S = 20.0
"""How long `systemctl start` waits for the mesh if nothing would end the agent but success. A first start is not
limited: it succeeds, or it fails with an exit code. 20 s are longer than a start takes that will succeed soon."""


class ServiceState(msgspec.Struct, frozen=True, kw_only=True):
    """What the service manager is told of an agent."""

    retries: bool  # no failure ends the agent: it tries for ever
    progressing: bool  # False: a restart may help
    status: str  # for people


def notify(state: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Send `state` to the service manager, if there is one; return whether it was taken. Never raises.

    Args:
        state: `READY=1`, `STOPPING=1`, `WATCHDOG=1`, `STATUS=…`, or several of them, one a line.
        environ: Where `NOTIFY_SOCKET` is looked up: a path, or `@NAME` of Linux's abstract namespace.

    """
    address = environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return True
    with suppress(OSError), socket(AF_UNIX, SOCK_DGRAM) as sender:
        sender.setblocking(False)  # a service manager that hangs must not block the agent
        sender.sendto(state.encode(errors="replace"), address.replace("@", "\0", 1) if address[0] == "@" else address)
        return True
    return False


def watchdog_interval_s(environ: Mapping[str, str] = os.environ) -> float | None:
    """Return how often to send `WATCHDOG=1`, in seconds: twice as often as required. None: no watchdog."""
    timeout_us, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    if pid not in ("", str(os.getpid())) or not (timeout_us.isascii() and timeout_us.isdigit()):
        return None
    return int(timeout_us) / 2 / 1_000_000 or None


def status_text(state: str, peers: int, failure: str, hint: str) -> str:
    """Return the status in one line; a failure may contain foreign text, which must not add lines."""
    problem = f": {failure}" + f" ({hint})" * bool(hint) if failure else ""
    text = f"{state}{problem}; {peers} peer{'s' * (peers != 1)}"
    return "".join(character if character.isprintable() else " " for character in text)


class Notifications:
    """Decides what to send; times are seconds of a clock that never goes back.

    What the service manager did not take (it is slow, or is being reloaded) is due again.
    """

    def __init__(self, started_at: float) -> None:
        self._sent_ready = False
        self._ready_by = started_at + START_LIMIT_S
        self._status = ""  # the one that was sent last

    def due(self, state: ServiceState, now: float, *, ready: bool, watchdog: bool) -> list[str]:
        """Return the assignments to send now: the status if it changed, `READY=1` once, `WATCHDOG=1` on progress."""
        lines = [_STATUS + state.status] if state.status != self._status else []
        if not self._sent_ready and (ready or (state.retries and now >= self._ready_by)):
            lines.append(_READY)
        if watchdog and state.progressing:
            lines.append("WATCHDOG=1")
        return lines

    def sent(self, lines: Sequence[str]) -> None:
        """Note that the service manager has taken these assignments."""
        self._sent_ready |= _READY in lines
        for line in lines:
            if line.startswith(_STATUS):
                self._status = line.removeprefix(_STATUS)


async def notify_always(look: Callable[[], ServiceState], until_ready: Callable[[], Awaitable[object]]) -> None:
    """Tell the service manager how the agent is, until cancelled. `until_ready` returns once the mesh is shown."""
    notifications, interval_s, ready = Notifications(time.monotonic()), watchdog_interval_s(), False
    while True:
        due = notifications.due(look(), time.monotonic(), ready=ready, watchdog=interval_s is not None)
        if due and notify("\n".join(due)):
            notifications.sent(due)
        with suppress(TimeoutError):
            async with asyncio.timeout(min(LOOK_EVERY_S, interval_s or LOOK_EVERY_S)):
                await (asyncio.Event().wait() if ready else until_ready())
                ready = True
