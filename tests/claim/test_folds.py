"""A start folds the bucket once, and no record is decoded or decided about again unless it changed."""

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from ikto_core.claim import controller
from ikto_core.lab.memory_bucket import MemoryBucket
from ikto_core.mesh import proofs, view
from ikto_core.mesh.records import PeerRecord, decode_record, encode_record
from ikto_core.mesh.subnet_contest import SubnetContest
from ikto_core.store.interfaces import Message
from ikto_core.testing.devices import public_key_of
from tests.nodes import Node, put, restarted, snapshot_of_a_run, until, until_addressed
from tests.samples import record

PEERS = [record(f"10.0.0.{16 * number}/28", public_key_of(number)) for number in range(2, 15)]


@pytest.fixture(autouse=True)
def _no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controller, "RECLAIM_JITTER_S", 0.0)


@pytest.fixture
def mesh() -> MemoryBucket:
    """Return a bucket with the records of `PEERS`."""
    bucket = MemoryBucket()
    for found in PEERS:
        put(bucket, found)
    return bucket


class Work:
    """How often the record of each KV key was decoded for the view, and how often its subnet was decided about."""

    def __init__(self) -> None:
        self.decoded = Counter[str]()
        self.decided = Counter[str]()

    def clear(self) -> None:
        self.decoded.clear()
        self.decided.clear()

    def counting_decode(self, key: str, value: bytes) -> PeerRecord:
        self.decoded[key] += 1
        return decode_record(key, value)

    def counting_decide(self, decide: Callable[[SubnetContest, str], str | None]) -> object:
        def counted(contest: SubnetContest, key: str) -> str | None:
            self.decided[key] += 1
            return decide(contest, key)

        return counted


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    """Count the work of all nodes."""
    counted = Work()
    monkeypatch.setattr(proofs, "decode_record", counted.counting_decode)
    monkeypatch.setattr(view, "decode_record", counted.counting_decode)
    monkeypatch.setattr(SubnetContest, "_decide", counted.counting_decide(SubnetContest._decide))
    return counted


EACH_ONCE = Counter({found.key: 1 for found in PEERS})


def of_peers(counted: Counter[str]) -> Counter[str]:
    """Return the counts of the records of `PEERS`: this node's own one is looked at whenever its claim is."""
    return Counter({key: times for key, times in counted.items() if key in EACH_ONCE})


async def test_a_first_start_decodes_and_decides_each_record_once(
    mesh: MemoryBucket, tmp_path: Path, work: Work
) -> None:
    async with Node(mesh, tmp_path).running() as node:
        await until_addressed(node)
        assert len(node.controller.view.peers) == len(PEERS)
        assert of_peers(work.decoded) == of_peers(work.decided) == EACH_ONCE


async def test_a_start_with_a_saved_claim_and_no_snapshot_does_so_too(
    mesh: MemoryBucket, tmp_path: Path, work: Work
) -> None:
    await snapshot_of_a_run(mesh, tmp_path)
    node = await restarted(mesh, tmp_path, None)
    work.clear()
    async with node.running():
        await until_addressed(node)
        assert of_peers(work.decoded) == of_peers(work.decided) == EACH_ONCE


async def test_a_start_from_a_snapshot_looks_only_at_what_has_changed(
    mesh: MemoryBucket, tmp_path: Path, work: Work
) -> None:
    snapshot = await snapshot_of_a_run(mesh, tmp_path)
    node = await restarted(mesh, tmp_path, snapshot)
    moved = record(PEERS[3].allowed_ip, public_key_of(5), "moved")
    put(mesh, moved)
    work.clear()
    async with node.running():
        await until_addressed(node)
        assert of_peers(work.decoded) == of_peers(work.decided) == Counter([moved.key])
        assert {peer.name for peer in node.controller.view.peers.values()} == {"moved", PEERS[0].name}


async def test_a_claim_that_is_lost_and_made_elsewhere_looks_at_each_changed_record_once(
    mesh: MemoryBucket, tmp_path: Path, work: Work
) -> None:
    async with Node(mesh, tmp_path, private_address="auto").running() as node:
        await until_addressed(node)
        lost = node.record
        work.clear()
        mesh.recreate()
        for found in [*PEERS, record(lost.allowed_ip, public_key_of(99), "robber")]:
            put(mesh, found)
        await node.controller.follower.resync(mesh)
        await until(lambda: node.controller.is_claimed and not node.controller._own.has_key(lost.key))
        assert of_peers(work.decoded) == of_peers(work.decided) == EACH_ONCE
        assert "robber" in {peer.name for peer in node.controller.view.peers.values()}


@pytest.fixture
def bucket_of() -> Callable[[int], MemoryBucket]:
    """Return what makes a bucket with the records of so many peers."""

    def made(peers: int) -> MemoryBucket:
        bucket = MemoryBucket()
        for number in range(peers):
            put(bucket, record(f"10.{number >> 8}.{number & 255}.0/28", public_key_of(number)))
        return bucket

    return made


FEW, MANY = 20, 2000


async def test_one_more_record_costs_as_many_calls_beside_many_as_beside_few(
    bucket_of: Callable[[int], MemoryBucket], tmp_path: Path
) -> None:
    new = record("10.200.0.0/28", public_key_of(5000), "new")

    def receive(node: Node) -> None:
        node.controller.follower.receive(Message(new.key, node.bucket.last_revision + 1, encode_record(new)))
        assert new.public_key in node.controller.view.peers

    few, many = [await calls(receive, bucket_of(peers), tmp_path / str(peers)) for peers in (FEW, MANY)]
    assert many <= few * 1.1


async def test_a_regular_look_at_what_may_have_ended_costs_nothing_for_each_record(
    bucket_of: Callable[[int], MemoryBucket], tmp_path: Path
) -> None:
    few, many = [
        await calls(lambda node: node.desired_state.expire(), bucket_of(peers), tmp_path / str(peers))
        for peers in (FEW, MANY)
    ]
    assert many <= few


async def calls(do: Callable[[Node], None], bucket: MemoryBucket, state_dir: Path) -> int:
    """Return how many functions a node calls, those in C included, to do something."""
    counted = 0

    def count(_frame: object, event: str, _function: object) -> None:
        nonlocal counted
        counted += event in {"call", "c_call"}

    async with Node(bucket, state_dir, private_address="10.255.0.1", mesh_cidr="10.0.0.0/8").running() as node:
        await until_addressed(node)
        before = sys.getprofile()
        sys.setprofile(count)
        try:
            do(node)
        finally:
            sys.setprofile(before)
    return counted
