"""Who may write the record under our key, case by case."""

import pytest
from msgspec.structs import replace

from ikto_core.claim.policy import ClaimAction, ClaimDecision, Identity, decide_claim, equal_but_nonce
from ikto_core.mesh.records import PeerRecord, encode_record
from ikto_core.mesh.view import Entry
from ikto_core.values.addressing import Endpoint
from ikto_core.values.keys import PublicKey

WANTED = PeerRecord(
    name="ours",
    public_key=PublicKey(bytes([1] * 32)),
    advertise_address="192.0.2.1",
    allowed_ip="10.0.0.16/28",
    wg_port=51820,
    endpoints=(Endpoint("192.0.2.1", 51820),),
    instance="now",
    agent="ikto",
)
OLD_KEY = PublicKey(bytes([3] * 32))  # that we had before a rotation
IDENTITY = Identity(
    public_key=WANTED.public_key, instance="now", instances=frozenset({"before"}), other_keys=frozenset({OLD_KEY})
)
THEIRS = replace(WANTED, public_key=PublicKey(bytes([2] * 32)), name="theirs")
BEFORE = replace(WANTED, public_key=OLD_KEY, instance="before", next_public_key=WANTED.public_key)
OF_0_3_0 = replace(WANTED, endpoints=(), instance="", agent="")


def broken(record: PeerRecord) -> bytes:
    """Return a record that can't be accepted, and still says whose it is."""
    return encode_record(record).replace(b'"wg_port":', b'"wg_port":9')


def judged(found: PeerRecord | bytes | None, *, starting: bool) -> ClaimDecision:
    value = encode_record(found) if isinstance(found, PeerRecord) else found
    return decide_claim(Entry(7, value), WANTED, IDENTITY, starting=starting)


@pytest.mark.parametrize(
    ("found", "at_start", "later"),
    [
        pytest.param(None, ClaimAction.WRITE, ClaimAction.WRITE, id="deleted"),
        pytest.param(WANTED, ClaimAction.KEEP, ClaimAction.KEEP, id="ours"),
        pytest.param(replace(WANTED, nonce="x"), ClaimAction.KEEP, ClaimAction.KEEP, id="ours, another write"),
        pytest.param(replace(WANTED, name="old"), ClaimAction.WRITE, ClaimAction.WRITE, id="ours, another name"),
        pytest.param(replace(WANTED, endpoints=()), ClaimAction.WRITE, ClaimAction.WRITE, id="ours, other endpoints"),
        pytest.param(
            replace(WANTED, instance="before"), ClaimAction.WRITE, ClaimAction.WRITE, id="ours, an earlier run"
        ),
        pytest.param(
            replace(WANTED, instance="other"), ClaimAction.WRITE, ClaimAction.CLONED, id="a copy of this machine"
        ),
        pytest.param(OF_0_3_0, ClaimAction.WRITE, ClaimAction.CLONED, id="0.3.0 with our key"),
        pytest.param(BEFORE, ClaimAction.WRITE, ClaimAction.WRITE, id="ours, with the key before a rotation"),
        pytest.param(
            broken(BEFORE), ClaimAction.WRITE, ClaimAction.WRITE, id="ours, with the key before a rotation, broken"
        ),
        pytest.param(
            replace(BEFORE, instance="other"),
            ClaimAction.WRITE,
            ClaimAction.CLONED,
            id="a copy with the key before a rotation",
        ),
        pytest.param(
            replace(WANTED, next_public_key=OLD_KEY), ClaimAction.WRITE, ClaimAction.WRITE, id="ours, announcing"
        ),
        pytest.param(THEIRS, ClaimAction.IN_USE, ClaimAction.IN_USE, id="another key"),
        pytest.param(
            replace(THEIRS, next_public_key=WANTED.public_key),
            ClaimAction.IN_USE,
            ClaimAction.IN_USE,
            id="another key that announces ours",
        ),
        pytest.param(
            replace(THEIRS, instance="before"), ClaimAction.IN_USE, ClaimAction.IN_USE, id="another key, our run"
        ),
        pytest.param(b"{", ClaimAction.IN_USE, ClaimAction.WRITE, id="unreadable: nobody's, and mended by who had it"),
        pytest.param(b"", ClaimAction.IN_USE, ClaimAction.WRITE, id="empty"),
        pytest.param(b"[" * 30_000, ClaimAction.IN_USE, ClaimAction.WRITE, id="a bomb"),
        pytest.param(broken(WANTED), ClaimAction.WRITE, ClaimAction.WRITE, id="ours, broken"),
        pytest.param(
            broken(replace(WANTED, instance="x")), ClaimAction.WRITE, ClaimAction.CLONED, id="a copy's, broken"
        ),
        pytest.param(broken(THEIRS), ClaimAction.IN_USE, ClaimAction.IN_USE, id="another key's, broken"),
        pytest.param(
            encode_record(replace(WANTED, allowed_ip="10.0.0.32/28")),
            ClaimAction.WRITE,
            ClaimAction.WRITE,
            id="ours, under a key that is not its own",
        ),
    ],
)
def test_the_verdict_on_what_is_found(
    found: PeerRecord | bytes | None, at_start: ClaimAction, later: ClaimAction
) -> None:
    assert judged(found, starting=True).action is at_start
    assert judged(found, starting=False).action is later


