"""A record is removed only as the operator has seen it, whatever answers are lost."""

import pytest

from ikto_core.errors import IktoError, NatsDeniedError
from ikto_core.lab.memory_bucket import MemoryBucket
from ikto_core.mesh.records import encode_record
from ikto_core.roster.listing import NodeRecord
from ikto_core.roster.removal import remove_lease, remove_record
from tests.samples import record

NODE = record("10.0.0.32/28")


def seen(revision: int) -> NodeRecord:
    return NodeRecord(key=NODE.key, revision=revision, allowed_ip=NODE.allowed_ip, name="a", public_key="K")


async def test_a_record_is_removed() -> None:
    bucket = MemoryBucket()
    revision = bucket.write(NODE.key, encode_record(NODE))
    await remove_record(bucket, seen(revision))
    assert NODE.key not in bucket.live
    await remove_record(bucket, seen(revision))  # removed already: nothing to do


async def test_a_record_that_was_written_again_stays() -> None:
    bucket = MemoryBucket()
    revision = bucket.write(NODE.key, encode_record(NODE))
    bucket.write(NODE.key, b"newer")
    with pytest.raises(IktoError, match="written again since revision") as raised:
        await remove_record(bucket, seen(revision))
    assert raised.value.exit_code == 1
    assert bucket.live[NODE.key] == b"newer"


@pytest.mark.parametrize("lost", ["lose_answers", "lose_writes"])
async def test_a_lost_answer_is_looked_up(lost: str) -> None:
    bucket = MemoryBucket()
    revision = bucket.write(NODE.key, encode_record(NODE))
    setattr(bucket.faults, lost, 1)
    await remove_record(bucket, seen(revision))
    assert getattr(bucket.faults, lost) == 0
    assert NODE.key not in bucket.live


async def test_refused_credentials_are_an_error_for_the_record_and_a_remark_for_the_lease() -> None:
    bucket = MemoryBucket()
    revision = bucket.write(NODE.key, encode_record(NODE))
    bucket.faults.deny = frozenset([NODE.key])
    with pytest.raises(NatsDeniedError):
        await remove_record(bucket, seen(revision))
    assert await remove_lease(bucket, NODE.key)
    assert NODE.key in bucket.live


async def test_a_lease_is_removed_with_its_record() -> None:
    renewals = MemoryBucket()
    renewals.write(NODE.key, b"run-1")
    assert not await remove_lease(renewals, NODE.key)
    assert NODE.key not in renewals.live
