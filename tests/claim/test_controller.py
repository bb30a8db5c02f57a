"""A node claims its subnet, or says why it can't; what it held before goes."""

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from ikto_core.claim import controller as membership_module
from ikto_core.claim import recheck
from ikto_core.errors import AddressInUseError, ConfigError, NatsError
from ikto_core.lab.memory_bucket import MemoryBucket
from ikto_core.mesh.records import PeerRecord, encode_record
from ikto_core.mesh.settings import MESH_KEY, MeshSettings
from ikto_core.values.addressing import Prefix
from ikto_core.values.keys import PrivateKey
from tests.nodes import ADDRESS, OWN, OWN_KEY, SUBNET, Node, put, until
from tests.samples import KEY, OTHER_KEY, record


@pytest.fixture
def bucket() -> MemoryBucket:
    return MemoryBucket()


async def test_the_configured_address_is_claimed_and_set(bucket: MemoryBucket, tmp_path: Path) -> None:
    async with Node(bucket, tmp_path, endpoints=("192.0.2.1:7",)).running() as node:
        assert node.stands()
        assert (node.record.allowed_ip, node.record.public_key, node.record.name) == (SUBNET, OWN_KEY, "ours")
        assert [str(endpoint) for endpoint in node.record.endpoints] == ["192.0.2.1:7"]
        assert await node.device_addresses() == {f"{ADDRESS}/24"}


async def test_an_automatic_claim_is_reused_by_the_next_run_even_in_an_empty_bucket(tmp_path: Path) -> None:
    bucket = MemoryBucket()
    async with Node(bucket, tmp_path, private_address="auto").running() as first:
        assert first.stands()
    for again, seed in ((bucket, 2), (MemoryBucket(), 3)):
        async with Node(again, tmp_path, private_address="auto", seed=seed).running() as node:
            assert node.controller.has_saved_claim
            assert node.stands()
            assert node.record.key == first.record.key


@pytest.mark.parametrize("changed", [{"nats_kv": "other"}, {"subnet_prefix": 29}, {"mesh_cidr": "10.0.0.0/25"}])
async def test_a_claim_in_another_mesh_is_not_reused(
    bucket: MemoryBucket, tmp_path: Path, changed: dict[str, Any]
) -> None:
    async with Node(bucket, tmp_path, private_address="auto").running():
        pass
    assert not Node(bucket, tmp_path, **{"private_address": "auto"} | changed).controller.has_saved_claim


async def test_a_kept_claim_of_another_address_is_no_claim_of_the_configured_one(
    bucket: MemoryBucket, tmp_path: Path
) -> None:
    async with Node(bucket, tmp_path).running():
        pass
    assert Node(bucket, tmp_path).controller.has_saved_claim
    assert not Node(bucket, tmp_path, private_address="10.0.0.33").controller.has_saved_claim


async def test_a_kept_claim_that_another_has_meanwhile_is_given_up(bucket: MemoryBucket, tmp_path: Path) -> None:
    async with Node(bucket, tmp_path, private_address="auto").running() as first:
        lost = first.record
    put(bucket, replace(lost, public_key=KEY))
    async with Node(bucket, tmp_path, private_address="auto").running() as node:
        assert node.stands()
        assert node.record.key != lost.key


async def test_an_automatic_claim_takes_no_subnet_that_overlaps_another(bucket: MemoryBucket, tmp_path: Path) -> None:
    put(bucket, record("10.0.0.18/32", KEY))
    put(bucket, record("10.0.0.128/25", OTHER_KEY))
    taken = [Prefix.parse("10.0.0.18/32"), Prefix.parse("10.0.0.128/25")]
    async with Node(bucket, tmp_path, private_address="auto").running() as node:
        assert not any(subnet.overlaps(node.record.subnet) for subnet in taken)


async def test_two_nodes_that_propose_the_same_subnets_at_one_moment_get_one_each(
    bucket: MemoryBucket, tmp_path: Path
) -> None:
    first = Node(bucket, tmp_path / "first", private_address="auto", seed=7)
    second = Node(bucket, tmp_path / "second", private_address="auto", seed=7, private_key=PrivateKey(bytes([8] * 32)))
    await second.controller.follower.resync(bucket)
    with capture_logs() as logs:
        async with first.running(), second.running(resync=False):  # who has not heard of the first
            assert first.stands()
            assert second.stands()
            assert first.record.subnet != second.record.subnet
    refused = [log for log in logs if log["event"] == "address is not ours"]
    assert len(refused) == 1
    assert first.record.subnet.covers(Prefix.parse(f"{refused[0]['private_address']}/32"))


