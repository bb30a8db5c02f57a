"""The delay until an agent sees a new record, compared with a bare core NATS subscriber on the same subject."""

import asyncio
import time
from collections.abc import Mapping
from random import Random
from statistics import median

from benchmarks.report import Finding
from ikto_core.lab.nats_server import NatsServer
from ikto_core.mesh.records import PeerRecord, encode_record
from ikto_core.mesh.view import Entry, MeshRules, MeshView
from ikto_core.store.bucket import Bucket
from ikto_core.store.connection import open_session
from ikto_core.store.follower import Follower
from ikto_core.store.session import NatsSettings
from ikto_core.values.addressing import Prefix
from ikto_core.values.keys import PrivateKey

WRITES = 1000


async def notice(server: NatsServer, name: str) -> Finding:
    """Write records one at a time; measure the delay until the bare subscriber and the mesh view have each record."""
    settings = NatsSettings(servers=(server.url,))
    view = MeshView(MeshRules(cidr=Prefix.parse("fd10::/16"), subnet_prefix=48, own_key=PrivateKey.generate().public()))
    bare_at: list[float] = []
    noticed_at: list[float] = []
    noticed = asyncio.Event()

    def changed(changes: Mapping[str, Entry]) -> None:
        view.update(changes)
        noticed_at.append(time.perf_counter())
        noticed.set()

    follower = Follower(changed, Random())
    async with (
        open_session(settings, Random()) as writer,
        open_session(settings, Random()) as bare,
        open_session(settings, Random()) as agent,
    ):
        bucket, followed = Bucket(writer, name), Bucket(agent, name)
        # Subscribed by turns, so that neither is always served first.
        await agent.subscribe(followed.push_subject, lambda m: follower.receive(followed.push(m)))
        await bare.subscribe(followed.push_subject, lambda _: bare_at.append(time.perf_counter()))
        await follower.resync(followed)
        noticed_at.clear()
        written_at = []
        for number in range(WRITES):
            record = _record(number)
            noticed.clear()
            written_at.append(time.perf_counter())
            await bucket.put(record.key, encode_record(record), expected=0)
            await noticed.wait()
        while len(bare_at) < WRITES:
            await asyncio.sleep(0.01)
    bare_s = median(at - start for at, start in zip(bare_at, written_at, strict=True))
    noticed_s = median(at - start for at, start in zip(noticed_at, written_at, strict=True))
    assert len(view.peers) == WRITES
    return Finding(
        what=f"delay until a new record is seen (median of {WRITES})",
        ikto=f"{noticed_s * 1000:.2f} ms",
        reference=f"bare subscriber: {bare_s * 1000:.2f} ms",
        ratio=noticed_s / bare_s,
        target="≤ 2",
    )


def _record(number: int) -> PeerRecord:
    return PeerRecord(
        name=f"node-{number}",
        public_key=PrivateKey.generate().public(),
        advertise_address="192.0.2.1",
        allowed_ip=f"fd10:{number + 1:x}::/48",
        wg_port=51820,
    )
