"""What the device is to show is what is told, from the moment that it is known for certain."""

from pathlib import Path

from ikto_core.disk.mesh_snapshot import MeshSnapshot
from ikto_core.lab.memory_bucket import MemoryBucket
from ikto_core.observers.event_hub import Reader
from ikto_core.observers.replay import Replay
from tests.claim.conftest import OTHER
from tests.nodes import Node, put, restarted
from tests.samples import KEY, THIRD_KEY, record


def told(node: Node, reader: Reader, replay: Replay) -> set[str]:
    """Return the names of the peers that a reader knows by now."""
    sight = node.room.contents
    assert sight
    replay.see(reader.event_diff.take(sight))
    return {peer.name for peer in replay.peers.values()}


async def test_nothing_is_told_before_the_bucket_is_in_view_or_without_a_kept_mesh(
    two_peers: MemoryBucket, tmp_path: Path, kept: MeshSnapshot
) -> None:
    assert Node(two_peers, tmp_path / "new").room.contents is None
    assert (await restarted(two_peers, tmp_path, None)).room.contents is None
    assert (await restarted(two_peers, tmp_path, kept)).room.contents is not None


async def test_the_kept_mesh_is_told_and_then_what_the_bucket_has_otherwise(
    two_peers: MemoryBucket, tmp_path: Path, kept: MeshSnapshot
) -> None:
    two_peers.write(OTHER.key, None)
    node, replay = await restarted(two_peers, tmp_path, kept), Replay()
    with node.room.reader() as reader:
        assert told(node, reader, replay) == {"one", "other"}
        async with node.running():
            assert told(node, reader, replay) == {"one"}
            put(two_peers, record("10.0.0.96/28", THIRD_KEY, "third"))
            assert told(node, reader, replay) == {"one", "third"}


async def test_a_record_of_another_form_is_told_of_whenever_its_winner_comes_or_goes(
    two_peers: MemoryBucket, tmp_path: Path
) -> None:
    """Nobody wrote it again: the change of another record decides over it."""
    odd, replay = record("10.0.0.97/32", THIRD_KEY, "odd"), Replay()
    put(two_peers, odd)
    async with Node(two_peers, tmp_path).running() as node:
        with node.room.reader() as reader:
            assert told(node, reader, replay) == {"one", "other", "odd"}
            put(two_peers, record("10.0.0.96/28", KEY, "one"))
            assert told(node, reader, replay) == {"one", "other"}
            assert replay.quarantined[odd.key].allowed_ip == odd.allowed_ip
            two_peers.write(record("10.0.0.96/28").key, None)
            assert told(node, reader, replay) == {"one", "other", "odd"}
            assert replay.quarantined == {}
