"""A key rotation goes step by step; a run that dies after any step is continued by the next one from the disk."""

import asyncio
import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from ikto_core.agent import key_rotation
from ikto_core.agent.key_rotation import KeyRotation, learning_s
from ikto_core.claim import controller
from ikto_core.disk.key_file import (
    ensure_next_key,
    load_private_key,
    next_key_file,
    promote_next_key,
    write_private_key,
)
from ikto_core.errors import ConfigError, IktoError, NatsError
from ikto_core.lab.memory_bucket import Delivery, MemoryBucket
from ikto_core.mesh.records import decode_record
from ikto_core.store.check_pace import CHECK_EVERY_S, check_interval_s
from ikto_core.values.keys import PrivateKey
from tests.nodes import OWN_KEY, OWN_KV_KEY, OWN_PRIVATE_KEY, SUBNET, Node, put, until
from tests.samples import KEY, OTHER_KEY, record


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controller, "RECLAIM_JITTER_S", 0.0)
    monkeypatch.setattr(key_rotation, "learning_s", lambda _: 0.0)
    monkeypatch.setattr(key_rotation, "RETRY_S", 0.0)


@pytest.fixture
def bucket() -> MemoryBucket:
    return MemoryBucket()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of the key file."""
    write_private_key(tmp_path / "key", OWN_PRIVATE_KEY)
    return tmp_path / "key"


def rotation_of(node: Node, path: Path) -> KeyRotation:
    return KeyRotation(path, node.controller, node.reconciler, node.controller._saved_claim)


def written(bucket: MemoryBucket) -> tuple[Any, Any]:
    """Return the public key of the own record in the bucket, and the one that it announces."""
    found = decode_record(OWN_KV_KEY, bucket.live[OWN_KV_KEY])
    return found.public_key, found.next_public_key


async def device_key(node: Node) -> PrivateKey | None:
    device = node.host.device("wg0")
    assert device
    return device.private_key


# -- the key files ----------------------------------------------------------------------------------------------------


def test_a_next_key_is_drawn_once_and_then_replaces_the_key_file(path: Path) -> None:
    next_key = ensure_next_key(path)
    assert ensure_next_key(path) == next_key
    assert load_private_key(path) == OWN_PRIVATE_KEY
    assert next_key_file(path).stat().st_mode & 0o7777 == 0o600
    promote_next_key(path)
    assert load_private_key(path) == next_key
    assert [file.name for file in path.parent.iterdir()] == ["key"], "the old key is not on disk any more"


def test_a_key_file_that_is_a_symlink_stays_one(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "elsewhere"
    link.symlink_to(path)
    assert next_key_file(link) == next_key_file(path)
    next_key = ensure_next_key(link)
    promote_next_key(link)
    assert link.is_symlink()
    assert load_private_key(path) == load_private_key(link) == next_key


def test_a_key_directory_that_cannot_be_written_raises_config_error(tmp_path: Path) -> None:
    for write in (ensure_next_key, promote_next_key):
        with pytest.raises(ConfigError, match=r"key\.next: can't be written") as caught:
            write(tmp_path / "missing" / "key")
        assert "must be allowed to write" in caught.value.hint


# -- how long peers have -----------------------------------------------------------------------------------------------


@given(st.integers(0, 3000), st.randoms(use_true_random=False))
def test_the_wait_is_longer_than_any_followers_check_interval(keys: int, random: Random) -> None:
    assert learning_s(keys) > check_interval_s(keys, random) + 1
    assert learning_s(keys) > 1.2 * CHECK_EVERY_S


# -- step by step ------------------------------------------------------------------------------------------------------


async def test_a_rotation_is_announced_and_then_switches_file_device_and_record(
    bucket: MemoryBucket, path: Path
) -> None:
    async with Node(bucket, path.parent).running() as node, asyncio.TaskGroup() as tasks:
        await node.reconciler.reconcile()
        rotation = rotation_of(node, path)
        running = tasks.create_task(rotation.run(bucket))
        next_key = rotation.begin()
        assert rotation.begin() == next_key, "a rotation begins once"
        await until(lambda: written(bucket) == (OWN_KEY, next_key))
        assert await device_key(node) == load_private_key(path) == OWN_PRIVATE_KEY
        await running
        assert rotation.done.is_set()
        assert written(bucket) == (next_key, None)
        assert load_private_key(path).public() == next_key
        assert await device_key(node) == load_private_key(path)
        await node.reconciler.reconcile()
        assert await device_key(node) == load_private_key(path), "the reconciler does not undo it"
        await asyncio.sleep(0)
        assert written(bucket) == (next_key, None), "nor does the recheck"


async def test_a_node_of_0_3_0_sees_only_the_records_key_change(bucket: MemoryBucket, path: Path) -> None:
    seen: list[dict[str, Any]] = []
    bucket.subscribe(lambda push: seen.append(json.loads(push.value or b"{}")) if push.key == OWN_KV_KEY else None)
    async with Node(bucket, path.parent).running() as node:
        rotation = rotation_of(node, path)
        next_key = rotation.begin()
        await rotation.run(bucket)
    assert [members["public_key"] for members in seen] == [str(OWN_KEY), str(OWN_KEY), str(next_key)]
    assert [members.get("next_public_key") for members in seen] == [None, str(next_key), None]
    for member in ("name", "advertise_address", "allowed_ip", "wg_port"):
        assert len({members[member] for members in seen}) == 1


@pytest.mark.parametrize("step", ["drawn", "announced", "file switched", "device switched", "record switched"])
async def test_the_next_run_resumes_a_rotation_after_any_step(bucket: MemoryBucket, path: Path, step: str) -> None:
    next_key = await die_at(step, bucket, path)
    private_key = load_private_key(path)
    assert (private_key.public() == next_key) is ("switched" in step)
    async with Node(bucket, path.parent, seed=2, private_key=private_key).running() as node:
        rotation = rotation_of(node, path)
        rotation.resume()
        assert (rotation.next_key is None) is ("switched" in step)
        if rotation.next_key:
            await rotation.run(bucket)
        await until(lambda: written(bucket) == (next_key, None))
        await node.reconciler.reconcile()
        assert await device_key(node) == load_private_key(path)
        assert load_private_key(path).public() == next_key
        assert node.controller.has_saved_claim
    assert bucket.live.keys() == {OWN_KV_KEY}


async def die_at(step: str, bucket: MemoryBucket, path: Path) -> Any:
    """Run a rotation up to a step, as a run that dies there; return the next key."""
    async with Node(bucket, path.parent).running() as node:
        await node.reconciler.reconcile()
        if step == "drawn":
            return ensure_next_key(path).public()
        rotation = rotation_of(node, path)
        next_key = rotation.begin()
        await until(lambda: written(bucket)[1])
        if step == "file switched":
            promote_next_key(path)
        elif step == "device switched":
            promote_next_key(path)
            await node.reconciler.set_private_key(load_private_key(path))
        elif step == "record switched":
            await rotation.run(bucket)
        return next_key


# -- failures ----------------------------------------------------------------------------------------------------------


async def test_a_rotation_cannot_begin_without_a_claim(bucket: MemoryBucket, path: Path) -> None:
    rotation = rotation_of(Node(bucket, path.parent), path)
    with pytest.raises(IktoError, match="no subnet is claimed yet"):
        rotation.begin()
    assert not next_key_file(path).exists()


async def test_a_rotation_is_not_announced_if_the_state_file_cannot_be_written(
    bucket: MemoryBucket, path: Path
) -> None:
    async with Node(bucket, path.parent / "state").running() as node:
        node.state.path.unlink()
        node.state.path.mkdir()
        rotation = rotation_of(node, path)
        with pytest.raises(ConfigError, match="state file can't be written"):
            rotation.begin()
        assert rotation.next_key is None
        assert written(bucket) == (OWN_KEY, None)


async def test_an_unusable_next_key_is_logged_and_not_used(bucket: MemoryBucket, path: Path) -> None:
    next_key_file(path).write_text("no key")
    next_key_file(path).chmod(0o600)
    rotation = rotation_of(Node(bucket, path.parent), path)
    with capture_logs() as logs:
        rotation.resume()
    assert rotation.next_key is None
    [entry] = logs
    assert entry["event"] == "key rotation not resumed"
    assert "holds no private key" in entry["error"]


async def test_the_key_is_not_switched_unless_the_leader_answers(bucket: MemoryBucket, path: Path) -> None:
    async with Node(bucket, path.parent).running() as node:
        rotation = rotation_of(node, path)
        rotation.begin()
        await until(node.controller.next_key_announced.is_set)
        bucket.faults.fail_reads = 1
        with pytest.raises(NatsError):
            await rotation.run(bucket)
        assert load_private_key(path) == OWN_PRIVATE_KEY
        assert not rotation.done.is_set()
        await rotation.run(bucket)  # as in the next session
        assert rotation.done.is_set()


async def test_the_key_is_not_switched_while_the_bucket_lacks_the_announcement(
    bucket: MemoryBucket, path: Path
) -> None:
    async with Node(bucket, path.parent).running() as node, asyncio.TaskGroup() as tasks:
        rotation = rotation_of(node, path)
        rotation.begin()
        await until(node.controller.next_key_announced.is_set)
        bucket.faults.delivery = Delivery.DROPPED  # the follower does not see it
        before = bucket.live[OWN_KV_KEY]
        bucket.write(OWN_KV_KEY, None)
        tasks.create_task(rotation.run(bucket))
        for _ in range(20):
            await asyncio.sleep(0)
        assert load_private_key(path) == OWN_PRIVATE_KEY
        bucket.write(OWN_KV_KEY, before)
        await until(rotation.done.is_set)


async def test_a_failed_write_of_the_record_is_repeated_by_the_next_run(bucket: MemoryBucket, path: Path) -> None:
    async with Node(bucket, path.parent).running() as node:
        rotation = rotation_of(node, path)
        next_key = rotation.begin()
        await until(node.controller.next_key_announced.is_set)
        bucket.faults.lose_writes = 1
        await rotation.run(bucket)
        assert rotation.done.is_set()
    async with Node(bucket, path.parent, seed=2, private_key=load_private_key(path)).running():
        assert written(bucket) == (next_key, None)


async def test_a_record_with_the_own_next_key_makes_no_peer(bucket: MemoryBucket, path: Path) -> None:
    async with Node(bucket, path.parent).running() as node:
        rotation = rotation_of(node, path)
        next_key = rotation.begin()
        await until(node.controller.next_key_announced.is_set)
        put(bucket, record("10.0.0.64/28", next_key))
        put(bucket, record("10.0.0.80/28", KEY))
        assert node.controller.view.on_device.keys() == {KEY}


async def test_a_record_of_another_public_key_is_not_an_own_one(bucket: MemoryBucket, path: Path) -> None:
    put(bucket, record(SUBNET, OTHER_KEY))
    with pytest.raises(IktoError, match="is in use by"):
        await Node(bucket, path.parent).run_until_error()