@pytest.mark.parametrize("starting", [True, False])
def test_a_key_that_was_never_written_is_free(starting: bool) -> None:
    assert decide_claim(None, WANTED, IDENTITY, starting=starting) == ClaimDecision(ClaimAction.WRITE)


@pytest.mark.parametrize("found", [b"", b"{", broken(THEIRS), encode_record(THEIRS)])
def test_a_newcomer_mends_what_is_nobodys_where_its_kept_claim_is(found: bytes) -> None:
    nobodys = found in {b"", b"{"}
    decision = decide_claim(Entry(7, found), WANTED, IDENTITY, starting=True, was_claimed=True)
    assert decision.action is (ClaimAction.WRITE if nobodys else ClaimAction.IN_USE)


def test_a_refusal_says_who_has_the_record() -> None:
    assert judged(THEIRS, starting=False).holder == f"'theirs' (public key {THEIRS.public_key})"
    assert "unreadable record (its value is not a peer record" in judged(b"{", starting=True).holder
    copy = replace(WANTED, instance="other", name="copy")
    assert judged(copy, starting=False).holder == "'copy' (ikto, instance 'other')"
    assert "Ikto 0.3.0" in judged(OF_0_3_0, starting=False).holder


def test_who_we_are_before_during_and_after_a_rotation() -> None:
    assert not IDENTITY.owns(THEIRS.public_key)
    announcing = IDENTITY.announcing(THEIRS.public_key)
    assert announcing.next_key == THEIRS.public_key
    after = announcing.succeeded()
    assert (after.public_key, after.next_key) == (THEIRS.public_key, None)
    for identity in (announcing, after, after.succeeded()):
        assert all(identity.owns(key) for key in (WANTED.public_key, OLD_KEY, THEIRS.public_key))
        assert identity.named(WANTED) == replace(
            WANTED, public_key=identity.public_key, next_public_key=identity.next_key
        )


def test_a_name_can_not_write_lines_of_its_own_into_the_words() -> None:
    assert "\n" not in judged(replace(THEIRS, name="a\nb"), starting=True).holder


@pytest.mark.parametrize("member", [name for name in PeerRecord.__struct_fields__ if name != "nonce"])
def test_two_records_that_differ_in_any_member_but_the_nonce_say_different_things(member: str) -> None:
    others = {
        "public_key": THEIRS.public_key,
        "next_public_key": OLD_KEY,
        "wg_port": 1,
        "endpoints": (),
        "allowed_ip": "10.0.0.0/28",
    }
    assert not equal_but_nonce(WANTED, replace(WANTED, **{member: others.get(member, "other")}))
    assert equal_but_nonce(WANTED, replace(WANTED, nonce="other"))
