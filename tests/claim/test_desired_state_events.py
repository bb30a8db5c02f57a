"""Observers receive the mesh that the device should show, from the snapshot or the bucket, and nothing before."""

from pathlib import Path

from ikto_core.disk.mesh_snapshot import MeshSnapshot
from ikto_core.lab.memory_bucket import MemoryBucket
from ikto_core.observers.event_hub import Reader
from ikto_core.observers.replay import Replay
from tests.claim.conftest import OTHER
from tests.nodes import Node, put, restarted
from tests.samples import KEY, THIRD_KEY, record


def peer_names(node: Node, reader: Reader, replay: Replay) -> set[str]:
    """Pass a reader's new events to `replay`; return the names of the peers that it has then."""
    contents = node.event_hub.contents
    assert contents
    replay.see(reader.event_diff.take(contents))
    return {peer.name for peer in replay.peers.values()}


async def test_there_are_no_events_before_the_bucket_is_read_without_a_snapshot(
    two_peers: MemoryBucket, tmp_path: Path, snapshot: MeshSnapshot
) -> None:
    assert Node(two_peers, tmp_path / "new").event_hub.contents is None
    assert (await restarted(two_peers, tmp_path, None)).event_hub.contents is None
    assert (await restarted(two_peers, tmp_path, snapshot)).event_hub.contents is not None


async def test_events_show_the_snapshot_and_then_the_differences_of_the_bucket(
    two_peers: MemoryBucket, tmp_path: Path, snapshot: MeshSnapshot
) -> None:
    two_peers.write(OTHER.key, None)
    node, replay = await restarted(two_peers, tmp_path, snapshot), Replay()
    with node.event_hub.reader() as reader:
        assert peer_names(node, reader, replay) == {"one", "other"}
        async with node.running():
            assert peer_names(node, reader, replay) == {"one"}
            put(two_peers, record("10.0.0.96/28", THIRD_KEY, "third"))
            assert peer_names(node, reader, replay) == {"one", "third"}


async def test_a_noncanonical_record_makes_events_when_the_record_that_overlaps_it_comes_or_goes(
    two_peers: MemoryBucket, tmp_path: Path
) -> None:
    """It was not written again: another record's change decides whether it is accepted."""
    odd, replay = record("10.0.0.97/32", THIRD_KEY, "odd"), Replay()
    put(two_peers, odd)
    async with Node(two_peers, tmp_path).running() as node:
        with node.event_hub.reader() as reader:
            assert peer_names(node, reader, replay) == {"one", "other", "odd"}
            put(two_peers, record("10.0.0.96/28", KEY, "one"))
            assert peer_names(node, reader, replay) == {"one", "other"}
            assert replay.quarantined[odd.key].allowed_ip == odd.allowed_ip
            two_peers.write(record("10.0.0.96/28").key, None)
            assert peer_names(node, reader, replay) == {"one", "other", "odd"}
            assert replay.quarantined == {}
