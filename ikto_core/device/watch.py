"""Watches the device events of a backend and requests a full pass of the reconciler."""

import asyncio
import time
from collections.abc import Callable

import structlog

from ikto_core.device.backend import Backend
from ikto_core.errors import BackendError

RETRY_S = 5.0
BURST, PAUSE_S = 50, 1.0
"""Each event makes Ikto read the whole device. After so many of them, one is taken every PAUSE_S."""

log = structlog.get_logger(__name__)


async def watch_device(backend: Backend, ifname: str, request_full_pass: Callable[[], None]) -> None:
    """Call `request_full_pass` at every event of the device; returns if the backend can't report events.

    Events only bring the next full pass forward. So a failure of the backend's events is logged, and the events are
    opened again after RETRY_S. A stream of events without end costs one full pass every PAUSE_S: no event is lost, for
    each asks for the same.
    """
    throttle = _Throttle(ifname)
    while True:
        try:
            async for event in backend.events():
                if event.ifname == ifname:
                    request_full_pass()
                await throttle.wait()  # also after events of other devices: a backend may yield them without waiting
        except BackendError as error:
            what = {"ifname": ifname, "error": str(error), "hint": error.hint}
            log.warning("device events failed", **what, next_try_in_s=RETRY_S)
            await asyncio.sleep(RETRY_S)
            request_full_pass()  # the device may have changed in between
        else:
            return


class _Throttle:
    """Lets BURST events through at once, and then one every PAUSE_S; a quiet time lets a burst through again."""

    def __init__(self, ifname: str) -> None:
        self._ifname = ifname
        self._allowed = float(BURST)
        self._looked_at = time.monotonic()
        self._said = False

    async def wait(self) -> None:
        """Wait after an event, if there were too many."""
        now = time.monotonic()
        self._allowed = min(float(BURST), self._allowed + (now - self._looked_at) / PAUSE_S) - 1
        self._looked_at = now
        if self._allowed >= 1:
            self._said &= self._allowed < BURST / 2
            return
        if not self._said:
            log.warning("device events all the time", ifname=self._ifname, events=BURST, one_every_s=PAUSE_S)
            self._said = True
        await asyncio.sleep(PAUSE_S)
