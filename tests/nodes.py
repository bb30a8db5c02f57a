"""Nodes of a small mesh in one process: an agent without its NATS connection, on a bucket in memory."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

from ikto_backends.fake import FakeBackend, FakeHost
from ikto_core.agent.from_config import local_node
from ikto_core.builtin.ipam import RandomStrategy
from ikto_core.claim.address_candidates import AddressCandidates
from ikto_core.claim.controller import ClaimController
from ikto_core.claim.desired_state import DesiredState
from ikto_core.claim.policy import equal_but_nonce
from ikto_core.claim.saved_claim import SavedClaim
from ikto_core.claim.signing import RecordSigner
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
OWN_KV_KEY = record_key(SUBNET)


async def until(condition: Callable[[], object]) -> None:
    """Wait until the condition holds; raise TimeoutError after 5 s."""
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0)


def controller(  # noqa: PLR0917 - the parts of an agent, put together for tests
    config: Config,
    private_key: PrivateKey,
    reconciler: Reconciler,
    state: StateFile,
    random: Random,
    on_change: Callable[[], None] = lambda: None,
    event_hub: EventHub | None = None,
) -> ClaimController:
    """Return a claim controller with its parts, as the agent makes one."""
    node = local_node(config)
    saved_claim = SavedClaim(node, private_key.public(), state)
    return ClaimController(
        node,
        signer=RecordSigner(private_key, node.bucket, saved_claim, random, user=node.user),
        desired_state=DesiredState(node, private_key, reconciler, on_change, event_hub),
        saved_claim=saved_claim,
        candidates=AddressCandidates(node, saved_claim, RandomStrategy(), random),
        random=random,
    )


class Node:
    """One run of an agent, on a new fake host unless one is given. A later run gets the same state directory."""

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
        self.event_hub = EventHub()
        self.snapshot_requests = 0  # how often the accepted mesh may have changed
        self.controller = controller(
            Config(**{"name": "own"} | defaults | config),
            private_key,
            self.reconciler,
            self.state,
            Random(seed),
            self._count_request,
            self.event_hub,
        )
        self.desired_state = self.controller._desired_state
        self.controller.advertise(("192.0.2.1",))

    def _count_request(self) -> None:
        self.snapshot_requests += 1

    @asynccontextmanager
    async def running(self, *, resync: bool = True, wait_for_record: bool = True) -> AsyncIterator["Node"]:
        """Run the claim controller as the agent does; an error that ends it is raised here.

        Args:
            resync: Whether the follower reads the bucket first.
            wait_for_record: Whether to wait until the bucket has the own record.

        """
        follower, claimed = self.controller.follower, asyncio.Event()
        self.bucket.subscribe(follower.receive)
        if resync:
            await follower.resync(self.bucket)
        try:
            async with asyncio.TaskGroup() as tasks:
                keeping = tasks.create_task(self.controller.keep(self.bucket, claimed.set))
                await until(claimed.is_set)
                if wait_for_record:
                    await until(self.is_recorded)
                yield self
                keeping.cancel()
        except BaseExceptionGroup as group:
            raise first_cause(group) from group

    async def run_until_error(self, trigger: Callable[[], object] = lambda: None) -> None:
        """Run, call `trigger` once the own record is in the bucket, and raise the error that ends the run."""
        async with self.running(), asyncio.timeout(10):
            done = trigger()
            if inspect.isawaitable(done):
                await done
            await asyncio.Event().wait()

    @property
    def record(self) -> PeerRecord:
        """The own record as it should be in the bucket."""
        record = self.controller.record
        assert record
        return record

    def is_recorded(self) -> bool:
        """Return whether the bucket has the own record as it should be."""
        if self.controller.record is None:
            return False
        try:
            found = decode_record(self.record.key, self.bucket.live[self.record.key])
        except (LookupError, RecordError):
            return False
        return equal_but_nonce(found, self.record)

    async def device_addresses(self) -> set[str]:
        """Reconcile once, and return the device's addresses."""
        await self.reconciler.reconcile()
        device = self.host.device("wg0")
        return {str(address) for address in device.addresses} if device else set()


async def until_addressed(node: Node) -> None:
    """Wait until the device has an address of the own subnet: it follows the claim a moment later."""
    async with asyncio.timeout(5):
        while not await node.device_addresses():
            await asyncio.sleep(0.01)


def put(bucket: MemoryBucket, found: PeerRecord) -> None:
    """Write a record, whatever its KV key had before."""
    bucket.write(found.key, encode_record(found))


async def snapshot_of_a_run(bucket: MemoryBucket, state_dir: Path) -> MeshSnapshot:
    """Return the mesh snapshot of one run of the agent."""
    async with Node(bucket, state_dir).running() as node:
        snapshot = node.controller.resuming.snapshot(7.0)
    assert snapshot
    return snapshot


async def lose(node: Node, other: PeerRecord) -> None:
    """Have the bucket lose all it had, and have another node's record where the own one was."""
    node.bucket.recreate()
    put(node.bucket, other)
    await node.controller.follower.resync(node.bucket)


def device_endpoints(node: Node) -> dict[PublicKey, Endpoint | None]:
    """Return the device's peers and their endpoints."""
    device = node.host.device("wg0")
    assert device
    return {key: peer.endpoint for key, peer in device.peers.items()}


async def restarted(
    bucket: MemoryBucket, state_dir: Path, snapshot: MeshSnapshot | None, *, after_s: float = 0.0, **config: Any
) -> Node:
    """Return the next run of the agent, on a host without a device: it has restored `snapshot`, and has no NATS.

    `after_s`: seconds since the run that `snapshot_of_a_run` returned the snapshot of.
    """
    node = Node(bucket, state_dir, seed=2, **config)
    node.controller.resuming.restore(snapshot, 7.0 + after_s)
    await node.reconciler.reconcile()
    return node
