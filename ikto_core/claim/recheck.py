"""A work queue of one item: check that the bucket has this node's record, and write it if not."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NoReturn

import structlog

from ikto_core.errors import NatsError

FIRST_RETRY_S = 0.5
LONGEST_RETRY_S = 30.0

log = structlog.get_logger(__name__)


class Recheck:
    """Requests to check this node's record."""

    def __init__(self) -> None:
        self.failure = self.hint = ""  # why the last check failed, and what to do about it; empty: it did not fail
        self.error: NatsError | None = None  # the failure as it was raised
        self._requested = asyncio.Event()

    @property
    def is_requested(self) -> bool:
        """Whether a request waits."""
        return self._requested.is_set()

    def request(self) -> None:
        """Have this node's record checked soon; several requests make one check."""
        self._requested.set()

    async def run(self, check: Callable[[], Awaitable[None]]) -> NoReturn:
        """Call `check` for every request, until cancelled; retry a NatsError with backoff, at most half a minute.

        Any other error of `check` ends it.
        """
        retry_s = FIRST_RETRY_S
        while True:
            await self._requested.wait()
            self._requested.clear()
            try:
                await check()
                self.failure, self.hint, self.error, retry_s = "", "", None, FIRST_RETRY_S
            except NatsError as error:
                self.failure, self.hint, self.error = str(error), error.hint, error
                log.warning("own record not confirmed", error=str(error), hint=error.hint, next_try_in_s=retry_s)
                self._requested.set()
                await asyncio.sleep(retry_s)
                retry_s = min(retry_s * 2, LONGEST_RETRY_S)
