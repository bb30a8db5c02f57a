"""Notifies systemd of the service's state (sd_notify(3)). Without systemd it does nothing."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from socket import AF_UNIX, SOCK_DGRAM, socket

import msgspec

_SEND_TIMEOUT_S = 1.0
"""A service manager that hangs must not block the agent."""

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


def notify(state: str, environ: Mapping[str, str] = os.environ) -> None:
    """Send `state` to the service manager, if one listens. Never raises.

    Args:
        state: `READY=1`, `STOPPING=1`, `WATCHDOG=1`, `STATUS=…`, or several of them, one a line.
        environ: Where `NOTIFY_SOCKET` is looked up: a path, or `@NAME` of Linux's abstract namespace.

    """
    address = environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    with suppress(OSError), socket(AF_UNIX, SOCK_DGRAM) as sender:
        sender.settimeout(_SEND_TIMEOUT_S)
        sender.sendto(state.encode(errors="replace"), address.replace("@", "\0", 1) if address[0] == "@" else address)


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
    """Decides what to send; times are seconds of a clock that never goes back."""

    def __init__(self, started_at: float) -> None:
        self._sent_ready = False
        self._ready_by = started_at + START_LIMIT_S
        self._status = ""

    def due(self, state: ServiceState, now: float, *, ready: bool, watchdog: bool) -> list[str]:
        """Return the assignments to send now: the status if it changed, `READY=1` once, `WATCHDOG=1` on progress."""
        lines = [f"STATUS={state.status}"] if state.status != self._status else []
        self._status = state.status
        if not self._sent_ready and (ready or (state.retries and now >= self._ready_by)):
            self._sent_ready = True
            lines.append("READY=1")
        if watchdog and state.progressing:
            lines.append("WATCHDOG=1")
        return lines


async def notify_always(look: Callable[[], ServiceState], until_ready: Callable[[], Awaitable[object]]) -> None:
    """Tell the service manager how the agent is, until cancelled. `until_ready` returns once the mesh is shown."""
    notifications, interval_s, ready = Notifications(time.monotonic()), watchdog_interval_s(), False
    while True:
        if due := notifications.due(look(), time.monotonic(), ready=ready, watchdog=interval_s is not None):
            notify("\n".join(due))
        with suppress(TimeoutError):
            async with asyncio.timeout(min(LOOK_EVERY_S, interval_s or LOOK_EVERY_S)):
                await (asyncio.Event().wait() if ready else until_ready())
                ready = True
