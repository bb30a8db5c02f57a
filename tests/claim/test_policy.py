"""What `decide_claim` decides about every kind of record under the own KV key."""

import pytest
from msgspec.structs import replace

from ikto_core.claim import policy
from ikto_core.claim.policy import (
    ClaimAction,
    ClaimContext,
    ClaimDecision,
    Hold,
    Identity,
    decide_claim,
    equal_but_nonce,
)
from ikto_core.mesh.proofs import Proof
from ikto_core.mesh.records import PeerRecord, decode_record, encode_record
from ikto_core.mesh.view import Entry
from ikto_core.values.addressing import Endpoint
from ikto_core.values.keys import PublicKey

WANTED = PeerRecord(
    name="own",
    public_key=PublicKey(bytes([1] * 32)),
    advertise_address="192.0.2.1",
    allowed_ip="10.0.0.16/28",
    wg_port=51820,
    endpoints=(Endpoint("192.0.2.1", 51820),),
    instance="now",
    agent="ikto",
)
OLD_KEY = PublicKey(bytes([3] * 32))  # before a rotation
IDENTITY = Identity(
    public_key=WANTED.public_key, instance="now", instances=frozenset({"before"}), other_keys=frozenset({OLD_KEY})
)
FOREIGN = replace(WANTED, public_key=PublicKey(bytes([2] * 32)), name="other")
BEFORE = replace(WANTED, public_key=OLD_KEY, instance="before", next_public_key=WANTED.public_key)
OF_0_3_0 = replace(WANTED, endpoints=(), instance="", agent="")


def broken(record: PeerRecord) -> bytes:
    """Return a record that is not valid, but whose owner is readable."""
    return encode_record(record).replace(b'"wg_port":', b'"wg_port":9')


def decision(found: PeerRecord | bytes | None, *, starting: bool) -> ClaimDecision:
    value = encode_record(found) if isinstance(found, PeerRecord) else found
    return decide_claim(Entry(7, value), WANTED, IDENTITY, ClaimContext(starting=starting))


@pytest.mark.parametrize(
    ("found", "at_start", "later"),
    [
        pytest.param(None, ClaimAction.WRITE, ClaimAction.WRITE, id="deleted"),
        pytest.param(WANTED, ClaimAction.KEEP, ClaimAction.KEEP, id="own"),
        pytest.param(replace(WANTED, nonce="x"), ClaimAction.KEEP, ClaimAction.KEEP, id="own, another write"),
        pytest.param(replace(WANTED, name="old"), ClaimAction.WRITE, ClaimAction.WRITE, id="own, another name"),
        pytest.param(replace(WANTED, endpoints=()), ClaimAction.WRITE, ClaimAction.WRITE, id="own, other endpoints"),
        pytest.param(
            replace(WANTED, instance="before"), ClaimAction.WRITE, ClaimAction.WRITE, id="own, an earlier run"
        ),
        pytest.param(
            replace(WANTED, instance="other"), ClaimAction.WRITE, ClaimAction.RECLAIM, id="another installation"
        ),
        pytest.param(OF_0_3_0, ClaimAction.WRITE, ClaimAction.RECLAIM, id="0.3.0, own key"),
        pytest.param(BEFORE, ClaimAction.WRITE, ClaimAction.WRITE, id="own, key before a rotation"),
        pytest.param(broken(BEFORE), ClaimAction.WRITE, ClaimAction.WRITE, id="own, key before a rotation, broken"),
        pytest.param(
            replace(BEFORE, instance="other"),
            ClaimAction.WRITE,
            ClaimAction.RECLAIM,
            id="another installation, key before a rotation",
        ),
        pytest.param(
            replace(WANTED, next_public_key=OLD_KEY), ClaimAction.WRITE, ClaimAction.WRITE, id="own, announcing"
        ),
        pytest.param(FOREIGN, ClaimAction.IN_USE, ClaimAction.IN_USE, id="another key"),
        pytest.param(
            replace(FOREIGN, next_public_key=WANTED.public_key),
            ClaimAction.IN_USE,
            ClaimAction.IN_USE,
            id="another key, announcing the own one",
        ),
        pytest.param(
            replace(FOREIGN, instance="before"), ClaimAction.IN_USE, ClaimAction.IN_USE, id="another key, own instance"
        ),
        pytest.param(b"{", ClaimAction.IN_USE, ClaimAction.RECLAIM, id="unreadable, no owner"),
        pytest.param(b"", ClaimAction.IN_USE, ClaimAction.RECLAIM, id="empty"),
        pytest.param(b"[" * 30_000, ClaimAction.IN_USE, ClaimAction.RECLAIM, id="deeply nested"),
        pytest.param(broken(WANTED), ClaimAction.WRITE, ClaimAction.WRITE, id="own, broken"),
        pytest.param(
            broken(replace(WANTED, instance="x")), ClaimAction.WRITE, ClaimAction.RECLAIM, id="another, broken"
        ),
        pytest.param(broken(FOREIGN), ClaimAction.IN_USE, ClaimAction.IN_USE, id="another key, broken"),
        pytest.param(
            encode_record(replace(WANTED, allowed_ip="10.0.0.32/28")),
            ClaimAction.WRITE,
            ClaimAction.WRITE,
            id="own, of another subnet",
        ),
    ],
)
def test_the_action_at_the_start_and_later(
    found: PeerRecord | bytes | None, at_start: ClaimAction, later: ClaimAction
) -> None:
    assert decision(found, starting=True).action is at_start
    assert decision(found, starting=False).action is later


