"""Watches links and addresses with `ip monitor`."""

import asyncio
import re
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncGenerator

from ikto_core.plugins import BackendError, DeviceEvent, DeviceEventKind

_LINE = re.compile(r"(?P<gone>Deleted )?\d+: (?P<ifname>[^\s:@]+)(?P<link>@[^\s:]+:|:)? ")


async def watch() -> AsyncGenerator[DeviceEvent, None]:
    """Yield an event for each line about a device. Raises BackendError when `ip monitor` ends."""
    try:
        process = await asyncio.create_subprocess_exec(
            "ip", "-oneline", "monitor", "link", "address", stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL
        )
    except OSError as error:
        raise BackendError(f"ip can't be run: {error}") from None
    try:
        while line := await process.stdout.readline() if process.stdout else b"":
            if event := event_of(line.decode(errors="replace")):
                yield event
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
    raise BackendError("ip monitor has ended: events may be lost")


def event_of(line: str) -> DeviceEvent | None:
    """Return the event of a line; None if it is not about a device. A deleted address is a change of its device."""
    match = _LINE.match(line)
    if not match:
        return None
    gone = match["gone"] and match["link"]
    return DeviceEvent(match["ifname"], DeviceEventKind.GONE if gone else DeviceEventKind.CHANGED)
