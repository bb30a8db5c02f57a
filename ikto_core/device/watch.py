"""Following what a backend tells of our device."""

import asyncio
from collections.abc import Callable

import structlog

from ikto_core.device.backend import Backend
from ikto_core.errors import BackendError

RETRY_S = 5.0

log = structlog.get_logger(__name__)


async def watch_device(backend: Backend, ifname: str, distrust: Callable[[], None]) -> None:
    """Call `distrust` whenever the backend says that somebody touched the device; ends if it can't tell.

    Events only make a look at the device sooner than the next whole pass: a backend that fails to tell ends nothing.
    """
    while True:
        try:
            async for event in backend.events():
                if event.ifname == ifname:
                    distrust()
        except BackendError as error:
            log.warning("device events were missed", ifname=ifname, error=str(error))
            await asyncio.sleep(RETRY_S)
            distrust()  # for what happened meanwhile, too
        else:
            return  # this backend can't tell