@pytest.mark.parametrize("found", [record(SUBNET, KEY, "theirs"), record("10.0.0.17/32", KEY, "theirs")])
async def test_an_address_that_another_holds_is_not_claimed(
    bucket: MemoryBucket, tmp_path: Path, found: PeerRecord
) -> None:
    put(bucket, found)
    with pytest.raises(AddressInUseError, match="'theirs'"):
        await Node(bucket, tmp_path).ends()
    assert bucket.live == {found.key: encode_record(found)}


async def test_what_the_leader_has_no_more_is_free_although_we_have_not_heard(
    bucket: MemoryBucket, tmp_path: Path
) -> None:
    put(bucket, record(SUBNET, KEY))
    node = Node(bucket, tmp_path)
    await node.controller.follower.resync(bucket)
    bucket.write(OWN, None)  # nobody is subscribed yet
    async with node.running(resync=False):
        assert node.stands()


async def test_a_mesh_without_a_free_subnet_is_full(bucket: MemoryBucket, tmp_path: Path) -> None:
    put(bucket, record("10.0.0.0/24", KEY))
    with pytest.raises(AddressInUseError, match=r"10\.0\.0\.0/24 has no free subnet of length 28"):
        await Node(bucket, tmp_path, private_address="auto").ends()


async def test_a_configuration_that_contradicts_the_mesh_is_refused(bucket: MemoryBucket, tmp_path: Path) -> None:
    bucket.write(MESH_KEY, MeshSettings("10.0.0.0/24", 29).encode())
    with pytest.raises(ConfigError, match="'ikto-mesh': subnet_prefix is 29, not 28"):
        await Node(bucket, tmp_path).ends()
    assert bucket.live.keys() == {MESH_KEY}


@pytest.mark.parametrize("settings", [MeshSettings("10.0.0.0/24", 28).encode(), b"garbage", b"\xff", b"[" * 100_000])
async def test_settings_that_agree_or_can_not_be_read_stop_nobody(
    bucket: MemoryBucket, tmp_path: Path, settings: bytes
) -> None:
    bucket.write(MESH_KEY, settings)
    async with Node(bucket, tmp_path).running() as node:
        assert node.stands()


# -- earlier records of ours -------------------------------------------------------------------------------------------

EARLIER = [record("10.0.0.64/28", OWN_KEY), record("10.0.0.18/28", OWN_KEY)]


async def test_earlier_records_are_withdrawn_once_the_new_one_stands(bucket: MemoryBucket, tmp_path: Path) -> None:
    for earlier in EARLIER:
        put(bucket, earlier)
    order: list[str] = []
    bucket.subscribe(lambda message: order.append(message.key))
    async with Node(bucket, tmp_path).running():
        assert bucket.live.keys() == {OWN}
    assert order[0] == OWN


async def test_a_withdrawal_that_failed_is_made_up_for(
    bucket: MemoryBucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recheck, "FIRST_RETRY_S", 0)
    monkeypatch.setattr(membership_module, "RECLAIM_JITTER_S", 0)
    node = Node(bucket, tmp_path)
    for earlier in EARLIER:
        put(bucket, earlier)
    bucket.subscribe(lambda _: setattr(bucket.faults, "fail_reads", 1))  # after each write NATS is gone
    with pytest.raises(NatsError):
        await node.ends()
    assert bucket.live.keys() == {OWN, *(earlier.key for earlier in EARLIER)}
    async with node.running():
        await until(lambda: bucket.live.keys() == {OWN})


async def test_a_record_of_ours_is_found_again_although_nothing_was_kept(bucket: MemoryBucket, tmp_path: Path) -> None:
    """The agent was killed between the write of its record and that of its state."""
    async with Node(bucket, tmp_path / "first", private_address="auto").running() as first:
        pass
    async with Node(bucket, tmp_path / "second", private_address="auto", seed=2).running() as node:
        assert node.record.key == first.record.key
        assert bucket.live.keys() == {first.record.key}


async def test_settings_that_change_later_stop_no_running_agent(bucket: MemoryBucket, tmp_path: Path) -> None:
    node = Node(bucket, tmp_path)
    async with node.running():
        bucket.write(MESH_KEY, MeshSettings("10.0.0.0/24", 29).encode())
    async with node.running():  # a new connection
        assert node.stands()
