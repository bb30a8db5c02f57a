"""The roster has the verdicts of an agent: accepted, quarantined with the agent's reason, left, and what is proved."""

from collections.abc import Mapping

import pytest
from msgspec.structs import replace

from ikto_core.lab.memory_bucket import MemoryBucket
from ikto_core.lease.policy import LeaseStatus
from ikto_core.mesh.records import PeerRecord, record_key
from ikto_core.mesh.view import Entry
from ikto_core.roster.listing import MeshTrust, NodeRecord, roster
from tests.nodes import Node, put
from tests.samples import KEY, MESH, OTHER_KEY, entries_of, proved_entries, record, signed

NOW = "2026-01-01T12:00:00Z"
TRUST = MeshTrust(bucket="ikto-mesh", cidr=MESH, subnet_prefix=28)


def listed(
    table: Mapping[str, Entry], trust: MeshTrust = TRUST, renewals: Mapping[str, Entry] | None = None
) -> dict[str | None, NodeRecord]:
    return {found.allowed_ip: found for found in roster(table, trust, renewals, NOW)}


def test_a_record_is_shown_with_all_that_it_says() -> None:
    node = replace(record("10.0.0.32/28", name="a", instance="run-1"), agent="ikto 0.4", lease=600)
    written = {key: replace(entry, time=NOW) for key, entry in entries_of(node, since=7).items()}
    renewals = {node.key: Entry(1, b"run-1", "2026-01-01T11:59:00Z")}
    assert listed(written, renewals=renewals)["10.0.0.32/28"] == NodeRecord(
        key=node.key,
        revision=7,
        allowed_ip="10.0.0.32/28",
        name="a",
        public_key=KEY.text,
        endpoints=("192.0.2.1:51820",),
        program="ikto 0.4",
        written_at=NOW,
        lease_s=600,
        lease=LeaseStatus.ALIVE.value,
        renewed_at="2026-01-01T11:59:00Z",
        accepted=True,
    )


def test_a_lease_that_was_not_renewed_is_named_by_the_words_of_the_reaper() -> None:
    node = replace(record("10.0.0.32/28", instance="run-1"), lease=30)
    late = {node.key: Entry(1, b"run-1", "2026-01-01T11:00:00Z")}
    assert listed(entries_of(node), renewals=late)["10.0.0.32/28"].lease == LeaseStatus.SUSPECT.value
    assert listed(entries_of(node), renewals={})["10.0.0.32/28"].lease == LeaseStatus.NEVER_RENEWED.value
    assert not listed(entries_of(node))["10.0.0.32/28"].lease  # the bucket for leases can't be read


def test_deleted_records_and_other_keys_are_no_nodes() -> None:
    table = {"mesh": Entry(1, b"{}"), record_key("10.0.0.32/28"): Entry(2, None)}
    assert not listed(table)


def test_an_unreadable_record_is_listed_with_its_reason() -> None:
    found = listed({record_key("10.0.0.32/28"): Entry(3, b"{")})["10.0.0.32/28"]
    assert (found.name, found.public_key, found.accepted) == (None, None, False)
    assert found.quarantine is not None
    assert "not a peer record" in found.quarantine


def test_a_node_that_has_left_is_neither_accepted_nor_quarantined() -> None:
    node = record("10.0.0.32/28")
    found = listed({node.key: Entry(1, signed(replace(node, left=True)))})["10.0.0.32/28"]
    assert (found.left, found.accepted, found.quarantine) == (True, False, None)


def test_where_proofs_are_required_an_unsigned_record_is_quarantined() -> None:
    one, other = record("10.0.0.32/28"), record("10.0.0.48/28", OTHER_KEY)
    found = listed(entries_of(one) | proved_entries(other, since=2), replace(TRUST, require_proof=True))
    assert found["10.0.0.48/28"].proved
    assert found["10.0.0.48/28"].accepted
    assert found["10.0.0.32/28"].quarantine == "it has no proof, which record_trust requires"


@pytest.mark.parametrize(
    "records",
    [
        (record("10.0.0.33/27"), record("10.0.0.32/28", OTHER_KEY)),
        (record("10.0.1.0/28"), record("10.0.0.48/28", OTHER_KEY)),
        (record("10.0.0.34/29"), record("10.0.0.35/30", OTHER_KEY)),
    ],
)
async def test_the_verdicts_are_those_of_an_agent(
    records: tuple[PeerRecord, ...], tmp_path_factory: pytest.TempPathFactory
) -> None:
    bucket = MemoryBucket()
    for each in records:
        put(bucket, each)
    async with Node(bucket, tmp_path_factory.mktemp("state"), private_address="10.0.0.241").running() as node:
        view = node.controller.view
        found = roster(entries_of(*records), TRUST, None, NOW)
        assert {r.key: r.quarantine for r in found if not r.accepted} == {
            key: quarantined.reason for key, quarantined in view.quarantined.items()
        }
        assert {r.key for r in found if r.accepted} == set(view.accepted)
