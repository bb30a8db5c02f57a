"""Leases on a real nats-server: the mesh's bucket is written only to remove, and the documented permissions suffice."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import pytest
from msgspec.structs import replace

from ikto_core.errors import BucketMissingError
from ikto_core.lab.nats_server import running_server
from ikto_core.lease.renewer import LeaseRenewer
from ikto_core.mesh.records import PeerRecord, encode_record
from ikto_core.mesh.settings import MeshSettings
from ikto_core.store.bucket import Bucket
from ikto_core.store.bucket_admin import create_bucket, create_renewals
from ikto_core.store.connection import open_session
from ikto_core.store.follower import Follower
from ikto_core.store.session import NatsSettings
from tests.samples import record as sample

MESH = MeshSettings("fd10::/16", 48)
LEASE_S = 2


def leased(number: int) -> PeerRecord:
    return replace(sample(f"10.0.0.{16 * number}/28", instance=f"run-{number}"), lease=LEASE_S)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.02)


@asynccontextmanager
async def node(bucket: Bucket, record: PeerRecord) -> AsyncIterator[tuple[LeaseRenewer, Follower]]:
    """Claim a record, follow the bucket and renew the lease, as an agent does."""
    if await bucket.get(record.key) is None:
        await bucket.put(record.key, encode_record(record), expected=0)
    follower = Follower(lambda _: None, Random(1))
    await follower.resync(bucket)
    renewer = LeaseRenewer(LEASE_S, lambda: record, follower, Random(1))
    renewer.claimed.set()
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(renewer.run(bucket, bucket.renewals()))
        yield renewer, follower
        task.cancel()


async def test_the_record_of_a_dead_node_is_removed_with_a_single_write_to_the_bucket(bucket: Bucket) -> None:
    assert await create_renewals(bucket)
    assert not await create_renewals(bucket)
    alive, dead = leased(1), leased(2)
    async with node(bucket, dead):
        while await bucket.renewals().get(dead.key) is None:
            await asyncio.sleep(0.02)
    async with node(bucket, alive):
        before = await bucket.info()
        async with asyncio.timeout(60):
            while (found := await bucket.get(dead.key)) and found.value:
                await asyncio.sleep(0.05)
        assert (await bucket.info()).last_revision == before.last_revision + 1
        renewed = await bucket.renewals().get(alive.key)
        assert renewed
        assert renewed.value == b"run-1"


async def test_a_missing_renewals_bucket_is_reported_and_recovers_without_a_restart(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ikto_core.lease.renewer.LONGEST_RETRY_S", 0.05)
    async with node(bucket, leased(1)) as (renewer, _):
        await until(lambda: "there is no bucket" in renewer.failure)
        with pytest.raises(BucketMissingError) as raised:
            await bucket.renewals().stream_info()
        assert raised.value.hint == "create it: ikto bucket create --leases"
        await create_renewals(bucket)
        await until(lambda: not renewer.failure)


PERMISSIONS = f"""
authorization {{ users: [
  {{ user: admin, password: secret }}
  {{ user: node, password: secret, permissions: {{
      publish: ["$KV.b.{leased(1).key}", "$JS.API.STREAM.INFO.KV_b", "$JS.API.DIRECT.GET.KV_b",
                "$JS.API.STREAM.MSG.GET.KV_b",
                "$KV.b-leases.{leased(1).key}", "$JS.API.STREAM.MSG.GET.KV_b-leases"]
      subscribe: ["_INBOX_node.>", "ikto.b.>"] }} }}
] }}
"""


async def test_a_node_without_permission_to_remove_renews_its_own_lease_and_reports_the_denial(
    tmp_path: Path,
) -> None:
    with running_server(tmp_path, PERMISSIONS) as server:
        admin = NatsSettings(servers=(server.url,), user="admin", password="secret")
        async with open_session(admin, Random()) as session:
            every = Bucket(session, "b")
            await create_bucket(every, MESH, replicas=1, memory=False)
            await create_renewals(every)
            async with node(every, leased(2)):
                while await every.renewals().get(leased(2).key) is None:
                    await asyncio.sleep(0.02)
        own = NatsSettings(servers=(server.url,), user="node", password="secret", inbox="_INBOX_node")
        async with (
            open_session(own, Random()) as session,
            node(Bucket(session, "b"), leased(1)) as (renewer, _),
        ):
            await until(lambda: renewer.refusal)
            assert leased(2).key in renewer.refusal
            assert renewer.failure == ""
