"""nats-py's own `kv.watch`, which Ikto's following is compared with."""

from nats.aio.client import Client


async def watched_once(client: Client, bucket: str, keys: int) -> None:
    """Read all keys of a bucket as `kv.watch` does, and stop. Raises nats.errors.TimeoutError if some do not come.

    Its mark that all were handed over is not relied on: it may come before the first of them.
    """
    kv = await client.jetstream().key_value(bucket)
    watcher, seen = await kv.watch("peers.*"), 0
    while seen < keys:
        seen += await watcher.updates(timeout=60) is not None  # type: ignore[no-untyped-call]  # nats-py's
    await watcher.stop()  # type: ignore[no-untyped-call]  # as above
