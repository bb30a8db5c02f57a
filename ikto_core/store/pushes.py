"""Subscribes a follower to the writes of a bucket: to pushes with their revision, or to bare notifications."""

import asyncio
from collections.abc import Callable, Sequence

import structlog

from ikto_core.store.api import UnreadableError
from ikto_core.store.bucket import Bucket
from ikto_core.store.bucket_settings import Finding, findings, record_settings
from ikto_core.store.follower import Follower
from ikto_core.store.received import Received
from ikto_core.store.session import Session

log = structlog.get_logger(__name__)


async def listen(session: Session, bucket: Bucket, follower: Follower) -> None:
    """Subscribe the follower to the bucket's writes.

    A bucket that republishes its writes pushes them with their revision. With any other bucket, a write that a client
    publishes only makes the follower ask the leader, a moment later.
    """
    stream = await bucket.stream_info()
    _log_findings(bucket.name, findings(stream, record_settings(bucket.subjects)))
    if bucket.note_republishing(stream):
        await session.subscribe(bucket.push_subject, lambda pushed: _receive(bucket, follower, pushed))
    else:
        debouncer = Debouncer(follower.wake, follower.wake_delay_s)
        await session.subscribe(bucket.write_subject, lambda _: debouncer.trigger())


def _log_findings(bucket: str, found: Sequence[Finding]) -> None:
    """Log the settings of the bucket that are not as they must be; once a session, not at each check."""
    if found:
        settings = "; ".join(f"{finding}: {finding.otherwise}" for finding in found)
        hint = next((finding.hint for finding in found if finding.correctable), found[0].hint)
        log.warning("bucket settings differ", bucket=bucket, settings=settings, hint=hint)


def _receive(bucket: Bucket, follower: Follower, pushed: Received) -> None:
    """Give a push to the follower. Raises UnreadableError if it is none."""
    try:
        push = bucket.push(pushed)
    except UnreadableError:
        follower.stats.junk_pushes += 1
        raise
    follower.receive(push)


class Debouncer:
    """Merges many triggers into few calls. The delay lets the server store a write before the leader is asked.

    Args:
        call: The function to call.
        delay_s: Returns the delay between trigger and call, in seconds. It grows with the mesh, because every write
            triggers all agents at once.

    """

    def __init__(self, call: Callable[[], None], delay_s: Callable[[], float]) -> None:
        self._call = call
        self._delay_s = delay_s
        self._triggers = 0  # since the last call

    def trigger(self) -> None:
        """Request a call after the delay; triggers until then are merged into it."""
        if self._triggers == 0:
            self._schedule()
        self._triggers += 1

    def _schedule(self) -> None:
        asyncio.get_running_loop().call_later(self._delay_s(), self._call_now)

    def _call_now(self) -> None:
        """Call; after more than one trigger schedule another call, because the last trigger may be too recent."""
        self._call()
        again = self._triggers > 1
        self._triggers = int(again)
        if again:
            self._schedule()
