"""What proofs cost: an agent's first sync of many signed records, beside the same records unsigned."""

import gc
import time
from collections.abc import Sequence
from functools import partial
from hashlib import sha256
from random import Random

from benchmarks.findings import Finding, Target, at_most_times
from benchmarks.measures import Bench, Measure
from benchmarks.samples import Pair
from ikto_backends.fake import FakeBackend, FakeHost
from ikto_core.agent.from_config import local_node
from ikto_core.claim.desired_state import DesiredState
from ikto_core.claim.verifying import verify
from ikto_core.config import Config
from ikto_core.device.reconciler import Reconciler
from ikto_core.disk.mesh_snapshot import MeshSnapshot
from ikto_core.lab.nats_server import running_server
from ikto_core.mesh.proofs import signed_value
from ikto_core.mesh.records import PeerRecord, encode_record
from ikto_core.mesh.settings import MeshSettings
from ikto_core.store.bucket import Bucket
from ikto_core.store.bucket_admin import create_bucket
from ikto_core.store.connection import open_session
from ikto_core.store.follower import Follower
from ikto_core.store.session import NatsSettings, Session
from ikto_core.values.keys import PrivateKey

ADDRESS = "fd10::1"


async def _first_syncs(bench: Bench) -> Sequence[Finding]:
    """Measure a first sync with every proof remembered (a restart), and with none, beside unsigned records."""
    peers, rounds = bench.pick(10_000, 1_000), bench.pick(5, 3)
    records = [_record(number) for number in range(1, peers + 1)]
    times: dict[str, list[float]] = {"unsigned": [], "remembered": [], "verified": []}
    with running_server(bench.directory) as server:
        async with open_session(NatsSettings(servers=(server.url,)), Random()) as session:
            buckets = {name: Bucket(session, name) for name in ("unsigned", "signed")}
            for bucket in buckets.values():
                await _fill(session, bucket, records)
            snapshots = {name: (await _sync(bucket, None, peers))[1] for name, bucket in buckets.items()}
            syncs: list[tuple[str, str, MeshSnapshot | None]] = [
                ("unsigned", "unsigned", snapshots["unsigned"]),
                ("remembered", "signed", snapshots["signed"]),
                ("verified", "signed", None),
            ]
            for _ in range(rounds):
                for how, name, snapshot in syncs:
                    gc.collect()
                    times[how].append((await _sync(buckets[name], snapshot, peers))[0])
                syncs.reverse()
    targets: dict[str, Target | None] = {"remembered": at_most_times(1.3), "verified": None}
    return [
        Pair(times[how], times["unsigned"]).finding(
            f"signed-sync/{how}/{peers}",
            f"first sync of {peers:,} signed records, every proof {how}: processor time",
            beside="unsigned",
            statistic=min,
            target=target,
        )
        for how, target in targets.items()
    ]


async def _fill(session: Session, bucket: Bucket, records: Sequence[tuple[PeerRecord, PrivateKey]]) -> None:
    """Create the bucket `signed` with proofs, another one without."""
    await create_bucket(bucket, MeshSettings("fd10::/16", 48), replicas=1, memory=False)
    signed = bucket.name == "signed"
    for record, key in records:
        value = signed_value(record, key, bucket.name, bytes(64)) if signed else encode_record(record)
        await session.client.publish(f"$KV.{bucket.name}.{record.key}", value)
    await session.client.flush()


async def _sync(bucket: Bucket, snapshot: MeshSnapshot | None, peers: int) -> tuple[float, MeshSnapshot]:
    """Return an agent's processor time to read and judge a bucket beside a restored snapshot, and its snapshot."""
    config = Config(private_address=ADDRESS, mesh_cidr="fd10::/16", subnet_prefix=48, nats_kv=bucket.name)
    key, node = PrivateKey.generate(), local_node(config)
    desired_state = DesiredState(node, key, Reconciler(FakeBackend(FakeHost()), "wg0"), lambda: None)
    follower = Follower(lambda _: None, Random(), partial(verify, desired_state.proofs))
    desired_state.from_snapshot(snapshot, ADDRESS)
    began_s = time.process_time()
    await follower.resync(bucket)
    desired_state.from_bucket(follower.table, follower.revision, ADDRESS)
    took_s = time.process_time() - began_s
    assert len(desired_state.view.peers) == peers
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


MEASURES = (Measure("signed-sync", "folding", _first_syncs),)