COPY = replace(WANTED, instance="other", serial=8)


@pytest.mark.parametrize(
    ("first_serial", "starting", "action"),
    [
        pytest.param(8, False, ClaimAction.CLONED, id="written since this run's first record"),
        pytest.param(9, False, ClaimAction.WRITE, id="a replay, or from a backup"),
        pytest.param(8, True, ClaimAction.WRITE, id="at the start"),
    ],
)
def test_only_a_record_that_proves_the_own_key_is_a_copys(
    first_serial: int, starting: bool, action: ClaimAction
) -> None:
    context = ClaimContext(starting=starting, first_serial=first_serial)
    proof = Proof(public_key=WANTED.public_key, serial=8)
    assert decide_claim(Entry(7, encode_record(COPY)), WANTED, IDENTITY, context, proof).action is action


@pytest.mark.parametrize("found", [encode_record(FOREIGN), broken(FOREIGN)])
@pytest.mark.parametrize(
    ("hold", "action"),
    [
        (Hold.NONE, ClaimAction.IN_USE),
        (Hold.DOUBTED, ClaimAction.WAIT),
        (Hold.FIRM, ClaimAction.RECLAIM),
    ],
)
def test_another_nodes_record_is_overwritten_only_where_this_node_holds_the_subnet(
    found: bytes, hold: Hold, action: ClaimAction
) -> None:
    for starting in (True, False):
        decided = decide_claim(Entry(7, found), WANTED, IDENTITY, ClaimContext(starting=starting, hold=hold))
        assert decided.action is action
        assert "public key" in decided.holder


@pytest.mark.parametrize(
    ("proof", "was_claimed", "action"),
    [
        (None, True, ClaimAction.RECLAIM),
        (None, False, ClaimAction.IN_USE),
        (Proof(public_key=FOREIGN.public_key, serial=1), True, ClaimAction.IN_USE),
    ],
)
def test_where_proofs_are_required_an_unproved_record_keeps_nobody_from_its_old_subnet(
    proof: Proof | None, was_claimed: bool, action: ClaimAction
) -> None:
    context = ClaimContext(starting=True, was_claimed=was_claimed, require_proof=True)
    assert decide_claim(Entry(7, encode_record(FOREIGN)), WANTED, IDENTITY, context, proof).action is action
    if proof is None:  # an invalid record can't have one
        assert decide_claim(Entry(7, broken(FOREIGN)), WANTED, IDENTITY, context).action is action


