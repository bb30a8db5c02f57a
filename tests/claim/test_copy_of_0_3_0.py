"""A node that took over from Ikto 0.3.0 notices a copy of that program that runs on, and takes no backup for one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from ikto_core.claim import controller
from ikto_core.lab.memory_bucket import Delivery, MemoryBucket
from ikto_core.mesh.records import encode_record, record_key
from tests.nodes import OWN_KEY, OWN_KV_KEY, SUBNET, Node, put, until
from tests.samples import record

HOST_BITS = "10.0.0.18/28"
FORMS = pytest.mark.parametrize("allowed_ip", [SUBNET, HOST_BITS])


@pytest.fixture(autouse=True)
def _no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controller, "RECLAIM_JITTER_S", 0.0)


@pytest.fixture
def bucket() -> MemoryBucket:
    """A bucket with the node's record as 0.3.0 writes it."""
    return MemoryBucket()


@pytest.fixture
def logs() -> Iterator[list[Any]]:
    with capture_logs() as logs:
        yield logs


def alarms(node: Node) -> int:
    return node.desired_state.proofs.stats.alarms


def start_go(bucket: MemoryBucket, allowed_ip: str) -> None:
    """Write what 0.3.0 writes when it starts, and only then."""
    put(bucket, record(allowed_ip, OWN_KEY, "own"))


async def settled(node: Node) -> None:
    await until(lambda: node.is_recorded() and not node.controller.recheck.is_requested)


@FORMS
async def test_taking_over_from_it_is_no_alarm(bucket: MemoryBucket, tmp_path: Path, allowed_ip: str) -> None:
    start_go(bucket, allowed_ip)
    for seed in (1, 2):
        async with Node(bucket, tmp_path, seed=seed).running() as node:
            await until(lambda: bucket.live.keys() == {OWN_KV_KEY})
            await settled(node)
            assert alarms(node) == 0


@FORMS
@pytest.mark.parametrize("runs_before", [0, 1])
async def test_a_copy_that_starts_after_the_takeover_is_an_alarm_and_the_own_record_stays(
    bucket: MemoryBucket, tmp_path: Path, logs: list[Any], allowed_ip: str, runs_before: int
) -> None:
    start_go(bucket, allowed_ip)
    for seed in range(runs_before):
        async with Node(bucket, tmp_path, seed=seed).running() as node:
            await settled(node)
    async with Node(bucket, tmp_path, seed=9).running() as node:
        await until(lambda: bucket.live.keys() == {OWN_KV_KEY})
        await settled(node)
        start_go(bucket, allowed_ip)
        await settled(node)
        assert alarms(node) == 1
        assert node.is_recorded()
    alarm = next(log for log in logs if log["log_level"] == "error")
    assert "'own' (Ikto 0.3.0)" in alarm["by"]
    assert "stop it or give it a key of its own" in alarm["hint"]


async def test_the_record_of_a_running_copy_is_not_deleted_however_often_the_own_one_is_written(
    bucket: MemoryBucket, tmp_path: Path
) -> None:
    start_go(bucket, HOST_BITS)
    async with Node(bucket, tmp_path).running() as node:
        await until(lambda: bucket.live.keys() == {OWN_KV_KEY})
        await settled(node)
        start_go(bucket, HOST_BITS)
        for address in ("192.0.2.77", "192.0.2.78"):
            node.controller.advertise((address,))
            await settled(node)
        assert record_key(HOST_BITS) in bucket.live
        assert alarms(node) == 1


@FORMS
async def test_a_restored_backup_of_its_time_is_no_alarm(bucket: MemoryBucket, tmp_path: Path, allowed_ip: str) -> None:
    start_go(bucket, allowed_ip)
    restore = bucket.backup()
    for seed in (1, 2):
        async with Node(bucket, tmp_path, seed=seed).running() as node:
            await settled(node)
            restore()
            await node.controller.follower.resync(bucket)
            await until(lambda: bucket.live.keys() == {OWN_KV_KEY})
            await settled(node)
            assert alarms(node) == 0


async def test_its_record_written_again_into_a_bucket_that_was_made_anew_is_no_alarm(
    bucket: MemoryBucket, tmp_path: Path
) -> None:
    start_go(bucket, HOST_BITS)
    async with Node(bucket, tmp_path).running() as node:
        await settled(node)
        bucket.recreate()
        bucket.faults.delivery = Delivery.DROPPED  # or the next revision of the old bucket might be one of the new
        for _ in range(50):  # revisions in the new bucket may be greater
            bucket.write("other", b"")
        start_go(bucket, HOST_BITS)
        await node.controller.follower.resync(bucket)
        bucket.faults.delivery = Delivery.PROMPT
        await until(lambda: bucket.live.keys() == {OWN_KV_KEY, "other"})
        await settled(node)
        assert alarms(node) == 0


async def test_an_unreadable_record_of_a_copy_is_an_alarm(bucket: MemoryBucket, tmp_path: Path) -> None:
    start_go(bucket, SUBNET)
    async with Node(bucket, tmp_path).running() as node:
        await settled(node)
        bucket.write(OWN_KV_KEY, encode_record(record(SUBNET, OWN_KEY)).replace(b"51820", b"0"))
        await settled(node)
        assert alarms(node) == 1
