"""Checks of the claim fail if the subnet is somebody else's, if its record is lost, or if the agent reports a fault."""

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from ikto_core.admin.views import CredentialsView, LeaseView, SnapshotView, StatusView
from ikto_core.diagnosis.checks_claim import claim_findings
from ikto_core.lab.nats_server import NatsServer
from ikto_core.mesh.records import PeerRecord, encode_record, record_key
from ikto_core.plugins.check_contract import Level
from ikto_core.store.bucket import Bucket
from ikto_core.testing.devices import private_key_of, public_key_of
from ikto_core.values.times import utc
from tests.cli.test_status import NOW, STATUS
from tests.diagnosis.checking import levels, node_to_check, only_finding, write_state

OWN = private_key_of(1)
KEY = record_key("fd10:1::/48")


def record(number: int) -> PeerRecord:
    return PeerRecord(
        name=f"node-{number}",
        public_key=OWN.public() if number == 1 else public_key_of(number),
        advertise_address="192.0.2.1",
        allowed_ip="fd10:1::/48",
        wg_port=51820,
    )


async def subnet(directory: Path, server: NatsServer, bucket: Bucket, **more: Any) -> tuple[Level, str]:
    node = node_to_check(directory, **({"key": OWN, "nats_url": server.url, "nats_kv": bucket.name} | more))
    found = await only_finding(node, "subnet")
    return found.level, found.text


async def test_a_subnet_that_another_node_has_is_an_error(
    tmp_path: Path, shared_server: NatsServer, bucket: Bucket
) -> None:
    await bucket.put(KEY, encode_record(record(2)), expected=0)
    other = f"'node-2' with the public key {public_key_of(2)}"
    before = await subnet(tmp_path, shared_server, bucket, before_start=True)
    assert before == (Level.ERROR, f"fd10:1::/48 is in use by {other}")
    holding = await subnet(tmp_path, shared_server, bucket, status=STATUS)
    assert holding == (Level.ERROR, f"fd10:1::/48 is contested: its record names {other}")


async def test_a_subnet_of_this_node_or_of_nobody_is_fine(
    tmp_path: Path, shared_server: NatsServer, bucket: Bucket
) -> None:
    assert await subnet(tmp_path, shared_server, bucket) == (Level.OK, "fd10:1::/48 is free")
    await bucket.put(KEY, encode_record(record(1)), expected=0)
    level, text = await subnet(tmp_path, shared_server, bucket, status=STATUS)
    assert level is Level.OK
    assert text.startswith("the bucket has this node's record of fd10:1::/48, revision ")


async def test_the_record_under_a_key_from_before_a_rotation_is_this_nodes(
    tmp_path: Path, shared_server: NatsServer, bucket: Bucket
) -> None:
    await bucket.put(KEY, encode_record(record(2)), expected=0)
    write_state(tmp_path, keys=[str(public_key_of(2)), str(OWN.public())])
    assert (await subnet(tmp_path, shared_server, bucket))[0] is Level.OK


async def test_a_lost_record_of_a_held_subnet_is_an_error(
    tmp_path: Path, shared_server: NatsServer, bucket: Bucket
) -> None:
    level, text = await subnet(tmp_path, shared_server, bucket, status=STATUS)
    assert (level, text) == (Level.ERROR, "the bucket has no record of fd10:1::/48, which this node holds")


async def test_junk_in_place_of_the_record_is_an_error(
    tmp_path: Path, shared_server: NatsServer, bucket: Bucket
) -> None:
    await bucket.put(KEY, b"{}", expected=0)
    level, text = await subnet(tmp_path, shared_server, bucket)
    assert level is Level.ERROR
    assert text.startswith("the record of fd10:1::/48 can't be read: ")


async def test_with_auto_the_saved_claim_is_looked_up(
    tmp_path: Path, shared_server: NatsServer, bucket: Bucket
) -> None:
    auto = {"private_address": "auto"}
    level, text = await subnet(tmp_path, shared_server, bucket, **auto)
    assert (level, text) == (Level.OK, "no subnet is claimed yet: the agent finds a free one")
    claim = {
        "private_address": "fd10:1::1",
        "mesh_cidr": "fd10::/16",
        "subnet_prefix": 48,
        "public_key": str(OWN.public()),
        "bucket": bucket.name,
    }
    write_state(tmp_path, claim=claim)
    await bucket.put(KEY, encode_record(record(2)), expected=0)
    assert (await subnet(tmp_path, shared_server, bucket, **auto))[0] is Level.ERROR


REPORTED: list[tuple[dict[str, Any], str, str]] = [
    ({"mesh_settings_conflict": "mesh_cidr is 'x'"}, "error", "the bucket has other settings of the mesh"),
    (
        {"credentials": CredentialsView(expires_at=None, expires_soon=False, failure="it is revoked")},
        "error",
        "other nodes refuse this node's record: it is revoked",
    ),
    ({"lease": LeaseView(lease_s=600, failure="no answer", refusal="")}, "error", "the lease can't be renewed"),
    ({"lease": LeaseView(lease_s=600, failure="", refusal="denied")}, "ok", "expired records of others"),
    (
        {"snapshot": SnapshotView(in_use=False, revision=1, saved_at=utc(NOW), failure="disk full")},
        "error",
        "the snapshot can't be written: disk full",
    ),
    (
        {"snapshot": SnapshotView(in_use=True, revision=1, saved_at=utc(NOW), failure=None)},
        "warning",
        "the device shows the snapshot of an earlier run",
    ),
    ({"allowed_ip": None}, "warning", "no subnet is claimed"),
]


@pytest.mark.parametrize(("changes", "level", "text"), REPORTED)
def test_what_the_agent_reports_of_its_claim_is_found(changes: dict[str, Any], level: str, text: str) -> None:
    status: StatusView = replace(STATUS, **changes)
    (found,) = findings = claim_findings(status)
    assert levels(findings) == [level]
    assert found.text.startswith(text)


def test_an_agent_with_nothing_to_report_has_no_finding() -> None:
    assert claim_findings(STATUS) == []
