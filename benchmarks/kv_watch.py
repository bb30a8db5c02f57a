"""nats-py's own `kv.watch`, which Ikto's following is compared with."""

from nats.aio.client import Client


async def watched_once(client: Client, bucket: str, keys: int) -> None:
    """Read all keys of a bucket as `kv.watch` does, and stop. Raises ValueError if it hands over fewer."""
    kv = await client.jetstream().key_value(bucket)
    watcher, seen = await kv.watch("peers.*"), 0
    while seen < keys and await watcher.updates(timeout=60) is not None:  # type: ignore[no-untyped-call]  # nats-py's
        seen += 1
    await watcher.stop()  # type: ignore[no-untyped-call]  # as above
    if seen < keys:
        raise ValueError(f"kv.watch handed over {seen} of {keys} keys")
