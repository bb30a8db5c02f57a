"""Reads the whole bucket once, for a command."""

from random import SystemRandom

from ikto_core.store.follower import Follower
from ikto_core.store.interfaces import BucketReader


async def read_once(reader: BucketReader) -> Follower:
    """Return a follower whose table is the whole bucket as of now. Raises NatsError."""
    follower = Follower(lambda _: None, SystemRandom())
    await follower.resync(reader)
    return follower
