"""A KV key whose record was proved stays its owner's: what overwrites it counts for nothing until the owner is gone."""

import pytest
from msgspec.structs import replace

from ikto_core.mesh.pins import HOLD_S, Pins
from ikto_core.mesh.proofs import ProofIndex
from ikto_core.mesh.records import PeerRecord, encode_record, record_key
from ikto_core.mesh.successions import succession
from ikto_core.mesh.view import Entry, MeshRules, MeshView
from ikto_core.values.keys import PublicKey
from tests.samples import KEY, KEYS, MESH, OTHER_KEY, OWN_KEY, OWN_SUBNET, PRIVATE_KEYS, THIRD_KEY, record, signed

SUBNET, OTHER_SUBNET = "10.0.0.32/28", "10.0.0.48/28"
VICTIM = record(SUBNET, KEY, "victim")
ATTACKER = record(SUBNET, OTHER_KEY, "attacker")
KV_KEY = VICTIM.key
BUCKET = "ikto-mesh"
RULES = MeshRules(cidr=MESH, subnet_prefix=28, own_key=OWN_KEY, own_subnet=OWN_SUBNET)


class Mesh:
    """A view with its pins, and a bucket to write to."""

    def __init__(self, *, require_proof: bool = False, hold_deleted_s: float = HOLD_S) -> None:
        self.view = MeshView(replace(RULES, require_proof=require_proof))
        self.pins = Pins(ProofIndex(BUCKET), lambda: self.view.rules, hold_deleted_s=hold_deleted_s)
        self.revision = 0

    def write(self, key: str, value: bytes | None, now: float = 0.0) -> set[PublicKey]:
        self.revision += 1
        return self.view.update(self.pins.update({key: Entry(self.revision, value)}, now))

    def wait(self, now: float) -> set[PublicKey]:
        return self.view.update(self.pins.expire(now))

    @property
    def names(self) -> set[str]:
        return {peer.name for peer in self.view.peers.values()}

    def reason(self, key: str = KV_KEY) -> str:
        return self.view.quarantined[key].reason


@pytest.fixture
def mesh() -> Mesh:
    """A mesh in which the victim has proved its record, with serial 7."""
    mesh = Mesh()
    assert mesh.write(KV_KEY, signed(VICTIM, 7)) == {KEY}
    return mesh


OVERWRITES = {
    "without a proof": (encode_record(ATTACKER), "without that key's proof"),
    "with a proof of another key": (signed(ATTACKER, 9), "without that key's proof"),
    "with a wrong proof": (signed(VICTIM, 8).replace(b'"victim"', b'"viktor"'), "has not signed"),
    "with the victim's key and no proof": (encode_record(replace(VICTIM, name="x")), "without that key's proof"),
    "with junk": (b"\xff", "without that key's proof"),
    "with an older record of the victim": (signed(VICTIM, 6), "a replay: its serial 6 is older than 7"),
}
overwrites = pytest.mark.parametrize(("value", "reason"), OVERWRITES.values(), ids=OVERWRITES)


@overwrites
def test_what_overwrites_a_proved_record_is_quarantined_and_the_peer_stays(
    mesh: Mesh, value: bytes, reason: str
) -> None:
    assert mesh.write(KV_KEY, value) == set()
    assert mesh.names == {"victim"}
    assert reason in mesh.reason()
    assert mesh.view.quarantined[KV_KEY].revision == 2
    assert mesh.write(KV_KEY, signed(replace(VICTIM, name="back"), 8)) == {KEY}
    assert (mesh.names, mesh.view.quarantined) == ({"back"}, {})


MOVED = record(OTHER_SUBNET, KEY, "victim")


@pytest.mark.parametrize("moved_first", [True, False])
@pytest.mark.parametrize("after", [None, encode_record(ATTACKER), signed(ATTACKER, 9)])
def test_an_owner_with_a_later_record_elsewhere_has_moved(
    mesh: Mesh, after: bytes | None, *, moved_first: bool
) -> None:
    """Who was away meanwhile has not seen that it left."""
    writes = [(MOVED.key, signed(MOVED, 8)), (KV_KEY, after)]
    for key, value in writes if moved_first else reversed(writes):
        mesh.write(key, value)
    assert mesh.view.peers[KEY].allowed_ips == {MOVED.subnet}
    assert mesh.names == ({"victim", "attacker"} if after else {"victim"})
    assert mesh.pins.deleted() == []


