"""A target names one node by whatever an operator has at hand, and never one of several."""

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from ikto_core.diagnosis.facts import RecordFacts, RecordStatus
from ikto_core.diagnosis.target import Known, find
from ikto_core.values.addressing import Prefix

MESH = Prefix.parse("fd10::/16")


def known(name: str, key: str, subnet: str, endpoint: str = "", *, quarantined: str = "") -> Known:
    status = RecordStatus.QUARANTINED if quarantined else RecordStatus.ACCEPTED
    facts = RecordFacts(status=status, name=name, public_key=key, allowed_ips=(subnet,), reason=quarantined)
    return Known(facts=facts, subnets=(Prefix.parse(subnet),), endpoints=(endpoint,) if endpoint else ())


A = known("a", "AAAA1111", "fd10:a::/48", "192.0.2.1:51820")
B = known("b", "BBBB2222", "fd10:b::/48", "[2001:db8::b]:51820")
B2 = known("b", "BBBB3333", "fd10:c::/48")
FALSE_A = known("a", "FFFF", "fd10:d::/48", quarantined="it overlaps")
NODES = (A, B, FALSE_A)


@pytest.mark.parametrize(
    ("target", "name", "how"),
    [
        ("a", "a", "name"),
        ("AAAA1111", "a", "public key"),
        ("AAAA", "a", "public key"),
        ("BBBB2…", "b", "public key"),
        ("fd10:b::/48", "b", "subnet"),
        ("fd10:b::/64", "b", "address"),
        ("FD10:B:0::7", "b", "address"),
        ("192.0.2.1", "a", "endpoint"),
        ("192.0.2.1:51820", "a", "endpoint"),
        ("[2001:db8:0::b]:51820", "b", "endpoint"),
        ("2001:db8::b", "b", "endpoint"),
    ],
)
def test_found(target: str, name: str, how: str) -> None:
    found = find(target, NODES, MESH)
    assert (found.status, found.name, found.matched) == (RecordStatus.ACCEPTED, name, how)


def test_a_record_of_the_same_name_that_does_not_count_is_mentioned() -> None:
    assert "it overlaps" in find("a", NODES, MESH).note


def test_what_is_refused_is_found_if_nothing_else_is() -> None:
    assert find("fd10:d::1", NODES, MESH).status is RecordStatus.QUARANTINED


@pytest.mark.parametrize("target", ["b", "BBBB"])
def test_several_nodes_are_named_and_none_is_chosen(target: str) -> None:
    found = find(target, (A, B, B2), MESH)
    assert found.status is RecordStatus.AMBIGUOUS
    assert "fd10:b::/48" in found.reason
    assert "fd10:c::/48" in found.reason
    assert not found.public_key


@pytest.mark.parametrize(
    ("target", "nodes", "status"),
    [
        ("nobody", NODES, RecordStatus.ABSENT),
        ("AAA", NODES, RecordStatus.ABSENT),
        ("", NODES, RecordStatus.ABSENT),
        ("fd10:ff::1", NODES, RecordStatus.ABSENT),
        ("fd20::1", NODES, RecordStatus.OUTSIDE_MESH),
        ("10.0.0.0/8", (), RecordStatus.OUTSIDE_MESH),
    ],
)
def test_not_found(target: str, nodes: Sequence[Known], status: RecordStatus) -> None:
    assert find(target, nodes, MESH).status is status


def test_of_many_nodes_with_endless_names_a_few_are_named_and_their_names_are_cut() -> None:
    twins = [Known(facts=replace(A.facts, name="x" * 10_000, public_key=f"{number:04}KEY")) for number in range(100)]
    found = find("x" * 10_000, twins, MESH)
    assert found.status is RecordStatus.AMBIGUOUS
    assert found.reason.endswith(" and 95 more")
    assert len(found.reason) < 600


@pytest.mark.parametrize("target", ["AAAA1111", "fd10:a::/48", "fd10:a::1", "192.0.2.1", "192.0.2.1:51820"])
def test_a_node_that_calls_itself_by_anothers_address_or_key_is_not_taken_for_it(target: str) -> None:
    liar = known(target, "CCCC", "fd10:c::/48")
    assert find(target, (liar, A), MESH).name == "a"
