"""An announced key is on the device without allowed IPs until the record has it, and takes nothing from other peers."""

from typing import Any

import pytest
from msgspec.structs import replace

from ikto_core.mesh.records import PeerRecord
from ikto_core.mesh.view import Entry, MeshRules, MeshView
from ikto_core.values.addressing import Endpoint, Prefix
from ikto_core.values.keys import PublicKey
from tests.samples import KEY, KEYS, MESH, OTHER_KEY, OWN_KEY, OWN_SUBNET, THIRD_KEY, entries_of, record

NEXT = KEYS[4]
RULES = MeshRules(
    cidr=MESH,
    subnet_prefix=28,
    own_key=OWN_KEY,
    own_subnet=OWN_SUBNET,
    other_own_keys=frozenset({THIRD_KEY}),
)


def announcing(next_key: PublicKey | None = NEXT, **changes: Any) -> PeerRecord:
    return replace(record("10.0.0.64/28", KEY), next_public_key=next_key, **changes)


def view_of(*records: PeerRecord) -> MeshView:
    view = MeshView(RULES)
    view.update(entries_of(*records))
    return view


def test_an_announced_key_is_on_the_device_without_allowed_ips_and_is_not_a_peer() -> None:
    view = view_of(announcing())
    assert view.peers.keys() == {KEY}
    assert view.on_device.keys() == {KEY, NEXT}
    announced = view.on_device[NEXT]
    assert announced.predecessor == KEY
    assert announced.allowed_ips == frozenset()
    assert announced.endpoints == (Endpoint("192.0.2.1", 51820),)
    assert view.peers[KEY].predecessor is None
    assert view.subnets() == {Prefix.parse("10.0.0.64/28")}


def test_the_prefixes_move_when_the_record_has_the_next_key() -> None:
    view = view_of(announcing())
    assert view.update(entries_of(record("10.0.0.64/28", NEXT), since=2)) == {KEY, NEXT}
    assert view.on_device == view.peers
    assert view.peers[NEXT].allowed_ips == {Prefix.parse("10.0.0.64/28")}


@pytest.mark.parametrize("after", [None, announcing(None), announcing(OTHER_KEY)])
def test_a_withdrawn_announcement_removes_the_next_key(after: PeerRecord | None) -> None:
    view = view_of(announcing())
    key = announcing().key
    touched = view.update(entries_of(after, since=2) if after else {key: Entry(2, None)})
    assert NEXT in touched
    assert NEXT not in view.on_device
    if after is None:
        assert view.on_device == {}


@pytest.mark.parametrize("own_key", [OWN_KEY, THIRD_KEY], ids=str)
def test_announcing_one_of_this_nodes_own_keys_has_no_effect(own_key: PublicKey) -> None:
    view = view_of(announcing(own_key))
    assert view.on_device.keys() == view.peers.keys() == {KEY}


def test_announcing_the_key_of_another_peer_takes_nothing_from_that_peer() -> None:
    other = record("10.0.0.80/28", OTHER_KEY)
    view = view_of(other)
    before = view.on_device[OTHER_KEY]
    assert view.update(entries_of(announcing(OTHER_KEY), since=2)) == {KEY}
    assert view.on_device[OTHER_KEY] == before
    assert view.update({other.key: Entry(3, None)}) == {OTHER_KEY}  # no peer has the key now
    assert view.on_device[OTHER_KEY].allowed_ips == frozenset()


def test_a_quarantined_record_announces_nothing() -> None:
    view = view_of(announcing(), replace(record("10.0.0.65/32", OTHER_KEY), next_public_key=KEYS[3]))
    assert view.on_device.keys() == {KEY, NEXT}


def test_the_latest_of_two_announcements_of_a_key_counts() -> None:
    other = replace(record("10.0.0.80/28", OTHER_KEY), next_public_key=NEXT)
    assert view_of(announcing(), other).on_device[NEXT].predecessor == OTHER_KEY
    assert view_of(other, announcing()).on_device[NEXT].predecessor == KEY
