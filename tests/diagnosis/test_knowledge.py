"""Every record of the bucket is something that a target may mean, with what became of it."""

from msgspec.structs import replace

from ikto_core.diagnosis.facts import RecordStatus
from ikto_core.diagnosis.knowledge import others, own_node, peers, removed_peers
from ikto_core.mesh.records import record_key
from ikto_core.mesh.view import Entry, MeshRules, MeshView
from ikto_core.values.addressing import Prefix
from tests.samples import KEY, MESH, OTHER_KEY, OWN_KEY, OWN_SUBNET, THIRD_KEY, entries_of, record

STORED = "2026-11-28T00:00:00.123456789Z"
PEER = replace(record("10.0.0.32/28", name="b"), agent="ikto 9")
OWN = record(str(OWN_SUBNET), OWN_KEY, "own")


def view_of(table: dict[str, Entry]) -> MeshView:
    view = MeshView(MeshRules(cidr=MESH, subnet_prefix=28, own_key=OWN_KEY, own_subnet=OWN_SUBNET))
    view.update(table)
    return view


def test_an_accepted_peer_has_the_revision_age_and_program_of_its_record() -> None:
    table = {key: replace(entry, time=STORED) for key, entry in entries_of(OWN, PEER).items()}
    (one,) = peers(view_of(table), table, frozenset(), checked=True)
    assert one.subnets == (PEER.subnet,)
    assert one.endpoints == ("192.0.2.1:51820",)
    facts = one.facts
    assert (facts.status, facts.name, facts.revision, facts.agent) == (RecordStatus.ACCEPTED, "b", 2, "ikto 9")
    assert round(facts.written_at or 0, 3) == 1795824000.123
    assert facts.proved is False


def test_a_node_that_drains_is_about_to_leave() -> None:
    table = entries_of(replace(PEER, draining=True))
    (one,) = peers(view_of(table), table, frozenset(), checked=True)
    assert one.facts.status is RecordStatus.ACCEPTED
    assert one.facts.note == "its node is about to leave: it drains"


def test_a_later_value_that_does_not_count_hides_the_time() -> None:
    table = entries_of(PEER)
    view = view_of(table)
    later = {PEER.key: Entry(9, b"junk", STORED)}
    (one,) = peers(view, later, frozenset(), checked=True)
    assert one.facts.written_at is None


def test_a_deleted_record_and_a_shared_key() -> None:
    table = entries_of(PEER, record("10.0.0.48/28", name="c"), record("10.0.0.64/28", OTHER_KEY))
    found = {one.facts.public_key: one.facts for one in peers(view_of(table), table, {OTHER_KEY}, checked=False)}
    assert found[OTHER_KEY.text].status is RecordStatus.DELETED
    assert found[KEY.text].status is RecordStatus.SHARED_KEY
    assert found[KEY.text].reason == "'c' (10.0.0.48/28), 'b' (10.0.0.32/28)"
    assert found[KEY.text].proved is None


def test_records_that_make_no_peer() -> None:
    inside = record("10.0.0.34/31", THIRD_KEY, "inside")
    clone = record("10.0.0.80/28", OWN_KEY, "clone")
    table = entries_of(OWN, PEER, inside, clone) | {
        record_key("10.0.0.96/28"): Entry(8, None),
        record_key("10.0.0.112/28"): Entry(9, b"junk"),
        "mesh": Entry(10, b"{}"),
    }
    found = {one.facts.allowed_ips[0]: one.facts for one in others(view_of(table), table, OWN.key)}
    assert found.keys() == {"10.0.0.34/31", "10.0.0.80/28", "10.0.0.96/28", "10.0.0.112/28"}
    assert found["10.0.0.34/31"].status is RecordStatus.QUARANTINED
    assert found["10.0.0.34/31"].name == "inside"
    assert "overlaps 10.0.0.32/28" in found["10.0.0.34/31"].reason
    assert found["10.0.0.80/28"].status is RecordStatus.DUPLICATE_KEY
    assert found["10.0.0.96/28"].reason == "it was deleted at revision 8"
    assert found["10.0.0.112/28"].status is RecordStatus.QUARANTINED


def test_this_node_and_peers_that_wait_for_their_removal() -> None:
    own = own_node(OWN, "own", OWN_KEY)
    assert (own.facts.status, own.subnets) == (RecordStatus.SELF, (OWN_SUBNET,))
    assert own_node(None, "own", OWN_KEY).subnets == ()
    (one,) = removed_peers({KEY: {Prefix.parse("10.0.0.32/28")}})
    assert (one.facts.status, one.facts.public_key) == (RecordStatus.DELETED, KEY.text)