@pytest.mark.parametrize("serial", [6, 7])
def test_an_older_record_elsewhere_is_no_move(mesh: Mesh, serial: int) -> None:
    """Or a replay would free the subnet of its owner."""
    mesh.write(MOVED.key, signed(MOVED, serial))
    mesh.write(KV_KEY, None)
    assert VICTIM.subnet in mesh.view.peers[KEY].allowed_ips


@overwrites
def test_an_owner_that_is_gone_for_ten_minutes_loses_its_pin(mesh: Mesh, value: bytes, reason: str) -> None:
    mesh.write(KV_KEY, value, now=100.0)
    mesh.write(KV_KEY, value, now=300.0)  # later writes do not begin the time anew
    assert mesh.wait(100.0 + HOLD_S - 1) == set()
    assert reason
    mesh.wait(100.0 + HOLD_S)
    alone = Mesh()
    alone.write(KV_KEY, value)
    assert mesh.names == alone.names
    assert mesh.view.quarantined.keys() == alone.view.quarantined.keys()


def test_an_owner_that_comes_back_in_time_keeps_its_pin(mesh: Mesh) -> None:
    mesh.write(KV_KEY, signed(ATTACKER, 9), now=100.0)
    mesh.write(KV_KEY, signed(VICTIM, 8), now=100.0 + HOLD_S - 1)
    mesh.write(KV_KEY, signed(ATTACKER, 9), now=100.0 + HOLD_S)
    mesh.wait(100.0 + HOLD_S + 1)
    assert mesh.names == {"victim"}


def test_a_deleted_record_counts_on_for_a_while(mesh: Mesh) -> None:
    assert mesh.write(KV_KEY, None, now=5.0) == set()
    assert (mesh.names, mesh.pins.deleted()) == ({"victim"}, [KV_KEY])
    assert mesh.wait(5.0 + HOLD_S) == {KEY}
    assert (mesh.names, mesh.pins.deleted()) == (set(), [])
    mesh.write(KV_KEY, encode_record(ATTACKER))
    assert mesh.names == {"attacker"}


def test_an_operator_releases_a_deleted_record_and_not_an_overwritten_one(mesh: Mesh) -> None:
    other = record(OTHER_SUBNET, THIRD_KEY, "other")
    mesh.write(other.key, signed(other))
    mesh.write(other.key, encode_record(replace(ATTACKER, allowed_ip=OTHER_SUBNET)))
    mesh.write(KV_KEY, None)
    assert mesh.view.update(mesh.pins.release(1.0)) == {KEY}
    assert mesh.names == {"other"}


def test_without_a_limit_of_removals_a_deletion_counts_at_once_and_an_overwrite_does_not() -> None:
    mesh = Mesh(hold_deleted_s=0)
    mesh.write(KV_KEY, signed(VICTIM))
    mesh.write(KV_KEY, encode_record(ATTACKER))
    assert mesh.names == {"victim"}
    assert mesh.write(KV_KEY, None) == {KEY}


def test_a_node_that_proves_that_it_left_is_removed_at_once(mesh: Mesh) -> None:
    left = replace(VICTIM, left=True)
    mesh.write(KV_KEY, encode_record(left))
    assert mesh.names == {"victim"}  # anybody can write that without a proof
    assert mesh.write(KV_KEY, signed(left, 8)) == {KEY}
    assert (mesh.names, mesh.view.quarantined, mesh.pins.pins) == (set(), {}, {})
    mesh.write(KV_KEY, encode_record(ATTACKER))
    assert mesh.names == {"attacker"}


def test_a_key_that_proves_its_records_has_none_without_a_proof(mesh: Mesh) -> None:
    copy = record(OTHER_SUBNET, KEY, "M's name")
    assert mesh.write(copy.key, encode_record(copy)) == set()
    assert "the owner of its public key proves its records" in mesh.reason(copy.key)
    mesh.write(KV_KEY, signed(replace(VICTIM, left=True), 8))
    assert mesh.names == {"M's name"}  # nobody proves this key any more
    mesh.write(KV_KEY, signed(VICTIM, 9))
    assert mesh.names == {"victim"}


