"""The delay until an agent sees a new record, compared with a bare core NATS subscriber on the same subject."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from random import Random

from benchmarks.findings import Finding, at_most_times
from benchmarks.measures import Bench, Measure
from benchmarks.samples import Pair, p99
from ikto_core.lab.nats_server import NatsServer, running_server
from ikto_core.mesh.records import PeerRecord, encode_record
from ikto_core.mesh.settings import MeshSettings
from ikto_core.mesh.view import Entry, MeshRules, MeshView
from ikto_core.store.bucket import Bucket
from ikto_core.store.bucket_admin import create_bucket
from ikto_core.store.connection import open_session
from ikto_core.store.follower import Follower
from ikto_core.store.received import Received
from ikto_core.store.session import NatsSettings, Session
from ikto_core.values.addressing import Prefix
from ikto_core.values.keys import PrivateKey


async def _notice(bench: Bench) -> Sequence[Finding]:
    with running_server(bench.directory) as server:
        first, second = [
            await _delays(server, bench.pick(500, 100), bare_first=bare_first) for bare_first in (True, False)
        ]
    pair = Pair([*first.ikto, *second.ikto], [*first.reference, *second.reference])
    return [
        pair.finding(
            "notice/median", "a new record is seen, median", beside="bare subscriber", target=at_most_times(2)
        ),
        pair.finding("notice/p99", "a new record is seen, p99", beside="bare subscriber", statistic=p99),
    ]


async def _delays(server: NatsServer, writes: int, *, bare_first: bool) -> Pair:
    """Write records one at a time; return the delays until the mesh view and the bare subscriber have each record.

    The server serves them in the order in which they subscribed.
    """
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
        bucket, followed = Bucket(writer, f"notice-{bare_first}"), Bucket(agent, f"notice-{bare_first}")
        await create_bucket(bucket, MeshSettings("fd10::/16", 48), replicas=1, memory=False)
        subscriptions: list[tuple[Session, Callable[[Received], None]]] = [
            (agent, lambda message: follower.receive(followed.push(message))),
            (bare, lambda _: bare_at.append(time.perf_counter())),
        ]
        for session, receive in reversed(subscriptions) if bare_first else subscriptions:
            await session.subscribe(followed.push_subject, receive)
        await follower.resync(followed)
        noticed_at.clear()
        written_at = []
        for number in range(writes):
            record = _record(number)
            noticed.clear()
            written_at.append(time.perf_counter())
            await bucket.put(record.key, encode_record(record), expected=0)
            await noticed.wait()
        while len(bare_at) < writes:
            await asyncio.sleep(0.01)
    assert len(view.peers) == writes
    return Pair(
        [at - start for at, start in zip(noticed_at, written_at, strict=True)],
        [at - start for at, start in zip(bare_at, written_at, strict=True)],
    )


def _record(number: int) -> PeerRecord:
    return PeerRecord(
        name=f"node-{number}",
        public_key=PrivateKey.generate().public(),
        advertise_address="192.0.2.1",
        allowed_ip=f"fd10:{number + 1:x}::/48",
        wg_port=51820,
    )


MEASURES = (Measure("notice", "notice", _notice),)
