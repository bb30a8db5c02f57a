"""Nodes of a small mesh in one process: everything of an agent but its connection, on a bucket in memory."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

from msgspec.structs import replace

from ikto_backends.fake import FakeBackend, FakeHost
from ikto_core.agent.from_config import local_node
from ikto_core.builtin.ipam import RandomStrategy
from ikto_core.claim.address_candidates import AddressCandidates
from ikto_core.claim.controller import ClaimController
from ikto_core.claim.desired_state import DesiredState
from ikto_core.claim.saved_claim import SavedClaim
from ikto_core.config import Config
from ikto_core.device.reconciler import Reconciler
from ikto_core.disk.mesh_snapshot import MeshSnapshot
from ikto_core.disk.state_file import StateFile
from ikto_core.errors import first_cause
from ikto_core.lab.memory_bucket import MemoryBucket
from ikto_core.mesh.records import PeerRecord, RecordError, decode_record, encode_record, record_key
from ikto_core.observers.event_hub import EventHub
from ikto_core.values.addressing import Endpoint
from ikto_core.values.keys import PrivateKey, PublicKey

OWN_PRIVATE_KEY = PrivateKey(bytes([64] * 32))
OWN_KEY = OWN_PRIVATE_KEY.public()
ADDRESS, SUBNET = "10.0.0.18", "10.0.0.16/28"
OWN = record_key(SUBNET)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0)


def controller(  # noqa: PLR0917 - the parts of an agent, put together for tests
    config: Config,
    private_key: PrivateKey,
    reconciler: Reconciler,
    state: StateFile,
    random: Random,
    on_change: Callable[[], None] = lambda: None,
    news: EventHub | None = None,
) -> ClaimController:
    """Put a membership together as the agent does."""
    local = local_node(config)
    saved_claim = SavedClaim(local, private_key.public(), state)
    return ClaimController(
        local,
        public_key=private_key.public(),
        desired_state=DesiredState(local, private_key, reconciler, on_change, news),
        saved_claim=saved_claim,
        candidates=AddressCandidates(local, saved_claim, RandomStrategy(), random),
        random=random,
    )


class Node:
    """One run of an agent, on a host of its own unless given, with the state directory of the runs before it."""

    def __init__(
        self,
        bucket: MemoryBucket,
        state_dir: Path,
        *,
        seed: int = 1,
        host: FakeHost | None = None,
        private_key: PrivateKey = OWN_PRIVATE_KEY,
        **config: Any,
    ) -> None:
        defaults: dict[str, Any] = {"private_address": ADDRESS, "mesh_cidr": "10.0.0.0/24", "subnet_prefix": 28}
        self.bucket = bucket
        self.host = host or FakeHost()
        self.reconciler = Reconciler(FakeBackend(self.host), "wg0")
        self.state = StateFile(state_dir)
        self.room = EventHub()
        self.news = 0  # how often there was something new to keep
        self.controller = controller(
            Config(**{"name": "ours"} | defaults | config),
            private_key,
            self.reconciler,
            self.state,
            Random(seed),
            self._news,
            self.room,
        )

    def _news(self) -> None:
        self.news += 1

    @asynccontextmanager
    async def running(self, *, resync: bool = True, claim_stands: bool = True) -> AsyncIterator["Node"]:
        """Keep the membership as the agent does; what ends it is raised here."""
        follower, claimed = self.controller.follower, asyncio.Event()
        self.bucket.subscribe(follower.receive)
        if resync:
            await follower.resync(self.bucket)
        try:
            async with asyncio.TaskGroup() as tasks:
                keeping = tasks.create_task(self.controller.keep(self.bucket, "192.0.2.1", claimed.set))
                await until(claimed.is_set)
                if claim_stands:
                    await until(self.stands)
                yield self
                keeping.cancel()
        except BaseExceptionGroup as group:
            raise first_cause(group) from group

    async def ends(self, because: Callable[[], object] = lambda: None) -> None:
        """Run until something ends it, which is raised here; `because` happens once the claim stands."""
        async with self.running(), asyncio.timeout(5):
            because()
            await asyncio.Event().wait()

    @property
    def record(self) -> PeerRecord:
        record = self.controller.record
        assert record
        return record

    def stands(self) -> bool:
        """Whether the bucket holds this run's record as it should be."""
        if self.controller.record is None:
            return False
        try:
            found = decode_record(self.record.key, self.bucket.live[self.record.key])
        except (LookupError, RecordError):
            return False
        return replace(found, nonce="") == self.record

    async def device_addresses(self) -> set[str]:
        await self.reconciler.reconcile()
        device = self.host.device("wg0")
        return {str(address) for address in device.addresses} if device else set()


def put(bucket: MemoryBucket, found: PeerRecord) -> None:
    """Let a record stand, whatever stood there before."""
    bucket.write(found.key, encode_record(found))


async def kept_by_a_run(bucket: MemoryBucket, state_dir: Path) -> MeshSnapshot:
    """Return what a run of the agent keeps of the mesh."""
    async with Node(bucket, state_dir).running() as node:
        kept = node.controller.snapshot(7.0)
    assert kept
    return kept


def shown(node: Node) -> dict[PublicKey, Endpoint | None]:
    device = node.host.device("wg0")
    assert device
    return {key: peer.endpoint for key, peer in device.peers.items()}


async def restarted(bucket: MemoryBucket, state_dir: Path, kept: MeshSnapshot | None, **config: Any) -> Node:
    """Return the next run of the agent, on a host without a device, before NATS is dialled."""
    node = Node(bucket, state_dir, seed=2, **config)
    node.controller.restore_snapshot(kept)
    await node.reconciler.reconcile()
    return node
