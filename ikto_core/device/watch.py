"""Watches the device events of a backend and requests a full pass of the reconciler."""

import asyncio
from collections.abc import Callable

import structlog

from ikto_core.device.backend import Backend
from ikto_core.errors import BackendError

RETRY_S = 5.0

log = structlog.get_logger(__name__)


async def watch_device(backend: Backend, ifname: str, request_full_pass: Callable[[], None]) -> None:
    """Call `request_full_pass` at every event of the device; returns if the backend can't report events.

    Events only bring the next full pass forward. So a failure of the backend's events is logged, and the events are
    opened again after RETRY_S.
    """
    while True:
        try:
            async for event in backend.events():
                if event.ifname == ifname:
                    request_full_pass()
        except BackendError as error:
            what = {"ifname": ifname, "error": str(error), "hint": error.hint}
            log.warning("device events failed", **what, next_try_in_s=RETRY_S)
            await asyncio.sleep(RETRY_S)
            request_full_pass()  # the device may have changed in between
        else:
            return
