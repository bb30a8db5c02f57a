"""A node claims a subnet, or raises why it can't; its earlier records are withdrawn."""

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from ikto_core.claim import controller, recheck
from ikto_core.errors import AddressInUseError, ConfigError, NatsError
from ikto_core.lab.memory_bucket import MemoryBucket
from ikto_core.mesh.records import PeerRecord, encode_record
from ikto_core.mesh.settings import MESH_KEY, MeshSettings
from ikto_core.values.addressing import Prefix
from ikto_core.values.keys import PrivateKey
from tests.nodes import ADDRESS, OWN_KEY, OWN_KV_KEY, SUBNET, Node, put, until
from tests.samples import KEY, OTHER_KEY, record


@pytest.fixture
def bucket() -> MemoryBucket:
    return MemoryBucket()


async def test_the_configured_address_is_claimed_and_set_on_the_device(bucket: MemoryBucket, tmp_path: Path) -> None:
    async with Node(bucket, tmp_path, endpoints=("192.0.2.1:7",)).running() as node:
        assert node.is_recorded()
        assert (node.record.allowed_ip, node.record.public_key, node.record.name) == (SUBNET, OWN_KEY, "own")
        assert [str(endpoint) for endpoint in node.record.endpoints] == ["192.0.2.1:7"]
        assert await node.device_addresses() == {f"{ADDRESS}/24"}


async def test_an_automatic_claim_is_reused_by_the_next_run_even_in_an_empty_bucket(tmp_path: Path) -> None:
    bucket = MemoryBucket()
    async with Node(bucket, tmp_path, private_address="auto").running() as first:
        assert first.is_recorded()
    for again, seed in ((bucket, 2), (MemoryBucket(), 3)):
        async with Node(again, tmp_path, private_address="auto", seed=seed).running() as node:
            assert node.controller.has_saved_claim
            assert node.is_recorded()
            assert node.record.key == first.record.key


@pytest.mark.parametrize("changed", [{"nats_kv": "other"}, {"subnet_prefix": 29}, {"mesh_cidr": "10.0.0.0/25"}])
async def test_a_claim_in_another_mesh_is_not_reused(
    bucket: MemoryBucket, tmp_path: Path, changed: dict[str, Any]
) -> None:
    async with Node(bucket, tmp_path, private_address="auto").running():
        pass
    assert not Node(bucket, tmp_path, **{"private_address": "auto"} | changed).controller.has_saved_claim


async def test_a_saved_claim_of_another_address_is_not_used_for_a_configured_one(
    bucket: MemoryBucket, tmp_path: Path
) -> None:
    async with Node(bucket, tmp_path).running():
        pass
    assert Node(bucket, tmp_path).controller.has_saved_claim
    assert not Node(bucket, tmp_path, private_address="10.0.0.33").controller.has_saved_claim


async def test_a_saved_claim_whose_subnet_another_node_has_is_given_up(bucket: MemoryBucket, tmp_path: Path) -> None:
    async with Node(bucket, tmp_path, private_address="auto").running() as first:
        lost = first.record
    put(bucket, replace(lost, public_key=KEY))
    async with Node(bucket, tmp_path, private_address="auto").running() as node:
        assert node.is_recorded()
        assert node.record.key != lost.key


async def test_an_automatic_claim_overlaps_no_other_subnet(bucket: MemoryBucket, tmp_path: Path) -> None:
    put(bucket, record("10.0.0.18/32", KEY))
    put(bucket, record("10.0.0.128/25", OTHER_KEY))
    taken = [Prefix.parse("10.0.0.18/32"), Prefix.parse("10.0.0.128/25")]
    async with Node(bucket, tmp_path, private_address="auto").running() as node:
        assert not any(subnet.overlaps(node.record.subnet) for subnet in taken)


async def test_two_nodes_that_propose_the_same_subnets_at_one_moment_get_different_ones(
    bucket: MemoryBucket, tmp_path: Path
) -> None:
    first = Node(bucket, tmp_path / "first", private_address="auto", seed=7)
    second = Node(bucket, tmp_path / "second", private_address="auto", seed=7, private_key=PrivateKey(bytes([8] * 32)))
    await second.controller.follower.resync(bucket)
    with capture_logs() as logs:
        async with first.running(), second.running(resync=False):  # the second has not seen the first
            assert first.is_recorded()
            assert second.is_recorded()
            assert first.record.subnet != second.record.subnet
    refused = [log for log in logs if log["event"] == "address in use"]
    assert len(refused) == 1
    assert first.record.subnet.covers(Prefix.parse(f"{refused[0]['private_address']}/32"))


@pytest.mark.parametrize("found", [record(SUBNET, KEY, "other"), record("10.0.0.17/32", KEY, "other")])
async def test_an_address_of_another_node_is_not_claimed(
    bucket: MemoryBucket, tmp_path: Path, found: PeerRecord
) -> None:
    put(bucket, found)
    with pytest.raises(AddressInUseError, match="'other'"):
        await Node(bucket, tmp_path).run_until_error()
    assert bucket.live == {found.key: encode_record(found)}


