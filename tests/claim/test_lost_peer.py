"""Whatever record goes away, nodes of Ikto 0.3.0 end with every peer: its owner writes its own record again."""

from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from ikto_core.claim import controller
from ikto_core.claim.lost_peer import AT_ONCE, EVERY_S, LostPeer
from ikto_core.lab.memory_bucket import MemoryBucket
from ikto_core.mesh.records import encode_record, record_key
from ikto_core.mesh.view import Entry, MeshRules, MeshView
from ikto_core.store.interfaces import Message
from ikto_core.values.addressing import Prefix
from ikto_core.values.keys import PrivateKey
from tests.go_node import GoNode
from tests.nodes import OWN_KEY, OWN_KV_KEY, SUBNET, Node, put, until
from tests.samples import KEY, MESH, record

HOST_BITS = "10.0.0.18/28"
"""How 0.3.0 writes the own subnet."""


class GoFollower:
    """A node of 0.3.0 that follows a bucket, and a count of the writes of each KV key."""

    def __init__(self, bucket: MemoryBucket) -> None:
        self.node, self.writes = GoNode(), list[str]()
        bucket.subscribe(self._receive)

    def _receive(self, message: Message) -> None:
        self.node = self.node.after(message)
        if message.value is not None:
            self.writes.append(message.key)

    def reaches_own(self) -> bool:
        return self.node.reaches(OWN_KEY.text, SUBNET)


@pytest.fixture(autouse=True)
def _no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controller, "RECLAIM_JITTER_S", 0.0)


@pytest.fixture
def bucket() -> MemoryBucket:
    return MemoryBucket()


@pytest.fixture
def go(bucket: MemoryBucket) -> GoFollower:
    return GoFollower(bucket)


def calm(node: Node) -> bool:
    return node.is_recorded() and not node.controller.recheck.is_requested


async def test_a_node_that_replaces_0_3_0_stays_a_peer_of_its_nodes(
    bucket: MemoryBucket, go: GoFollower, tmp_path: Path
) -> None:
    """Their record has host bits, so that the new one has another KV key, and the old one is withdrawn."""
    put(bucket, record(HOST_BITS, OWN_KEY, "own"))
    async with Node(bucket, tmp_path).running() as node:
        await until(lambda: record_key(HOST_BITS) not in bucket.live)
        await until(go.reaches_own)
        await until(lambda: calm(node))
    assert go.writes.count(OWN_KV_KEY) == 2


async def test_a_node_with_another_address_stays_a_peer(bucket: MemoryBucket, go: GoFollower, tmp_path: Path) -> None:
    async with Node(bucket, tmp_path).running():
        pass
    async with Node(bucket, tmp_path, seed=2, private_address="10.0.0.65").running() as node:
        await until(lambda: OWN_KV_KEY not in bucket.live)
        await until(lambda: go.node.reaches(OWN_KEY.text, "10.0.0.64/28"))
        await until(lambda: calm(node))
    assert go.writes.count(node.record.key) == 2


async def test_a_withdrawal_just_before_the_connection_is_lost_is_followed_by_the_write_in_the_next_session(
    bucket: MemoryBucket, go: GoFollower, tmp_path: Path
) -> None:
    node = Node(bucket, tmp_path)
    async with node.running():
        put(bucket, record(HOST_BITS, OWN_KEY, "own"))
    node.controller.follower.disconnected()
    bucket.write(record_key(HOST_BITS), None)
    assert not go.reaches_own()
    async with node.running():
        await until(go.reaches_own)


@pytest.mark.parametrize(
    ("allowed_ip", "public_key"),
    [
        pytest.param(HOST_BITS, KEY, id="the own subnet, by another node of 0.3.0"),
        pytest.param("10.0.0.65/28", OWN_KEY, id="the own key, elsewhere"),
        pytest.param("10.9.0.1/28", OWN_KEY, id="the own key, outside the mesh"),
    ],
)
async def test_once_a_record_that_took_the_peer_away_is_deleted_the_own_one_is_written_once(
    bucket: MemoryBucket, go: GoFollower, tmp_path: Path, allowed_ip: str, public_key: bytes
) -> None:
    async with Node(bucket, tmp_path).running() as node:
        first = bucket.live[OWN_KV_KEY]
        put(bucket, replace(record(allowed_ip, name="go"), public_key=public_key))
        assert bucket.live[OWN_KV_KEY] == first, "while it is there nobody fights about it"
        bucket.write(record_key(allowed_ip), None)
        assert not go.reaches_own()
        await until(go.reaches_own)
        await until(lambda: calm(node))
        assert go.writes.count(OWN_KV_KEY) == 2
        assert node.controller.view.peers == {}


async def test_a_record_that_0_3_0_could_read_before_junk_was_written_over_it_counts(
    bucket: MemoryBucket, go: GoFollower, tmp_path: Path
) -> None:
    async with Node(bucket, tmp_path).running():
        put(bucket, record("10.0.0.65/28", OWN_KEY, "go"))
        bucket.write(record_key("10.0.0.65/28"), b"{junk")
        bucket.write(record_key("10.0.0.65/28"), None)
        assert not go.reaches_own()
        await until(go.reaches_own)


