"""Doubt whether our record stands as it should: whoever sees a reason casts it; it is settled until none is left."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NoReturn

import structlog

from ikto_core.errors import NatsError

FIRST_RETRY_S = 0.5
LONGEST_RETRY_S = 30.0

log = structlog.get_logger(__name__)


class Recheck:
    """Whether the bucket may not hold our record as it should be.

    `failure` says why that could not be mended; empty: it could, as far as we know.
    """

    def __init__(self) -> None:
        self.failure = ""
        self._requested = asyncio.Event()

    @property
    def is_requested(self) -> bool:
        """Whether there is one that nobody has begun to settle."""
        return self._requested.is_set()

    def request(self) -> None:
        """Have the record looked at; many doubts at once are one."""
        self._requested.set()

    async def run(self, mend: Callable[[], Awaitable[None]]) -> NoReturn:
        """Call `mend` for every doubt, until cancelled; what NATS fails is tried again, up to half a minute later.

        What else `mend` raises ends it.
        """
        retry_s = FIRST_RETRY_S
        while True:
            await self._requested.wait()
            self._requested.clear()
            try:
                await mend()
                self.failure, retry_s = "", FIRST_RETRY_S
            except NatsError as error:
                self.failure = str(error)
                log.warning("our record can't be kept", error=str(error), next_try_in_s=retry_s)
                self._requested.set()
                await asyncio.sleep(retry_s)
                retry_s = min(retry_s * 2, LONGEST_RETRY_S)
