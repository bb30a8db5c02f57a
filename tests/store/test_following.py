"""The follower on a real nats-server, in the situations that break consumers."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from random import Random
from signal import Signals

import pytest
from nats.js.api import RePublish

from ikto_core.errors import NatsError
from ikto_core.lab.nats_server import NatsServer
from ikto_core.mesh.settings import MeshSettings
from ikto_core.store import answers as answers_module
from ikto_core.store.bucket import Bucket
from ikto_core.store.bucket_admin import create_bucket, upgrade_bucket
from ikto_core.store.bucket_settings import record_settings
from ikto_core.store.connection import Connection, open_session
from ikto_core.store.follower import Follower
from ikto_core.store.pushes import listen
from ikto_core.store.session import NatsSettings, Session
from tests.raw_nats import READER_KILLERS, publish_raw

MESH = MeshSettings("fd10::/16", 48)


async def until(condition: Callable[[], bool], timeout_s: float = 120) -> None:
    """Wait until a condition is true, checking often."""
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.005)


class Watcher:
    """A follower with a connection of its own, as in an agent."""

    def __init__(self, server: NatsServer, name: str) -> None:
        self.follower = Follower(lambda changes: self.reported.append(set(changes)), Random())
        self.reported: list[set[str]] = []
        self.sessions = 0
        self._name = name
        self._connection = Connection(NatsSettings(servers=(server.url,)), Random(), keep_trying=lambda: True)

    @property
    def shown(self) -> dict[str, bytes]:
        return {key: entry.value for key, entry in self.follower.table.items() if entry.value is not None}

    async def run(self) -> None:
        await self._connection.run(self._use)

    async def _use(self, session: Session) -> None:
        self.sessions += 1
        self.session = session
        bucket = Bucket(session, self._name)
        await listen(session, bucket, self.follower)
        self._connection.mark_healthy()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(session.closed())
                tasks.create_task(self.follower.run(bucket))
        except* NatsError:
            pass


@asynccontextmanager
async def following(server: NatsServer, name: str) -> AsyncIterator[Watcher]:
    watcher = Watcher(server, name)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(watcher.run())
        await until(watcher.follower.synced.is_set)
        yield watcher
        task.cancel()


@asynccontextmanager
async def writing(server: NatsServer, name: str) -> AsyncIterator[Bucket]:
    async with open_session(NatsSettings(servers=(server.url,)), Random()) as session:
        yield Bucket(session, name)


async def test_a_write_arrives_as_a_push_without_a_walk(shared_server: NatsServer, bucket: Bucket) -> None:
    async with following(shared_server, bucket.name) as watcher:
        await until(lambda: watcher.follower.stats.catch_ups + watcher.follower.stats.whole_walks >= 1)
        walks = watcher.follower.stats.catch_ups, watcher.follower.stats.whole_walks
        revision = await bucket.put("peers.a", b"one", expected=0)
        await until(lambda: watcher.shown.get("peers.a") == b"one")
        await bucket.put("peers.a", None, expected=revision)
        await until(lambda: "peers.a" not in watcher.shown)
        assert (watcher.follower.stats.catch_ups, watcher.follower.stats.whole_walks) == walks
        assert watcher.follower.revision == watcher.follower.bucket_revision == revision + 1


async def test_junk_on_the_push_subject_is_dropped(shared_server: NatsServer, bucket: Bucket) -> None:
    async with following(shared_server, bucket.name) as watcher:
        for headers in (None, {"Nats-Sequence": "x", "Nats-Subject": "y"}, {"Nats-Sequence": "9" * 30}):
            await watcher.session.client.publish(f"ikto.{bucket.name}.peers.junk", b"junk", headers=headers)
        await bucket.put("peers.a", b"one", expected=0)
        await until(lambda: watcher.shown.get("peers.a") == b"one")
        assert "peers.junk" not in watcher.shown


async def test_a_forged_push_is_corrected_by_the_next_real_one(shared_server: NatsServer, bucket: Bucket) -> None:
    async with following(shared_server, bucket.name) as watcher:
        forged = {
            "Nats-Sequence": str(watcher.follower.revision + 1),
            "Nats-Subject": f"$KV.{bucket.name}.peers.forged",
        }
        await watcher.session.client.publish(f"ikto.{bucket.name}.peers.forged", b"forged", headers=forged)
        await until(lambda: "peers.forged" in watcher.shown)
        await bucket.put("peers.a", b"one", expected=0)
        await until(lambda: watcher.shown.get("peers.a") == b"one" and "peers.forged" not in watcher.shown)


async def test_a_recreated_bucket_is_followed_from_its_start(shared_server: NatsServer, bucket: Bucket) -> None:
    """A consumer of the old stream would receive nothing any more."""
    await bucket.put("peers.a", b"one", expected=0)
    async with following(shared_server, bucket.name) as watcher:
        await until(lambda: "peers.a" in watcher.shown)
        await bucket.call("STREAM.DELETE", {})
        await create_bucket(bucket, MESH, replicas=1, memory=False)
        await bucket.put("peers.b", b"two", expected=0)
        await until(lambda: watcher.shown.keys() == {"mesh", "peers.b"})


async def test_a_purge_without_a_marker_is_detected_at_the_next_check(
    shared_server: NatsServer, session: Session
) -> None:
    """A bucket that `ikto bucket create` made refuses a purge."""
    republish = RePublish("$KV.purged.>", "ikto.purged.>")
    await session.client.jetstream().create_key_value(bucket="purged", direct=True, republish=republish)
    bucket = Bucket(session, "purged")
    await bucket.put("peers.a", b"one", expected=0)
    await bucket.put("peers.b", b"two", expected=0)
    async with following(shared_server, bucket.name) as watcher:
        await bucket.call("STREAM.PURGE", {"filter": f"$KV.{bucket.name}.peers.a"})
        watcher.follower.wake()  # as the timer does every 20 s
        await until(lambda: watcher.shown.keys() == {"peers.b"})


async def test_after_a_server_restart_following_continues_without_a_full_walk(own_server: NatsServer) -> None:
    async with writing(own_server, "b") as bucket:
        await create_bucket(bucket, MESH, replicas=1, memory=False)
    async with following(own_server, "b") as watcher:
        walks = watcher.follower.stats.whole_walks
        own_server.kill()
        own_server.start()
        async with writing(own_server, "b") as bucket:
            await bucket.put("peers.a", b"one", expected=0)
        await until(lambda: "peers.a" in watcher.shown)
        assert watcher.follower.stats.whole_walks == walks
        assert watcher.sessions == 2


async def test_a_lost_memory_store_is_detected_even_after_it_has_grown_again(own_server: NatsServer) -> None:
    async with writing(own_server, "b") as bucket:
        await create_bucket(bucket, MESH, replicas=1, memory=True)
        await bucket.put("peers.a", b"one", expected=0)
    async with following(own_server, "b") as watcher:
        await until(lambda: "peers.a" in watcher.shown)
        own_server.kill()
        own_server.start()
        async with writing(own_server, "b") as bucket:
            with suppress(NatsError):
                await create_bucket(bucket, MESH, replicas=1, memory=True)
            for key in ("peers.b", "peers.c"):
                await bucket.put(key, b"two", expected=0)
        await until(lambda: "peers.c" in watcher.shown)
        assert watcher.shown.keys() == {"mesh", "peers.b", "peers.c"}


@pytest.fixture
def short_request_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the time limit of requests from five seconds to one."""
    monkeypatch.setattr(answers_module, "REQUEST_TIMEOUT_S", 1.0)


