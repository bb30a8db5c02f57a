"""The agent's own files after a crash or a bad disk: the state and the snapshot of the mesh."""

import asyncio
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import msgspec

from ikto_core.claim.local_node import LocalNode
from ikto_core.claim.saved_claim import SavedClaim
from ikto_core.claim.saved_pins import restore_pins
from ikto_core.disk.mesh_snapshot import MeshSnapshot, SnapshotFile
from ikto_core.disk.state_file import SavedState, StateFile
from ikto_core.lab.memory_bucket import MemoryBucket
from ikto_core.mesh.pins import Pins
from ikto_core.mesh.proofs import ProofIndex
from ikto_core.mesh.view import MeshView
from ikto_core.store.follower import Follower
from tests.fuzz.target import Check, RefusedError, Target
from tests.fuzz.targets.mesh import MESH, RULES
from tests.samples import OWN_KEY

NODE = LocalNode(name="a", ifname="wg0", mesh=MESH, subnet_prefix=48, bucket="ikto-mesh", address="fd10:1::1")
STATE_WORDS = (
    b'"version":1',
    b'"claim":null',
    b'"keys":[',
    b'"serial":',
    b'"successions":[["peers.x","a"]]',
    b'"released":',
)
SNAPSHOT_WORDS = (b'"entries":{', b'"proved":["', b'"gone_s":{', b'"other_pins":{', b'"sessions":["', b'"mtu":', b"=\n")
BUCKET_WORDS = (b'"position":{"created":"', b'"first_revision":', b'"others":{', b'"absent":["', b'"audited":')


def _forget_unreadable(directory: Path) -> None:
    for path in directory.glob("*.unreadable-*"):
        path.unlink()


@contextmanager
def _open_state(directory: Path) -> Iterator[Check]:
    file = StateFile(directory)

    def check(data: bytes) -> None:
        file.path.write_bytes(data)
        state = file.load()
        if not file.path.exists():  # it was set aside
            assert state == SavedState()
            _forget_unreadable(directory)
            raise RefusedError
        saved = SavedClaim(NODE, OWN_KEY, file)
        assert OWN_KEY not in saved.other_keys
        assert saved.claim is None or saved.address == NODE.address
        saved.differences(NODE.claim(OWN_KEY, "fd10:2::1"))
        msgspec.json.encode((sorted(saved.instances), saved.serial, saved.successions("peers.x")))
        assert msgspec.json.decode(msgspec.json.encode(state), type=SavedState) == state

    yield check


def _with_checksum(data: bytes) -> bytes:
    """Return the file of an input: a first line `=` stands for the header that fits the rest."""
    line, _, body = data.partition(b"\n")
    if line != b"=":
        return data
    return msgspec.json.encode({"version": 2, "sha256": hashlib.sha256(body).hexdigest()}) + b"\n" + body


def _restore(snapshot: MeshSnapshot) -> None:
    """Show a snapshot as an agent does that starts without NATS, and then an empty bucket."""
    view, proofs = MeshView(RULES), ProofIndex(NODE.bucket)
    pins = Pins(proofs, lambda: view.rules)
    restore_pins(pins, proofs, snapshot, 0.0, verified=True)
    view.update(pins.replace(snapshot.entries, 0.0))
    view.update(pins.replace({}, 1.0))
    view.update(pins.expire(1e9))


def _catch_up(snapshot: MeshSnapshot) -> None:
    """Go on from a snapshot as an agent does that reaches NATS; after a walk of all nothing wrong is left."""
    bucket, follower = MemoryBucket(), Follower(lambda _: None, Random(0))
    bucket.write("peers.x", b"value")
    if snapshot.position:
        follower.restore(snapshot.table, snapshot.position)
    asyncio.run(follower.resync(bucket))
    follower.request_resync()
    asyncio.run(follower.resync(bucket))
    assert follower.table.keys() == {"peers.x"}


@contextmanager
def _open_snapshot(directory: Path) -> Iterator[Check]:
    file = SnapshotFile(directory)

    def check(data: bytes) -> None:
        file.path.write_bytes(_with_checksum(data))
        if (snapshot := file.load()) is None:
            assert not file.path.exists()
            _forget_unreadable(directory)
            raise RefusedError
        assert snapshot.same_content_as(snapshot)
        _restore(snapshot)
        _catch_up(snapshot)

    yield check


TARGETS = (
    Target("state", 3, (), _open_state, STATE_WORDS),
    Target("snapshot", 3, (), _open_snapshot, SNAPSHOT_WORDS + BUCKET_WORDS),
)
