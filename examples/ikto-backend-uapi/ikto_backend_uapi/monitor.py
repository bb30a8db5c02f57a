"""What happens to links and addresses, as `ip monitor` tells it."""

import asyncio
import re
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncGenerator

from ikto_core.plugins import BackendError, DeviceEvent, DeviceEventKind

_LINE = re.compile(r"(?P<gone>Deleted )?\d+: (?P<ifname>[^\s:@]+)(?P<link>@[^\s:]+:|:)? ")


async def monitored() -> AsyncGenerator[DeviceEvent, None]:
    """Yield an event for each line that is about a device; BackendError once there are no more lines."""
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
    """Return what a line tells; None if it is about no device. A deleted address is a change."""
    seen = _LINE.match(line)
    if not seen:
        return None
    gone = seen["gone"] and seen["link"]
    return DeviceEvent(seen["ifname"], DeviceEventKind.GONE if gone else DeviceEventKind.CHANGED)