@pytest.mark.usefixtures("short_request_timeout")
async def test_a_frozen_server_loses_no_write_and_removes_no_peer(own_server: NatsServer) -> None:
    async with writing(own_server, "b") as bucket:
        await create_bucket(bucket, MESH, replicas=1, memory=False)
        await bucket.put("peers.a", b"one", expected=0)
        async with following(own_server, "b") as watcher:
            own_server.send(Signals.SIGSTOP)
            watcher.follower.wake()
            await until(lambda: watcher.follower.stats.failures > 0)
            assert "peers.a" in watcher.shown
            own_server.send(Signals.SIGCONT)
            await bucket.put("peers.b", b"two", expected=0)
            await until(lambda: watcher.shown.keys() == {"mesh", "peers.a", "peers.b"})


@pytest.mark.parametrize("junk", READER_KILLERS.values(), ids=READER_KILLERS.keys())
async def test_junk_that_stops_nats_pys_reader_is_read_past(
    shared_server: NatsServer, bucket: Bucket, junk: bytes
) -> None:
    async with following(shared_server, bucket.name) as watcher:
        walks = watcher.follower.stats.catch_ups
        await asyncio.to_thread(publish_raw, shared_server, junk % f"ikto.{bucket.name}".encode())
        await bucket.put("peers.a", b"one", expected=0)
        await until(lambda: "peers.a" in watcher.shown)
        assert (watcher.sessions, watcher.follower.stats.catch_ups) == (1, walks)
        assert watcher.follower.stats.junk_pushes == 1


@pytest.mark.slow
@pytest.mark.usefixtures("short_request_timeout")
async def test_a_dead_read_task_leads_to_a_new_session(shared_server: NatsServer, bucket: Bucket) -> None:
    """nats-py reports that it is connected, but reads nothing any more."""
    async with following(shared_server, bucket.name) as watcher:
        reading = watcher.session.client._reading_task
        assert reading
        reading.cancel()
        await bucket.put("peers.a", b"one", expected=0)
        watcher.follower.wake()  # as the timer does every 20 s
        await until(lambda: "peers.a" in watcher.shown)
        assert watcher.sessions == 2


async def test_a_bucket_of_0_3_0_is_followed_without_pushes_and_then_upgraded(
    shared_server: NatsServer, session: Session
) -> None:
    kv = await session.client.jetstream().create_key_value(bucket="legacy")
    bucket = Bucket(session, "legacy")
    async with following(shared_server, "legacy") as watcher:
        await kv.put("peers.a", b"one")
        await until(lambda: "peers.a" in watcher.shown)
        assert watcher.follower.stats.pushes == 0
        await upgrade_bucket(bucket, record_settings(bucket.subjects))
        watcher.follower.wake()  # as the timer does every 20 s
        await until(lambda: watcher.sessions == 2)
        await until(watcher.follower.synced.is_set)
        await kv.put("peers.b", b"two")
        await until(lambda: "peers.b" in watcher.shown)
        assert watcher.follower.stats.pushes > 0


async def test_ten_thousand_records_are_walked(shared_server: NatsServer, bucket: Bucket, session: Session) -> None:
    client = session.client
    for number in range(10_000):
        await client.publish(f"$KV.{bucket.name}.peers.{number}", b"v" * 200)
    await client.flush()
    async with following(shared_server, bucket.name) as watcher:
        await until(lambda: len(watcher.shown) == 10_001)
