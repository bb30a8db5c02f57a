"""What proofs cost: an agent's first sync of many signed records, beside the same records unsigned."""

import time
from functools import partial
from hashlib import sha256
from random import Random
from statistics import median

from benchmarks.report import Finding
from ikto_backends.fake import FakeBackend, FakeHost
from ikto_core.agent.from_config import local_node
from ikto_core.claim.desired_state import DesiredState
from ikto_core.claim.verifying import verify
from ikto_core.config import Config
from ikto_core.device.reconciler import Reconciler
from ikto_core.disk.mesh_snapshot import MeshSnapshot
from ikto_core.lab.nats_server import NatsServer
from ikto_core.mesh.proofs import signed_value
from ikto_core.mesh.records import PeerRecord, encode_record
from ikto_core.mesh.settings import MeshSettings
from ikto_core.store.bucket import Bucket
from ikto_core.store.bucket_admin import create_bucket
from ikto_core.store.connection import open_session
from ikto_core.store.follower import Follower
from ikto_core.store.session import NatsSettings
from ikto_core.values.keys import PrivateKey

PEERS = 10_000
RUNS = 5
ADDRESS = "fd10::1"


async def first_syncs(server: NatsServer) -> list[Finding]:
    """Return the time of a first sync with every proof remembered (a restart), and with none, beside unsigned ones."""
    records = [_record(number) for number in range(1, PEERS + 1)]
    async with open_session(NatsSettings(servers=(server.url,)), Random()) as session:
        buckets = {name: Bucket(session, name) for name in ("unsigned", "signed")}
        for name, bucket in buckets.items():
            await create_bucket(bucket, MeshSettings("fd10::/16", 48), replicas=1, memory=False)
            for record, key in records:
                value = signed_value(record, key, name, bytes(64)) if name == "signed" else encode_record(record)
                await session.client.publish(f"$KV.{name}.{record.key}", value)
            await session.client.flush()
        snapshots = {name: (await _sync(bucket, None))[1] for name, bucket in buckets.items()}
        unsigned_s, warm_s, cold_s = [], [], []
        for _ in range(RUNS):
            unsigned_s.append((await _sync(buckets["unsigned"], snapshots["unsigned"]))[0])
            warm_s.append((await _sync(buckets["signed"], snapshots["signed"]))[0])
            cold_s.append((await _sync(buckets["signed"], None))[0])
    return [
        _finding("their proofs remembered", warm_s, unsigned_s, "≤ 1.3"),
        _finding("every proof verified", cold_s, unsigned_s, ""),
    ]


async def _sync(bucket: Bucket, snapshot: MeshSnapshot | None) -> tuple[float, MeshSnapshot]:
    """Return how long an agent that has restored a snapshot takes to read and judge a bucket, and its own snapshot."""
    config = Config(private_address=ADDRESS, mesh_cidr="fd10::/16", subnet_prefix=48, nats_kv=bucket.name)
    key, node = PrivateKey.generate(), local_node(config)
    desired_state = DesiredState(node, key, Reconciler(FakeBackend(FakeHost()), "wg0"), lambda: None)
    follower = Follower(lambda _: None, Random(), partial(verify, desired_state.proofs))
    desired_state.from_snapshot(snapshot, ADDRESS)
    began = time.perf_counter()
    await follower.resync(bucket)
    desired_state.from_bucket(follower.table, follower.revision, ADDRESS)
    took_s = time.perf_counter() - began
    assert len(desired_state.view.peers) == PEERS
    made = desired_state.snapshot(node.claim(key.public(), ADDRESS), follower, time.time())
    assert made
    return took_s, made


def _record(number: int) -> tuple[PeerRecord, PrivateKey]:
    key = PrivateKey(sha256(str(number).encode()).digest()).clamped()
    record = PeerRecord(
        name=f"node-{number}",
        public_key=key.public(),
        advertise_address="192.0.2.1",
        allowed_ip=f"fd10:{number:x}::/48",
        wg_port=51820,
        serial=number,
    )
    return record, key


def _finding(how: str, ikto_s: list[float], unsigned_s: list[float], target: str) -> Finding:
    return Finding(
        what=f"first sync of {PEERS:,} signed records, {how}",
        ikto=f"{median(ikto_s):.2f} s",
        reference=f"unsigned: {median(unsigned_s):.2f} s",
        ratio=median(ikto_s) / median(unsigned_s),
        target=target,
    )
