"""Checks of the peers name those that are unreachable, silent or one-way, refused records, and changes that wait."""

from msgspec.structs import replace

from ikto_core.admin.mesh_views import UnreachableView
from ikto_core.diagnosis.checks_peers import MOST_NAMED, pending_findings, reachable_findings, record_findings
from ikto_core.testing.devices import public_key_of
from tests.cli.test_status import DEGRADED, DEVICE, NOW, STATUS, peer
from tests.diagnosis.checking import levels


def test_peers_that_answer_or_were_not_asked_are_fine() -> None:
    assert reachable_findings(STATUS) == []
    assert reachable_findings(replace(STATUS, device=None)) == []


def test_a_peer_without_an_endpoint_is_named_with_the_reason() -> None:
    lost = UnreachableView(public_key=public_key_of(4).text, name="node-4", reason="[::1]:1: a loopback address")
    (found,) = reachable_findings(replace(STATUS, unreachable_endpoints=(lost,)))
    assert found.text == "node-4 has no usable endpoint: [::1]:1: a loopback address"
    assert levels([found]) == ["warning"]


def test_a_peer_that_was_sent_to_and_never_answered_is_named() -> None:
    silent = replace(peer(3), tx_bytes=148, name="node-3", endpoint="192.0.2.3:51820")
    (found,) = reachable_findings(replace(STATUS, device=replace(DEVICE, peers=(peer(2, NOW), silent))))
    assert found.text == "node-3 never answered at 192.0.2.3:51820"


def test_a_peer_that_is_heard_one_way_is_named_by_its_key_if_it_has_no_name() -> None:
    one_way = replace(peer(3, NOW), stalled=True, name=None)
    (found,) = reachable_findings(replace(STATUS, device=replace(DEVICE, peers=(one_way,))))
    assert found.text.startswith(f"{one_way.public_key} is heard one way only")


def test_refused_records_are_named_with_the_reason() -> None:
    odd, overlapping = record_findings(DEGRADED)
    assert odd.text == "the record of peers.x is quarantined: its key is not base64url"
    assert overlapping.text == "the record of fd10:2:0:1::/64 is quarantined: overlaps peer-2"
    assert record_findings(STATUS) == []


def test_many_refused_records_are_counted() -> None:
    found = record_findings(replace(STATUS, quarantined=DEGRADED.quarantined * 10))
    assert len(found) == MOST_NAMED + 1
    assert found[-1].text == f"…and {20 - MOST_NAMED} more of these"


def test_what_waits_is_counted() -> None:
    removals, keys, frequent = pending_findings(DEGRADED)
    assert removals.text == "1 removals of peers wait, since many records went at once"
    assert removals.fix.endswith("ikto peers release")
    assert keys.text.startswith("2 records wait")
    assert frequent.text == "1 records change too often"
    assert pending_findings(STATUS) == []