@pytest.mark.parametrize(
    "allowed_ip", ["10.0.0.64/28", pytest.param("10.0.0.0/24", id="wider: it takes nothing from a longer prefix")]
)
async def test_the_deletion_of_another_record_writes_nothing(
    bucket: MemoryBucket, go: GoFollower, tmp_path: Path, allowed_ip: str
) -> None:
    async with Node(bucket, tmp_path).running() as node:
        put(bucket, record(allowed_ip, KEY))
        bucket.write(record_key(allowed_ip), None)
        assert not node.controller.recheck.is_requested
        assert go.reaches_own()


async def test_two_nodes_do_not_make_each_other_write(bucket: MemoryBucket, go: GoFollower, tmp_path: Path) -> None:
    """One moves to another subnet, in which a record of 0.3.0 has named the other one's key."""
    mover_key = PrivateKey(bytes([8] * 32))
    async with Node(bucket, tmp_path / "mover", private_key=mover_key, private_address="10.0.0.33").running():
        pass
    put(bucket, record(HOST_BITS, mover_key.public(), "go"))
    mover = Node(bucket, tmp_path / "mover", seed=2, private_key=mover_key, private_address="10.0.0.65")
    stays = Node(bucket, tmp_path / "stays", private_address="10.0.0.97")
    async with stays.running(), mover.running():
        await until(lambda: bucket.live.keys() == {stays.record.key, mover.record.key})
        await until(lambda: go.node.reaches(mover_key.public().text, "10.0.0.64/28"))
        await until(lambda: calm(mover) and calm(stays))
        assert go.node.reaches(OWN_KEY.text, "10.0.0.96/28")
        assert go.writes.count(stays.record.key) == 1
        assert go.writes.count(mover.record.key) <= 3, "one for the claim, and one for each of two withdrawals at most"


async def test_an_endless_row_of_such_deletions_causes_a_bounded_number_of_writes(
    bucket: MemoryBucket, go: GoFollower, tmp_path: Path
) -> None:
    node = Node(bucket, tmp_path)
    lost_peer = node.controller._own.lost_peer
    lost_peer._clock = lambda: 5.0  # the whole test takes no time
    async with node.running():
        for _ in range(3 * AT_ONCE):
            put(bucket, record("10.0.0.65/28", OWN_KEY, "go"))
            bucket.write(record_key("10.0.0.65/28"), None)
            if not lost_peer.pause_s():
                await until(go.reaches_own)
        assert go.writes.count(OWN_KV_KEY) == 1 + AT_ONCE
        bucket.write(OWN_KV_KEY, None)
        assert node.controller._own.repair_pause_s(node.controller.follower) == 0.0, "a missing record does not wait"


# -- the bound ---------------------------------------------------------------------------------------------------------


def lose(lost_peer: LostPeer, revision: int, histories: int = 0) -> None:
    """Write a record with the own key, and delete it."""
    view = MeshView(MeshRules(cidr=MESH, subnet_prefix=28, own_key=OWN_KEY))
    named = record("10.0.0.65/28", OWN_KEY)
    for entry in (Entry(revision - 1, encode_record(named)), Entry(revision, None)):
        lost_peer.note({named.key: entry}, histories, frozenset({OWN_KEY.text}), Prefix.parse(SUBNET), view)


def repairs(lost_peer: LostPeer, advance: Callable[[float], None], until_s: float) -> int:
    """Return how often the own record is written while such a record is written and deleted every second."""
    count, pause_s = 0, 0.0
    for second in range(int(until_s)):
        lose(lost_peer, 10 * second + 5)
        pause_s = lost_peer.pause_s()
        if not pause_s:
            lost_peer.written(10 * second + 6)
            count += 1
        advance(1.0)
    return count


def test_after_some_writes_at_once_there_is_one_in_a_while() -> None:
    now = 0.0

    def advance(seconds: float) -> None:
        nonlocal now
        now += seconds

    lost_peer = LostPeer(lambda: now)
    assert repairs(lost_peer, advance, 600) <= AT_ONCE + 600 / EVERY_S
    advance(AT_ONCE * EVERY_S + 1)
    assert lost_peer.pause_s() == 0.0


def test_a_deletion_in_another_history_of_the_bucket_does_not_count_in_the_present_one() -> None:
    lost_peer = LostPeer(lambda: 0.0)
    lose(lost_peer, 1000)
    lose(lost_peer, 3, histories=1)
    assert lost_peer.revision == 3


def test_a_deletion_that_nobody_saw_counts_when_another_node_has_the_kv_key() -> None:
    """Between two reads the own record was deleted there, and another node has written its own."""
    lost_peer, view = LostPeer(lambda: 0.0), MeshView(MeshRules(cidr=MESH, subnet_prefix=28, own_key=OWN_KEY))
    named, others = record("10.0.0.65/28", OWN_KEY), record("10.0.0.65/28", KEY)
    for entry in (Entry(7, encode_record(named)), Entry(9, encode_record(others))):
        lost_peer.note({named.key: entry}, 0, frozenset({OWN_KEY.text}), Prefix.parse(SUBNET), view)
    assert lost_peer.revision == 9