def test_a_rotation_that_was_announced_succeeds(mesh: Mesh) -> None:
    successor = replace(VICTIM, public_key=THIRD_KEY)
    mesh.write(KV_KEY, signed(replace(VICTIM, next_public_key=THIRD_KEY), 8))
    assert mesh.write(KV_KEY, signed(successor, 8)) == set()  # a replay
    assert mesh.write(KV_KEY, signed(successor, 9)) == {KEY, THIRD_KEY}
    assert mesh.view.peers.keys() == {THIRD_KEY}
    mesh.write(KV_KEY, signed(VICTIM, 10))
    assert mesh.view.peers.keys() == {THIRD_KEY}  # the old key has no say any more


def test_a_rotation_whose_announcement_was_missed_succeeds_by_a_statement_of_the_old_key(mesh: Mesh) -> None:
    statement = succession(PRIVATE_KEYS[KEYS.index(KEY)], THIRD_KEY, BUCKET, KV_KEY, bytes(64))
    mesh.write(KV_KEY, signed(replace(VICTIM, public_key=THIRD_KEY, successions=(statement,)), 8))
    assert mesh.view.peers.keys() == {THIRD_KEY}


def test_a_wrong_proof_is_quarantined() -> None:
    mesh = Mesh()
    mesh.write(KV_KEY, signed(VICTIM, 7, bucket="another"))
    assert (mesh.names, mesh.reason()[:17]) == (set(), "its proof is wron")


def test_in_a_mesh_that_requires_proofs_a_record_without_one_is_quarantined() -> None:
    mesh = Mesh(require_proof=True)
    mesh.write(KV_KEY, encode_record(VICTIM))
    assert (mesh.names, mesh.reason()) == (set(), "it has no proof, which record_trust requires")
    mesh.write(KV_KEY, signed(VICTIM))
    assert mesh.names == {"victim"}


def test_records_of_this_node_are_never_pinned_nor_refused() -> None:
    mesh = Mesh(require_proof=True)
    own = record(str(OWN_SUBNET), OWN_KEY)
    for value in (signed(own, 3), encode_record(own), signed(own, 2)):
        mesh.write(own.key, value)
        assert (set(mesh.view.own_records), mesh.view.quarantined, mesh.pins.pins) == ({own.key}, {}, {})
    assert mesh.view.own_records[own.key].proved


def test_a_claim_of_this_node_ends_the_pin_of_another(mesh: Mesh) -> None:
    mesh.write(KV_KEY, encode_record(record(SUBNET, OWN_KEY)))
    assert mesh.names == {"victim"}
    mesh.write(KV_KEY, signed(record(SUBNET, OWN_KEY), 8))
    assert (mesh.names, mesh.pins.pins) == (set(), {})


def test_a_bucket_with_another_history_gives_a_subnet_to_its_new_owner(mesh: Mesh) -> None:
    other = record(OTHER_SUBNET, THIRD_KEY, "other")
    mesh.write(other.key, signed(other))
    mesh.view.update(mesh.pins.replace({KV_KEY: Entry(1, signed(ATTACKER, 9))}, 1.0))
    assert mesh.names == {"victim", "other"}
    mesh.view.update(mesh.pins.accept_history(1.0))
    assert mesh.names == {"attacker", "other"}  # the record of the other was only lost: it will be written again


@pytest.mark.parametrize(("serial", "peers"), [(6, {"victim"}), (8, set[str]())])
def test_an_older_record_of_this_node_does_not_hide_the_peer_that_has_the_subnet_now(
    mesh: Mesh, serial: int, peers: set[str]
) -> None:
    """Anybody can write again what this node wrote when it had the subnet, also that it has left."""
    for left in (True, False):
        mesh.write(KV_KEY, signed(replace(record(SUBNET, OWN_KEY), left=left), serial))
        assert mesh.names == peers
        assert bool(mesh.view.own_records) is not bool(peers)


