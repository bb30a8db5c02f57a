"""Every node accepts the same records in any order, and an invalid record does not affect the others."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from ikto_core.mesh.records import PeerRecord, encode_record, record_key
from ikto_core.mesh.view import Entry, MeshRules, MeshView
from ikto_core.testing.devices import public_key_of
from ikto_core.values.addressing import Endpoint, Prefix
from ikto_core.values.keys import PublicKey
from tests.samples import KEY, MESH, OTHER_KEY, OWN_KEY, OWN_SUBNET, THIRD_KEY, entries_of, record

RULES = MeshRules(cidr=MESH, subnet_prefix=28, own_key=OWN_KEY, own_subnet=OWN_SUBNET)


def view_of(*records: PeerRecord, rules: MeshRules = RULES) -> MeshView:
    view = MeshView(rules)
    view.update(entries_of(*records))
    return view


def test_deleting_the_accepted_record_accepts_the_overlapping_one() -> None:
    winner, loser = record("10.0.0.32/28"), record("10.0.0.33/32", OTHER_KEY)
    view = view_of(winner, loser)
    assert view.quarantined[loser.key].reason == "10.0.0.33/32 overlaps 10.0.0.32/28 of 'peer'"
    assert view.update({winner.key: Entry(3, None)}) == {KEY, OTHER_KEY}
    assert view.quarantined == {}
    assert view.peers.keys() == {OTHER_KEY}


def test_an_entry_whose_key_can_not_be_read_is_quarantined_until_it_is_gone() -> None:
    view = view_of(record("10.0.0.32/28"))
    nameless = Entry(7, b"value", unreadable="the subject of this message can't be read")
    assert view.update({"(revision 7)": nameless}) == set()
    quarantined = view.quarantined["(revision 7)"]
    assert (quarantined.revision, quarantined.reason) == (7, nameless.unreadable)
    view.update({"(revision 7)": Entry(8, None)})
    assert view.quarantined == {}
    assert view.peers.keys() == {KEY}


def test_a_canonical_record_replaces_earlier_noncanonical_ones() -> None:
    earlier = record("10.0.0.33/32"), record("10.0.0.47/32", OTHER_KEY)
    view = view_of(*earlier)
    canonical = record("10.0.0.32/28", THIRD_KEY)
    assert view.update(entries_of(canonical, since=3)) == {KEY, OTHER_KEY, THIRD_KEY}
    assert view.peers.keys() == {THIRD_KEY}
    assert view.quarantined.keys() == {r.key for r in earlier}


def test_a_record_that_overlaps_this_nodes_own_subnet_is_quarantined() -> None:
    view = view_of(record("10.0.0.16/28"), record("10.0.0.17/32", OTHER_KEY))
    assert view.peers == {}
    assert {q.reason.partition(" overlaps ")[2] for q in view.quarantined.values()} == {
        "this node's own subnet 10.0.0.16/28"
    }


def test_two_records_with_one_key_are_one_peer_with_the_latest_records_endpoints_first() -> None:
    view = view_of(record("10.0.0.64/28", port=1), record("10.0.0.32/28", port=2, name="later"))
    [peer] = view.peers.values()
    assert peer.allowed_ips == {Prefix.parse("10.0.0.64/28"), Prefix.parse("10.0.0.32/28")}
    assert peer.endpoints == (Endpoint("192.0.2.1", 2), Endpoint("192.0.2.1", 1))
    assert peer.name == "later"


def test_a_peer_that_gives_up_one_of_two_subnets_keeps_the_other() -> None:
    kept, left = record("10.0.0.64/28"), record("10.0.0.32/28")
    view = view_of(kept, left)
    assert view.update({left.key: Entry(3, None)}) == {KEY}
    assert view.peers[KEY].allowed_ips == {kept.subnet}


def test_own_records_are_not_peers_but_their_subnets_are_taken() -> None:
    moved, noncanonical = record("10.0.0.64/28", OWN_KEY), record("10.0.0.65/32")
    view = view_of(record(str(OWN_SUBNET), OWN_KEY), moved, noncanonical)
    assert view.peers == {}
    assert view.quarantined.keys() == {noncanonical.key}
    assert view.own_records.keys() == {record_key(str(OWN_SUBNET)), moved.key}
    assert {found.key for found in view.take_new_own_records()} == view.own_records.keys()
    assert not view.take_new_own_records()
    assert view.subnets() == {moved.subnet}


def test_a_record_outside_the_mesh_is_quarantined_with_that_reason() -> None:
    view = view_of(record("0.0.0.0/0"), record("fd10::/48"))
    assert [q.reason for q in view.quarantined.values()] == [
        "0.0.0.0/0 is outside the mesh 10.0.0.0/24",
        "fd10::/48 is outside the mesh 10.0.0.0/24",
    ]


@pytest.mark.parametrize(
    "corrupt", [lambda value: value[:-1], lambda value: value * 100, lambda _: b"[" * 9999, lambda _: b"\xff"]
)
def test_a_malformed_record_does_not_affect_other_records(corrupt: Callable[[bytes], bytes]) -> None:
    good, bad = record("10.0.0.64/28"), record("10.0.0.32/28", OTHER_KEY)
    view = view_of(good, bad)
    peer = view.peers[KEY]
    assert view.update({bad.key: Entry(3, corrupt(encode_record(bad))), "peers.???": Entry(4, b"")}) == {OTHER_KEY}
    assert view.peers == {KEY: peer}
    assert view.quarantined.keys() == {bad.key, "peers.???"}
    assert view.update(entries_of(bad, since=5)) == {OTHER_KEY}  # valid again


@pytest.mark.parametrize(
    ("subnet", "expected"),
    [
        ("10.0.0.64/26", "10.0.0.65/32"),
        ("10.0.0.65/32", "10.0.0.65/32"),
        ("10.0.0.96/28", None),
        ("10.0.0.128/28", None),  # a canonical record: its own KV key prevents a second claim
    ],
)
def test_noncanonical_overlap_returns_the_overlapping_record(subnet: str, expected: str | None) -> None:
    view = view_of(record("10.0.0.65/32"), record("10.0.0.128/28", OTHER_KEY))
    overlap = view.noncanonical_overlap(Prefix.parse(subnet))
    assert (overlap.record.allowed_ip if overlap else None) == expected


def test_the_own_record_is_not_a_noncanonical_overlap() -> None:
    assert view_of(record(str(OWN_SUBNET), OWN_KEY)).noncanonical_overlap(OWN_SUBNET) is None


@pytest.mark.parametrize("own_key", [OWN_KEY, OTHER_KEY], ids=str)
def test_a_record_with_any_own_key_is_an_own_record(own_key: PublicKey) -> None:
    view = view_of(record("10.0.0.65/32", own_key), rules=replace(RULES, other_own_keys={OTHER_KEY}))
    assert view.noncanonical_overlap(Prefix.parse("10.0.0.64/28")) is None
    assert view.peers == {}
    assert view.own_records.keys() == {record_key("10.0.0.65/32")}


SIMILAR = [("fd10::/12", "fd10::/120"), ("fd10:1::/48", "fd10:1:2::/48")]


@pytest.mark.parametrize(("deleted", "other"), SIMILAR + [pair[::-1] for pair in SIMILAR])
def test_a_deletion_removes_only_the_record_with_that_key(deleted: str, other: str) -> None:
    rules = MeshRules(cidr=Prefix.parse("fd00::/8"), subnet_prefix=48, own_key=OWN_KEY)
    view = view_of(record(deleted), record(other, OTHER_KEY), rules=rules)
    view.update({record_key(deleted): Entry(3, None)})
    assert view.accepted == {record_key(other)}
    assert view.peers.keys() == {OTHER_KEY}
    assert not view.quarantined


@pytest.mark.parametrize("name", ["", ".", "../../etc/hosts", "a b", "a\nb", "\x1b[2J", "\u202e", "no\0", "x" * 9999])
def test_a_peer_is_accepted_whatever_its_name(name: str) -> None:
    """Names are labels only: nodes are distinguished by subnet and key."""
    view = view_of(record("10.0.0.64/28", name=name), record("10.0.0.32/28", OTHER_KEY, name=name))
    assert view.peers.keys() == {KEY, OTHER_KEY}
    assert view.peers[KEY].name == name


def test_a_new_record_leaves_ten_thousand_peers_unchanged() -> None:
    rules = MeshRules(cidr=Prefix.parse("fd10::/16"), subnet_prefix=48, own_key=OWN_KEY)
    keys = [PublicKey(number.to_bytes(32, "big")) for number in range(1, 10_002)]
    many = [record(f"fd10:{n >> 8:x}:{n & 255:x}::/48", key) for n, key in enumerate(keys, start=1)]
    view = view_of(*many[:-1], rules=rules)
    before = dict(view.peers)
    assert len(before) == 10_000
    assert view.update(entries_of(many[-1], since=10_001)) == {keys[-1]}
    assert all(view.peers[key] is peer for key, peer in before.items())


def odd_view() -> MeshView:
    """Return a view of 100 canonical records and 200 in other forms, half of which overlap the first canonical one."""
    rules = MeshRules(cidr=Prefix.parse("fd10::/16"), subnet_prefix=48, own_key=OWN_KEY)
    keys = [PublicKey(number.to_bytes(32, "big")) for number in range(1, 301)]
    subnets = [f"fd10:1:{n:x}::/48" for n in range(1, 101)]
    subnets += [f"fd10:1:1:{n:x}::/64" for n in range(1, 101)] + [f"fd10:9:{n:x}:1::/64" for n in range(1, 101)]
    return view_of(*map(record, subnets, keys), rules=rules)


@pytest.mark.parametrize(
    ("changed", "decided"),
    [
        (record("fd10:2::/48"), 1),  # overlaps none of them
        (record("fd10:1:1::/48", PublicKey((1).to_bytes(32, "big")), port=7), 1),  # still has its subnet
        (record("fd10:1:1::/48", KEY, name="another"), 101),  # the quarantine of 100 records names it
        (record("fd10:9:5::/48"), 2),  # displaces one of them
        (record("fd10:9:5:1::/64", OTHER_KEY), 1),
        (record("fd10:9:0:0:0:0:0:0/36"), 101),  # the first of the odd ones by its KV key,
    ],
)
def test_a_change_costs_one_decision_for_each_record_that_it_concerns(changed: PeerRecord, decided: int) -> None:
    view = odd_view()
    assert len(view.decided) == 300
    view.update(entries_of(changed, since=301))
    assert len(view.decided) == decided


def test_a_record_that_is_deleted_costs_a_decision_for_each_record_that_it_had_displaced() -> None:
    view = odd_view()
    view.update({record_key("fd10:1:1::/48"): Entry(301, None)})
    assert len(view.decided) == 101
    assert not view.quarantined


# -- what another own subnet costs -------------------------------------------------------------------------------------


def test_another_own_subnet_concerns_only_the_records_that_overlap_it() -> None:
    view = MeshView(replace(RULES, own_subnet=None))
    others = [record(f"10.0.0.{16 * number}/28", public_key_of(number)) for number in range(2, 16)]
    inside, mine = record("10.0.0.17/32", public_key_of(90)), record("10.0.0.16/28", OWN_KEY)
    view.update(entries_of(*others, inside, mine))
    assert view.set_own_subnet(OWN_SUBNET) == set()
    assert view.decided == {inside.key, mine.key}
    assert view.quarantined[inside.key].reason == "10.0.0.17/32 overlaps this node's own subnet 10.0.0.16/28"
    assert view.set_own_subnet(others[0].subnet) == {public_key_of(2)}
    assert view.decided == {others[0].key, inside.key, mine.key}
    assert view.quarantined[others[0].key].reason == "10.0.0.32/28 overlaps this node's own subnet 10.0.0.32/28"
    assert view.set_own_subnet(None) == {public_key_of(2)}
    assert view.decided == {others[0].key, mine.key}
    assert view.set_own_subnet(None) == set()
    assert not view.decided, "it is none already"


def test_the_own_records_are_new_again_from_another_subnet() -> None:
    view = view_of(record(str(OWN_SUBNET), OWN_KEY))
    assert len(view.take_new_own_records()) == 1
    view.set_own_subnet(None)
    assert [found.key for found in view.take_new_own_records()] == [record_key(str(OWN_SUBNET))]
