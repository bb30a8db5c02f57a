"""Clients of nats-py that follow the same bucket, to compare agents with. Their tokens are KV keys."""

import asyncio

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg

from benchmarks.fleet.node import Place, Tally
from benchmarks.fleet.records import record_of, value_of
from benchmarks.fleet.watching import Watch
from ikto_core.mesh.records import PEER_KEYS


class _Client:
    """A client of nats-py that reconnects as nats-py does."""

    def __init__(self, number: int, place: Place, watch: Watch) -> None:
        self._number = number
        self._place = place
        self._watch = watch
        self.following = False

    async def run(self) -> None:
        """Follow the bucket until cancelled."""
        client = await nats.connect(
            list(self._place.servers), max_reconnect_attempts=-1, reconnect_time_wait=0.5, error_cb=_ignore
        )
        try:
            await self.follow(client)
        finally:
            self.following = False
            await client.close()

    async def follow(self, client: Client) -> None:
        """Follow the bucket over a connection; set `following` once every write is seen."""
        raise NotImplementedError

    def tally(self) -> Tally:
        """Return nothing: it counts nothing."""
        return Tally()

    def is_current(self, revision: int) -> bool:  # noqa: ARG002 - as FleetNode
        """Return whether it follows the bucket; it knows no revision."""
        return self.following

    def note(self, key: str, *, present: bool) -> None:
        """Note a message of the bucket."""
        if present:
            self._watch.appeared(key)
        else:
            self._watch.gone(key)


class KvWatcher(_Client):
    """Writes a record of its own, and follows all records with `kv.watch`. Its tokens are KV keys."""

    async def run(self) -> None:
        """Follow the bucket until cancelled, from nothing."""
        self._watch.forget()
        await super().run()

    async def follow(self, client: Client) -> None:
        """Watch the keys of records."""
        kv = await client.jetstream().key_value(self._place.bucket)
        record = record_of(self._number)
        value = value_of(record, self._number, self._place.bucket)
        watcher = await kv.watch(f"{PEER_KEYS}*")
        await kv.put(record.key, value)
        self.following = True
        while True:
            try:
                entry = await watcher.updates(timeout=3600)  # type: ignore[no-untyped-call]  # nats-py's
            except nats.errors.TimeoutError:
                continue
            if entry is not None:
                self.note(entry.key, present=bool(entry.value))


class BareSubscriber(_Client):
    """Subscribes to what the bucket republishes, and reads nothing: the least that hears of a record."""

    async def follow(self, client: Client) -> None:
        """Subscribe to the republished writes."""
        prefix = f"ikto.{self._place.bucket}."

        async def receive(message: Msg) -> None:
            self.note(message.subject.removeprefix(prefix), present=bool(message.data))

        await client.subscribe(f"{prefix}{PEER_KEYS}*", cb=receive)
        await client.flush()
        self.following = True
        await asyncio.Event().wait()


async def _ignore(_: Exception) -> None:
    """Take nats-py's report of an error that it handles itself, such as a lost connection."""
