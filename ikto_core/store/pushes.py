"""Having writes to a bucket pushed; of one that does not republish, many hints become few looks."""

import asyncio
from collections.abc import Callable

import structlog

from ikto_core.store.bucket import Bucket
from ikto_core.store.follower import Follower
from ikto_core.store.session import Session

log = structlog.get_logger(__name__)


async def listen(session: Session, bucket: Bucket, follower: Follower) -> None:
    """Have writes to the bucket pushed to the follower: with their revision, or else as a mere hint."""
    if await bucket.is_pushed():
        await session.subscribe(bucket.pushes, lambda pushed: follower.receive(bucket.message(pushed)))
    else:
        log.warning("the bucket does not republish: following by hints", upgrade="ikto bucket upgrade")
        hints = Hints(follower.wake, follower.hint_delay_s)
        await session.subscribe(bucket.writes, lambda _: hints.hint())


class Hints:
    """Leads to a look a moment after a hint, when what was published is stored; all hints until then are one.

    Args:
        look: What to do.
        delay_s: Returns how long that moment is, in seconds: the larger the mesh the longer, as all are hinted at once.

    """

    def __init__(self, look: Callable[[], None], delay_s: Callable[[], float]) -> None:
        self._look = look
        self._delay_s = delay_s
        self._since_look = 0

    def hint(self) -> None:
        """Say that somebody published something."""
        if self._since_look == 0:
            self._look_later()
        self._since_look += 1

    def _look_later(self) -> None:
        asyncio.get_running_loop().call_later(self._delay_s(), self._look_now)

    def _look_now(self) -> None:
        """Look; if there were more hints than the first, once more: the last one may have come a moment ago."""
        self._look()
        again = self._since_look > 1
        self._since_look = int(again)
        if again:
            self._look_later()