async def test_a_subnet_whose_deletion_was_not_seen_yet_can_be_claimed(bucket: MemoryBucket, tmp_path: Path) -> None:
    put(bucket, record(SUBNET, KEY))
    node = Node(bucket, tmp_path)
    await node.controller.follower.resync(bucket)
    bucket.write(OWN_KV_KEY, None)  # no follower is subscribed yet
    async with node.running(resync=False):
        assert node.is_recorded()


async def test_a_full_mesh_raises_address_in_use_error(bucket: MemoryBucket, tmp_path: Path) -> None:
    put(bucket, record("10.0.0.0/24", KEY))
    with pytest.raises(AddressInUseError, match=r"10\.0\.0\.0/24 has no free subnet of length 28"):
        await Node(bucket, tmp_path, private_address="auto").run_until_error()


async def test_a_configuration_that_contradicts_the_mesh_is_refused(bucket: MemoryBucket, tmp_path: Path) -> None:
    bucket.write(MESH_KEY, MeshSettings("10.0.0.0/24", 29).encode())
    with pytest.raises(ConfigError, match="'ikto-mesh': subnet_prefix is 29, not 28"):
        await Node(bucket, tmp_path).run_until_error()
    assert bucket.live.keys() == {MESH_KEY}


@pytest.mark.parametrize("settings", [MeshSettings("10.0.0.0/24", 28).encode(), b"garbage", b"\xff", b"[" * 100_000])
async def test_equal_or_unreadable_mesh_settings_do_not_stop_the_claim(
    bucket: MemoryBucket, tmp_path: Path, settings: bytes
) -> None:
    bucket.write(MESH_KEY, settings)
    async with Node(bucket, tmp_path).running() as node:
        assert node.is_recorded()


# -- earlier own records -----------------------------------------------------------------------------------------------

EARLIER = [record("10.0.0.64/28", OWN_KEY), record("10.0.0.18/28", OWN_KEY)]


async def test_earlier_records_are_withdrawn_after_the_new_one_is_written(bucket: MemoryBucket, tmp_path: Path) -> None:
    for earlier in EARLIER:
        put(bucket, earlier)
    order: list[str] = []
    bucket.subscribe(lambda message: order.append(message.key))
    async with Node(bucket, tmp_path).running():
        assert bucket.live.keys() == {OWN_KV_KEY}
    assert order[0] == OWN_KV_KEY


async def test_a_failed_withdrawal_is_repeated_by_the_next_session(
    bucket: MemoryBucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recheck, "FIRST_RETRY_S", 0)
    monkeypatch.setattr(controller, "RECLAIM_JITTER_S", 0)
    node = Node(bucket, tmp_path)
    for earlier in EARLIER:
        put(bucket, earlier)
    bucket.subscribe(lambda _: setattr(bucket.faults, "fail_reads", 1))  # after each write NATS does not answer
    with pytest.raises(NatsError):
        await node.run_until_error()
    assert bucket.live.keys() == {OWN_KV_KEY, *(earlier.key for earlier in EARLIER)}
    async with node.running():
        await until(lambda: bucket.live.keys() == {OWN_KV_KEY})


async def test_an_own_record_in_the_bucket_is_reused_without_a_saved_claim(
    bucket: MemoryBucket, tmp_path: Path
) -> None:
    """As after a crash between writing the record and saving the claim."""
    async with Node(bucket, tmp_path / "first", private_address="auto").running() as first:
        pass
    async with Node(bucket, tmp_path / "second", private_address="auto", seed=2).running() as node:
        assert node.record.key == first.record.key
        assert bucket.live.keys() == {first.record.key}


async def test_mesh_settings_that_change_later_do_not_stop_a_running_agent(
    bucket: MemoryBucket, tmp_path: Path
) -> None:
    node = Node(bucket, tmp_path)
    with capture_logs() as logs:
        async with node.running():
            bucket.write(MESH_KEY, MeshSettings("10.0.0.0/24", 29).encode())
        async with node.running():  # a new connection
            assert node.is_recorded()
    (alarm,) = [log for log in logs if log["event"] == "mesh settings in the bucket differ"]
    assert (alarm["log_level"], alarm["differences"]) == ("error", "subnet_prefix is 29, not 28")
    assert node.controller.mesh_settings.conflict == "subnet_prefix is 29, not 28"


async def test_other_mesh_settings_do_not_stop_a_node_that_claimed_its_subnet_in_an_earlier_run(
    bucket: MemoryBucket, tmp_path: Path
) -> None:
    async with Node(bucket, tmp_path).running():
        pass
    bucket.write(MESH_KEY, MeshSettings("10.0.0.0/24", 29).encode())
    async with Node(bucket, tmp_path).running() as again:
        assert again.is_recorded()
        assert again.controller.mesh_settings.conflict
        bucket.write(MESH_KEY, MeshSettings("10.0.0.0/24", 28).encode())
        assert again.controller.mesh_settings.conflict == ""
