"""Nodes with an account in record_trust show their right, and have only peers that show theirs, also over restarts."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from ikto_core.disk.mesh_snapshot import MeshSnapshot, SnapshotFile
from ikto_core.lab.memory_bucket import MemoryBucket
from ikto_core.mesh.records import decode_record
from ikto_core.mesh.rights import GRACE_S
from tests.claim.test_node_user import ACCOUNT, ALLOWED, OTHER_ACCOUNT, USER_KEY, write
from tests.entitled import entitled
from tests.nodes import OWN_KV_KEY, Node, until
from tests.samples import KEY, OTHER_KEY, THIRD_KEY, record

EXPIRES_S = 2e9
PEER = record("10.0.0.64/28", KEY, "peer")
EXPIRING = record("10.0.0.96/28", OTHER_KEY, "expiring")
STRANGER = record("10.0.0.128/28", THIRD_KEY, "stranger")


@pytest.fixture
def creds(tmp_path: Path) -> Path:
    return write(tmp_path / "creds", ACCOUNT.jwt(USER_KEY, ALLOWED))


@pytest.fixture
def bucket() -> MemoryBucket:
    bucket = MemoryBucket()
    bucket.write(PEER.key, entitled(PEER, 1, ACCOUNT))
    bucket.write(EXPIRING.key, entitled(EXPIRING, 1, ACCOUNT, expires_s=EXPIRES_S))
    bucket.write(STRANGER.key, entitled(STRANGER, 1, OTHER_ACCOUNT))
    return bucket


def node(bucket: MemoryBucket, state_dir: Path, creds: Path, **config: Any) -> Node:
    found = Node(bucket, state_dir, **{"record_trust": ACCOUNT.record_trust, "nats_creds": str(creds)} | config)
    assert found.controller._own._node.user
    found.controller._own._node.user.reload()
    return found


def written(bucket: MemoryBucket) -> str:
    return decode_record(OWN_KV_KEY, bucket.live[OWN_KV_KEY]).user_jwt


async def test_a_node_writes_its_record_again_when_its_jwt_was_renewed(bucket: MemoryBucket, tmp_path: Path) -> None:
    path = write(tmp_path / "creds", ACCOUNT.jwt(USER_KEY, ALLOWED, 2e9))
    async with node(bucket, tmp_path, path).running() as own:
        assert own.controller._own._node.user
        renewed = ACCOUNT.jwt(USER_KEY, ALLOWED, 3e9)
        write(path, renewed)
        assert own.controller._own._node.user.reload()
        own.controller.recheck.request()
        await until(lambda: written(bucket) == renewed)
    async with node(bucket, tmp_path, path).running(wait_for_record=False) as again:
        assert again.controller.record
        assert again.controller.record.user_jwt == renewed


async def test_a_node_whose_new_jwt_has_no_right_keeps_the_record_that_it_has(
    bucket: MemoryBucket, tmp_path: Path, creds: Path
) -> None:
    async with node(bucket, tmp_path, creds).running() as own:
        assert own.controller._own._node.user
        before = bucket.live[OWN_KV_KEY]
        write(creds, ACCOUNT.jwt(USER_KEY, ["x"]))
        own.controller._own._node.user.reload()
        own.controller.recheck.request()
        await until(lambda: own.controller.recheck.failure)
        assert "does not allow to publish" in own.controller.recheck.failure
        assert bucket.live[OWN_KV_KEY] == before


async def test_only_what_shows_a_right_is_accepted(bucket: MemoryBucket, tmp_path: Path, creds: Path) -> None:
    async with node(bucket, tmp_path, creds).running() as own:
        assert names(own) == {"peer", "expiring"}
        assert own.controller.view.quarantined.keys() == {STRANGER.key}


def names(own: Node) -> set[str]:
    return {each.name for each in own.controller.view.peers.values()}


async def saved(bucket: MemoryBucket, tmp_path: Path, creds: Path, **config: Any) -> MeshSnapshot:
    """Return the snapshot of a run, from its file."""
    async with node(bucket, tmp_path / "state", creds, **config).running() as own:
        snapshot = own.controller.resuming.snapshot(7.0)
    assert snapshot
    SnapshotFile(tmp_path).save(snapshot)
    loaded = SnapshotFile(tmp_path).load()
    assert loaded == snapshot
    return snapshot


def restarted(
    bucket: MemoryBucket,
    tmp_path: Path,
    creds: Path,
    snapshot: MeshSnapshot,
    revocations: Mapping[str, float] = MappingProxyType({}),
) -> Node:
    """Return the next run, which has no NATS yet, long after a JWT has expired."""
    own = node(bucket, tmp_path / "state", creds, seed=2)
    own.desired_state._wall_clock = lambda: EXPIRES_S + GRACE_S
    own.desired_state.revoke(revocations)
    own.controller.resuming.restore(snapshot, 7.0)
    return own


async def test_without_the_bucket_no_right_ends(bucket: MemoryBucket, tmp_path: Path, creds: Path) -> None:
    """Its owner may have renewed it. So a fleet whose JWTs have all expired keeps its tunnels."""
    own = restarted(bucket, tmp_path, creds, await saved(bucket, tmp_path, creds))
    own.desired_state.expire()
    assert names(own) == {"peer", "expiring"}
    assert own.desired_state.proofs.stats.verified == 0
    async with own.running():
        own.desired_state.expire()
        assert names(own) == {"peer"}
        assert "expired at 2033-05-18" in own.controller.view.quarantined[EXPIRING.key].reason


async def test_a_renewed_record_in_the_bucket_counts_and_not_the_one_in_the_snapshot(
    bucket: MemoryBucket, tmp_path: Path, creds: Path
) -> None:
    snapshot = await saved(bucket, tmp_path, creds)
    bucket.write(EXPIRING.key, entitled(EXPIRING, 2, ACCOUNT))
    own = restarted(bucket, tmp_path, creds, snapshot)
    assert names(own) == {"peer", "expiring"}
    async with own.running():
        assert names(own) == {"peer", "expiring"}


async def test_a_right_that_has_ended_is_none_for_a_node_that_joins(
    bucket: MemoryBucket, tmp_path: Path, creds: Path
) -> None:
    joining = node(bucket, tmp_path, creds)
    joining.desired_state._wall_clock = lambda: EXPIRES_S + GRACE_S
    async with joining.running():
        assert names(joining) == {"peer"}


async def test_a_right_that_ends_while_the_bucket_is_followed_is_noticed(
    bucket: MemoryBucket, tmp_path: Path, creds: Path
) -> None:
    async with node(bucket, tmp_path, creds).running() as own:
        own.desired_state.expire()
        assert names(own) == {"peer", "expiring"}
        own.desired_state._wall_clock = lambda: EXPIRES_S + GRACE_S
        own.desired_state.expire()
        assert names(own) == {"peer"}


async def test_after_a_change_of_record_trust_the_rights_in_a_snapshot_are_verified(
    bucket: MemoryBucket, tmp_path: Path, creds: Path
) -> None:
    forged = entitled(PEER, 2, ACCOUNT, message=b"what the user did not have to sign")
    bucket.write(PEER.key, forged)
    snapshot = await saved(bucket, tmp_path, creds, record_trust="any")
    assert snapshot.entries.keys() == {PEER.key, EXPIRING.key, STRANGER.key}
    own = restarted(bucket, tmp_path, creds, snapshot)
    assert names(own) == {"expiring"}
    assert "has not signed it" in own.controller.view.quarantined[PEER.key].reason


async def test_without_a_change_of_record_trust_nothing_is_verified_again(
    bucket: MemoryBucket, tmp_path: Path, creds: Path
) -> None:
    own = restarted(bucket, tmp_path, creds, await saved(bucket, tmp_path, creds))
    assert (names(own), own.desired_state.proofs.stats.verified) == ({"peer", "expiring"}, 0)