@pytest.mark.parametrize("public_key", [FOREIGN.public_key, WANTED.public_key])
def test_a_record_whose_owner_has_left_is_none(public_key: PublicKey) -> None:
    found = replace(FOREIGN, public_key=public_key, left=True)
    proof = Proof(public_key=public_key, serial=1, left=True)
    decided = decide_claim(Entry(7, encode_record(found)), WANTED, IDENTITY, ClaimContext(starting=True), proof)
    assert decided == ClaimDecision(ClaimAction.WRITE)


@pytest.mark.parametrize("starting", [True, False])
def test_a_key_that_was_never_written_is_free(starting: bool) -> None:
    assert decide_claim(None, WANTED, IDENTITY, ClaimContext(starting=starting)) == ClaimDecision(ClaimAction.WRITE)


@pytest.mark.parametrize("found", [b"", b"{", broken(FOREIGN), encode_record(FOREIGN)])
def test_a_starting_node_replaces_an_ownerless_record_where_it_has_a_saved_claim(found: bytes) -> None:
    ownerless = found in {b"", b"{"}
    decided = decide_claim(Entry(7, found), WANTED, IDENTITY, ClaimContext(starting=True, was_claimed=True))
    assert decided.action is (ClaimAction.RECLAIM if ownerless else ClaimAction.IN_USE)


def test_a_refusal_names_the_holder_of_the_record() -> None:
    assert decision(FOREIGN, starting=False).holder == f"'other' (public key {FOREIGN.public_key})"
    assert "unreadable record (its value is not a peer record" in decision(b"{", starting=True).holder
    copy = replace(WANTED, instance="other", name="copy")
    assert decision(copy, starting=False).holder.startswith("'copy' (ikto, instance 'other'), without the proof")
    assert "Ikto 0.3.0" in decision(OF_0_3_0, starting=False).holder


def test_identity_before_during_and_after_a_rotation() -> None:
    assert not IDENTITY.owns(FOREIGN.public_key)
    announcing = IDENTITY.announcing(FOREIGN.public_key)
    assert announcing.next_key == FOREIGN.public_key
    after = announcing.succeeded()
    assert (after.public_key, after.next_key) == (FOREIGN.public_key, None)
    for identity in (announcing, after, after.succeeded()):
        assert all(identity.owns(key) for key in (WANTED.public_key, OLD_KEY, FOREIGN.public_key))
        assert identity.named(WANTED) == replace(
            WANTED, public_key=identity.public_key, next_public_key=identity.next_key
        )


def test_a_name_with_a_newline_is_escaped_in_the_message() -> None:
    assert "\n" not in decision(replace(FOREIGN, name="a\nb"), starting=True).holder


VARYING = {"nonce", "serial", "successions"}


@pytest.mark.parametrize("member", [name for name in PeerRecord.__struct_fields__ if name not in VARYING])
def test_records_that_differ_in_any_member_but_the_nonce_are_not_equal(member: str) -> None:
    others = {
        "public_key": FOREIGN.public_key,
        "next_public_key": OLD_KEY,
        "wg_port": 1,
        "endpoints": (),
        "allowed_ip": "10.0.0.0/28",
    }
    assert not equal_but_nonce(WANTED, replace(WANTED, **{member: others.get(member, "other")}))
    assert equal_but_nonce(WANTED, replace(WANTED, nonce="other", serial=7, successions=("a statement",)))


def test_the_own_record_is_decoded_once_however_often_the_bucket_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is looked at after each change of the bucket, of whatever key."""
    decoded: list[str] = []

    def counted(key: str, value: bytes) -> PeerRecord:
        decoded.append(key)
        return decode_record(key, value)

    monkeypatch.setattr(policy, "decode_record", counted)
    own = replace(WANTED, name="decoded once")
    for _ in range(3):
        decision(own, starting=False)
    assert decoded == [own.key]
    decision(replace(own, name="another"), starting=False)
    assert len(decoded) == 2
