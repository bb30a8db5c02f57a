"""An agent's parts assembled in memory, with the report that the admin interface serves."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from ikto_backends.fake import FakeHost
from ikto_core.agent.departure import Departure
from ikto_core.agent.from_config import local_node
from ikto_core.agent.inquiry import Inquiry
from ikto_core.agent.key_rotation import KeyRotation
from ikto_core.agent.report import Report
from ikto_core.claim.controller import ClaimController
from ikto_core.claim.saved_claim import SavedClaim
from ikto_core.config import config_from_flags
from ikto_core.device.bounded_backend import BoundedBackend
from ikto_core.device.reconciler import Reconciler
from ikto_core.disk.mesh_snapshot import SnapshotFile
from ikto_core.disk.snapshot_writer import SnapshotWriter
from ikto_core.disk.state_file import StateFile
from ikto_core.lab.memory_bucket import MemoryBucket
from ikto_core.lease.renewer import LeaseRenewer
from ikto_core.mesh.records import PeerRecord, encode_record
from ikto_core.store.connection import Connection
from ikto_core.store.session import NatsSettings
from ikto_core.testing.devices import private_key_of, public_key_of
from tests.nodes import controller

SERVER = "nats://127.0.0.1:4222"
NODE = "node-a"
OWN_KEY = private_key_of(1)
OWN_SUBNET = "fd10:1::/48"
WG = "wg0"


def peer_record(number: int, *, name: str = "", allowed_ip: str = "") -> PeerRecord:
    """Return the record of peer 2 to 255, under fd10:<number>::/48 unless another subnet is given."""
    return PeerRecord(
        name=name or f"peer-{number}",
        public_key=public_key_of(number),
        advertise_address=f"192.0.2.{number}",
        allowed_ip=allowed_ip or f"fd10:{number:x}::/48",
        wg_port=51820,
    )


@dataclass
class Node:
    """The parts of one agent. No task runs: call `claim`, and `converge` after each change to the bucket."""

    bucket: MemoryBucket
    host: FakeHost
    controller: ClaimController
    reconciler: Reconciler
    connection: Connection
    snapshot_writer: SnapshotWriter
    report: Report

    def put(self, *records: PeerRecord) -> None:
        for record in records:
            self.bucket.write(record.key, encode_record(record))

    async def see(self) -> None:
        """Pretend to have a session with NATS, and read the whole bucket."""
        self.connection.server = SERVER
        await self.controller.follower.resync(self.bucket)

    async def claim(self) -> None:
        claimed = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            self.controller.advertise(("192.0.2.1",))
            keeping = tasks.create_task(self.controller.keep(self.bucket, claimed.set))
            await claimed.wait()
            keeping.cancel()

    async def converge(self) -> None:
        await self.controller.follower.resync(self.bucket)
        await self.reconciler.reconcile()


@asynccontextmanager
async def fresh_node(state_dir: Path, *, private_address: str = "fd10:1::1") -> AsyncIterator[Node]:
    """Yield an agent that has just started: without session, view and device."""
    config = config_from_flags(
        {
            "private_address": private_address,
            "state_dir": str(state_dir),
            "backend": "fake",
            "wg_dev_name": WG,
            "name": NODE,
        }
    )
    node = local_node(config)
    host, random = FakeHost(), Random(1)
    async with host.open() as opened:
        backend = BoundedBackend(opened, "fake", asyncio.create_task)
        reconciler = Reconciler(backend, WG)
        state, snapshot_writer = StateFile(state_dir), SnapshotWriter(SnapshotFile(state_dir))
        claim_controller = controller(config, OWN_KEY, reconciler, state, random, snapshot_writer.request_write)
        connection = Connection(NatsSettings(servers=(SERVER,)), random, keep_trying=lambda: True)
        saved_claim = SavedClaim(node, OWN_KEY.public(), state)
        report = Report(
            node,
            backend_name="fake",
            controller=claim_controller,
            desired_state=claim_controller._desired_state,
            reconciler=reconciler,
            connection=connection,
            backend=backend,
            snapshot_writer=snapshot_writer,
            state=state,
            rotation=KeyRotation(state_dir / "key", claim_controller, reconciler, saved_claim),
            departure=Departure(claim_controller, reconciler, saved_claim, lambda: connection.failure),
            inquiry=Inquiry(
                node,
                controller=claim_controller,
                saved_claim=saved_claim,
                desired_state=claim_controller._desired_state,
                reconciler=reconciler,
                connection=connection,
                backend=backend,
                snapshot_writer=snapshot_writer,
            ),
            leases=LeaseRenewer(0, lambda: claim_controller.record, claim_controller.follower, random),
        )
        yield Node(MemoryBucket(), host, claim_controller, reconciler, connection, snapshot_writer, report)


@asynccontextmanager
async def converged_node(
    state_dir: Path, *records: PeerRecord, private_address: str = "fd10:1::1"
) -> AsyncIterator[Node]:
    """Yield an agent whose device shows these records."""
    async with fresh_node(state_dir, private_address=private_address) as node:
        node.put(*records)
        await node.see()
        await node.claim()
        await node.converge()
        yield node