def test_of_overlapping_records_of_other_forms_the_proved_one_counts() -> None:
    mesh = Mesh()
    plain, proved = record("10.0.0.32/27", OTHER_KEY, "plain"), record("10.0.0.40/29", KEY, "proved")
    mesh.write(plain.key, encode_record(plain))
    mesh.write(proved.key, signed(proved))
    assert mesh.names == {"proved"}
    canonical = record(OTHER_SUBNET, THIRD_KEY, "canonical")
    wide = record("10.0.0.48/27", KEY, "wide")
    mesh.write(canonical.key, encode_record(canonical))
    mesh.write(wide.key, signed(wide))
    assert mesh.names == {"proved", "canonical"}


def test_a_record_outside_the_mesh_is_not_pinned() -> None:
    mesh = Mesh()
    outside = record("10.9.0.0/28", KEY)
    mesh.write(outside.key, signed(outside))
    assert "outside the mesh" in mesh.reason(outside.key)
    assert not mesh.pins.pins


def test_pins_of_an_earlier_run_hold(mesh: Mesh) -> None:
    later = Mesh()
    later.pins.restore(mesh.pins.pins)
    bucket = {KV_KEY: Entry(9, encode_record(ATTACKER))}
    later.view.update(later.pins.replace(bucket, 50.0))
    assert (later.names, later.pins.entry(KV_KEY)) == ({"victim"}, Entry(1, signed(VICTIM, 7)))
    later.wait(50.0 + HOLD_S)
    assert later.names == {"attacker"}


@pytest.mark.parametrize(("gone_at", "until"), [(0.0, 10_000.0 + HOLD_S), (10_050.0, 10_050.0 + HOLD_S)])
def test_while_the_bucket_is_not_followed_nobody_is_gone(mesh: Mesh, gone_at: float, until: float) -> None:
    """It is followed until 50 and from 10,050 on."""
    mesh.write(KV_KEY, encode_record(ATTACKER), now=gone_at)
    mesh.pins.followed_again(10_000.0, now=10_050.0)
    mesh.wait(until - 1)
    assert mesh.names == {"victim"}
    mesh.wait(until + 50)
    assert mesh.names == {"attacker"}


def accepted(found: PeerRecord) -> bool:
    mesh = Mesh()
    mesh.write(found.key, signed(found))
    return bool(mesh.names)


def test_a_proved_record_of_another_form_is_accepted_as_any() -> None:
    assert accepted(record("10.0.0.64/27", KEY))


@pytest.mark.parametrize("left", [f"10.0.0.{16 * n}/28" for n in range(4, 12)])  # pins end in the order of a set
def test_a_pin_that_another_ones_end_has_ended_is_not_ended_twice(mesh: Mesh, left: str) -> None:
    """A third node has moved to where a fourth one was: its later record counts when that one's pin ends."""
    third, fourth = KEYS[3], KEYS[4]
    mesh.write(record_key(OTHER_SUBNET), signed(record(OTHER_SUBNET, fourth, "fourth"), 1))
    mesh.write(record_key(left), signed(record(left, third, "third"), 1))
    mesh.write(record_key(left), encode_record(record(left, OTHER_KEY, "other")))
    mesh.write(record_key(OTHER_SUBNET), signed(record(OTHER_SUBNET, third, "third"), 2))
    assert mesh.names == {"victim", "third", "fourth"}
    mesh.wait(HOLD_S)
    assert mesh.names == {"victim", "third", "other"}


def test_a_record_that_was_refused_and_is_gone_in_the_same_batch_gets_no_pin(mesh: Mesh) -> None:
    """The owner moves away, and what overwrote its record is overwritten itself: only the last one counts."""
    moved, refused, last = (record(OTHER_SUBNET, KEY, "victim"), ATTACKER, record(SUBNET, KEYS[4], "last"))
    mesh.write(KV_KEY, signed(refused, 1))
    mesh.view.update(
        mesh.pins.update({moved.key: Entry(100, signed(moved, 8)), KV_KEY: Entry(101, signed(last, 1))}, 1.0)
    )
    assert mesh.names == {"victim", "last"}
    assert not mesh.view.quarantined
