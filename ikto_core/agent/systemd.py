"""Notifies systemd of the service's state (sd_notify(3)). Without systemd it does nothing."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from socket import AF_UNIX, SOCK_DGRAM, socket

_SEND_TIMEOUT_S = 1.0
"""A service manager that hangs must not block the agent."""


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


async def notify_when(ready: Callable[[], Awaitable[object]]) -> None:
    """Send `READY=1` once `ready` returns, and then `WATCHDOG=1` as often as the service manager requires."""
    await ready()
    notify("READY=1")
    while (interval_s := watchdog_interval_s()) is not None:
        notify("WATCHDOG=1")
        await asyncio.sleep(interval_s)
