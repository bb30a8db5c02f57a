"""With an account in record_trust, a record counts only if a user of that account may write it, and has signed it."""

from base64 import b64encode

import pytest
from hypothesis import given
from msgspec.structs import replace

from ikto_core.mesh.pins import HOLD_S, Pins
from ikto_core.mesh.proofs import RECORD_DOMAIN, ProofIndex, judge
from ikto_core.mesh.records import MAX_RECORD_BYTES, PeerRecord, decode_record, encode_record, record_key
from ikto_core.mesh.rights import GRACE_S, Authority, right_message, stored_subject
from ikto_core.mesh.view import Entry, MeshRules, MeshView
from ikto_core.testing.strategies import peer_records
from ikto_core.values.keys import PublicKey
from ikto_core.values.signatures import framed, sign
from ikto_core.values.user_jwt import MAX_JWT_BYTES
from tests.entitled import BUCKET, Account, entitled
from tests.samples import KEY, KEYS, MESH, OTHER_KEY, OWN_KEY, OWN_SUBNET, PRIVATE_KEYS, record, signed
from tests.store.credentials import USER, Nkey

ACCOUNT, OTHER_ACCOUNT = Account(), Account()
NODE, ATTACKER = Nkey(USER), Nkey(USER)
RECORD = record("10.0.0.32/28", KEY, "victim")
OTHER = record("10.0.0.32/28", OTHER_KEY, "attacker")
KV_KEY = RECORD.key
SUBJECT = stored_subject(BUCKET, KV_KEY)
JWT = ACCOUNT.jwt(NODE, [SUBJECT])
ATTACKERS_JWT = ACCOUNT.jwt(ATTACKER, [stored_subject(BUCKET, record_key("10.0.0.64/28"))])
EXPIRES_S = 2e9
END_S = EXPIRES_S + GRACE_S


def fault(value: bytes, key: str = KV_KEY, authority: Authority = ACCOUNT.authority) -> str:
    """Return why a value has no right; a value with a right has a proof instead."""
    result = judge(BUCKET, key, value, authority=authority)
    assert bool(result.fault) is (result.proof is None)
    return result.fault


RIGHTS = {
    "for its key": [SUBJECT],
    "for all keys": [f"$KV.{BUCKET}.peers.>"],
    "for everything": [">"],
}


@pytest.mark.parametrize("allow", RIGHTS.values(), ids=RIGHTS)
@pytest.mark.parametrize("by", [None, ACCOUNT.signing_key], ids=["by the account", "by its signing key"])
def test_a_user_of_the_account_has_a_right_to_what_it_may_write(allow: list[str], by: Nkey | None) -> None:
    value = entitled(RECORD, 7, ACCOUNT, user=NODE, jwt=ACCOUNT.jwt(NODE, allow, by=by))
    assert fault(value) == ""
    assert judge(BUCKET, KV_KEY, value).proof, "without an account in record_trust nothing of it is looked at"


def with_jwt(jwt: str) -> bytes:
    return entitled(RECORD, 7, ACCOUNT, user=NODE, jwt=jwt)


WITHOUT_RIGHT = {
    "no JWT": (signed(RECORD, 7), "it has no user JWT"),
    "no signature": (signed(replace(RECORD, user_jwt=JWT), 7), "has not signed it"),
    "another account": (entitled(RECORD, 7, OTHER_ACCOUNT), f"is of account {OTHER_ACCOUNT.key.public}, not"),
    "an unknown signing key": (
        with_jwt(ACCOUNT.jwt(NODE, [SUBJECT], by=OTHER_ACCOUNT.key)),
        "which record_trust does not name",
    ),
    "a signing key that names no account": (
        with_jwt(ACCOUNT.signing_key.jwt(NODE, {"type": "user", "pub": {"allow": [SUBJECT]}})),
        "is of account",
    ),
    "a claimed issuer": (
        with_jwt(OTHER_ACCOUNT.jwt(NODE, [SUBJECT]).replace("a", "b", 1)),
        "is not",
    ),
    "no permission": (with_jwt(ACCOUNT.jwt(NODE, [])), f"does not allow to publish on {SUBJECT}"),
    "permission for another key": (with_jwt(ACCOUNT.jwt(NODE, [stored_subject(BUCKET, "peers.x")])), "does not allow"),
    "permission for another bucket": (with_jwt(ACCOUNT.jwt(NODE, [f"$KV.b.{KV_KEY}"])), "does not allow"),
    "a denial": (
        with_jwt(ACCOUNT.jwt(NODE, [], pub={"allow": [SUBJECT], "deny": [SUBJECT]})),
        "does not allow",
    ),
    "a copied JWT": (entitled(RECORD, 7, ACCOUNT, user=ATTACKER, jwt=JWT), "has not signed it"),
    "junk as JWT": (with_jwt("a.b.c"), "is not a JWT of NATS"),
    "a signature for another public key": (
        entitled(RECORD, 7, ACCOUNT, message=right_message(BUCKET, KV_KEY, OTHER_KEY, 7)),
        "has not signed it",
    ),
    "a signature for another KV key": (
        entitled(RECORD, 7, ACCOUNT, message=right_message(BUCKET, "peers.x", KEY, 7)),
        "has not signed it",
    ),
    "a signature for another bucket": (
        entitled(RECORD, 7, ACCOUNT, message=right_message("b", KV_KEY, KEY, 7)),
        "has not signed it",
    ),
    "a signature for another serial": (
        entitled(RECORD, 7, ACCOUNT, message=right_message(BUCKET, KV_KEY, KEY, 6)),
        "has not signed it",
    ),
}


@pytest.mark.parametrize(("value", "reason"), WITHOUT_RIGHT.values(), ids=WITHOUT_RIGHT)
def test_every_other_record_has_none_and_the_reason_is_told(value: bytes, reason: str) -> None:
    assert reason in fault(value)
    assert len(fault(value)) <= 200


@pytest.mark.parametrize("member", ["0", '""', "null", "[]", '"%"', '"' + "A" * 89 + '"', '"\u00e9"', '"AAAA"'])
def test_a_signature_that_makes_no_sense_is_none(member: str) -> None:
    body = encode_record(replace(RECORD, serial=7, user_jwt=JWT))[:-1] + f',"user_signature":{member}'.encode()
    message = framed(RECORD_DOMAIN, BUCKET.encode(), KV_KEY.encode(), body)
    proof = b64encode(sign(PRIVATE_KEYS[KEYS.index(KEY)], message, bytes(64)))
    assert "has not signed it" in fault(body + b',"proof":"' + proof + b'"}')


@given(peer_records())
def test_a_record_with_a_right_decodes_to_itself_and_0_3_0_sees_none_of_it(drawn: PeerRecord) -> None:
    found = replace(drawn, public_key=KEY, serial=7, user_jwt=JWT)
    value = entitled(found, 7, ACCOUNT, user=NODE, jwt=JWT)
    assert decode_record(found.key, value) == found
    assert value.startswith(encode_record(replace(found, user_jwt=""))[:-1] + b',"user_jwt":"')


def test_the_largest_record_with_the_largest_jwt_fits() -> None:
    largest = replace(
        RECORD, name="n" * 255, agent="a" * 255, user_jwt="j" * MAX_JWT_BYTES, successions=("s" * 128,) * 4
    )
    assert len(signed(largest)) < MAX_RECORD_BYTES - 4096
    too_large = encode_record(replace(RECORD, user_jwt="j" * (MAX_JWT_BYTES + 1)))
    assert decode_record(KV_KEY, too_large).user_jwt == "", "ignored, as any member that makes no sense"


# -- in the mesh -------------------------------------------------------------------------------------------------------


class Mesh:
    """A view in which records need a right, and a bucket to write to."""

    def __init__(self) -> None:
        rules = MeshRules(cidr=MESH, subnet_prefix=28, own_key=OWN_KEY, own_subnet=OWN_SUBNET, require_proof=True)
        self.view = MeshView(rules)
        self.proofs = ProofIndex(BUCKET, ACCOUNT.authority)
        self.pins = Pins(self.proofs, lambda: self.view.rules)
        self.revision = 0

    def write(self, key: str, value: bytes | None, now: float = 0.0) -> set[PublicKey]:
        self.revision += 1
        return self.view.update(self.pins.update({key: Entry(self.revision, value)}, now))

    def wait(self, now: float, *, wall: float = 0.0) -> None:
        self.proofs.now_s = wall
        self.view.update(self.pins.expire(now) | self.pins.end_rights(now))

    @property
    def names(self) -> set[str]:
        return {peer.name for peer in self.view.peers.values()}

    def reason(self, key: str = KV_KEY) -> str:
        return self.view.quarantined[key].reason


def entitled_mesh(expires_s: float | None = EXPIRES_S) -> Mesh:
    mesh = Mesh()
    mesh.write(KV_KEY, entitled(RECORD, 7, ACCOUNT, user=NODE, expires_s=expires_s))
    assert mesh.names == {"victim"}
    return mesh


@pytest.mark.parametrize(("value", "reason"), WITHOUT_RIGHT.values(), ids=WITHOUT_RIGHT)
def test_a_record_without_a_right_is_quarantined(value: bytes, reason: str) -> None:
    mesh = Mesh()
    assert mesh.write(KV_KEY, value) == set()
    assert reason in mesh.reason()
    mesh.write(KV_KEY, entitled(RECORD, 8, ACCOUNT))
    assert (mesh.names, mesh.view.quarantined) == ({"victim"}, {})


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(signed(OTHER, 9), id="without a JWT"),
        pytest.param(entitled(OTHER, 9, ACCOUNT, user=ATTACKER, jwt=ATTACKERS_JWT), id="with its own JWT"),
        pytest.param(entitled(OTHER, 9, ACCOUNT, user=ATTACKER, jwt=JWT), id="with the victim's JWT"),
        pytest.param(entitled(OTHER, 9, OTHER_ACCOUNT), id="with a JWT of its own account"),
    ],
)
def test_a_node_that_is_gone_for_long_loses_its_subnet_to_nobody_without_a_right(value: bytes) -> None:
    mesh = entitled_mesh()
    mesh.write(KV_KEY, value)
    mesh.wait(HOLD_S)
    assert mesh.names == set()
    assert "user JWT" in mesh.reason() or "has not signed it" in mesh.reason()
    mesh.write(KV_KEY, entitled(RECORD, 8, ACCOUNT))
    assert mesh.names == {"victim"}


def test_a_right_ends_a_week_after_its_jwt_and_a_renewed_one_restores_it() -> None:
    mesh = entitled_mesh()
    mesh.wait(1.0, wall=END_S - 1)
    assert mesh.names == {"victim"}
    mesh.wait(2.0, wall=END_S)
    assert (mesh.names, mesh.pins.pins) == (set(), {})
    assert mesh.reason() == "its user JWT expired at 2033-05-18 03:33:20 UTC, more than 7 days ago"
    mesh.write(KV_KEY, entitled(RECORD, 8, ACCOUNT, expires_s=END_S + 60))
    assert (mesh.names, mesh.view.quarantined) == ({"victim"}, {})


def test_a_right_that_has_ended_does_not_begin_again() -> None:
    mesh = Mesh()
    mesh.wait(0.0, wall=END_S)
    mesh.write(KV_KEY, entitled(RECORD, 7, ACCOUNT, expires_s=EXPIRES_S))
    assert (mesh.names, mesh.reason()[:19]) == (set(), "its user JWT expire")


def test_a_jwt_without_expiry_gives_a_right_for_ever() -> None:
    mesh = entitled_mesh(None)
    mesh.wait(1.0, wall=1e12)
    assert mesh.names == {"victim"}


def test_a_node_may_leave_without_a_right() -> None:
    mesh = entitled_mesh()
    assert mesh.write(KV_KEY, signed(replace(RECORD, left=True), 8)) == {KEY}
    assert (mesh.names, mesh.view.quarantined) == (set(), {})


def test_records_of_this_node_are_never_refused_for_want_of_a_right() -> None:
    mesh = Mesh()
    own = record(str(OWN_SUBNET), OWN_KEY)
    for value in (signed(own, 3), entitled(own, 4, OTHER_ACCOUNT), encode_record(own)):
        mesh.write(own.key, value)
        assert (set(mesh.view.own_records), mesh.view.quarantined) == ({own.key}, {})


def test_signatures_that_an_earlier_run_has_verified_are_trusted_and_everything_else_is_looked_at() -> None:
    right = entitled(RECORD, 7, ACCOUNT, user=ATTACKER, jwt=JWT)  # a wrong signature
    index = ProofIndex(BUCKET, ACCOUNT.authority)
    assert index.trust(KV_KEY, right).proof
    assert index.trust(KV_KEY, right, verified=False).proof, "the result of a moment ago"
    fresh = ProofIndex(BUCKET, ACCOUNT.authority)
    assert fresh.trust(KV_KEY, right, verified=False).fault
    for value in (signed(RECORD, 7), entitled(RECORD, 7, OTHER_ACCOUNT), with_jwt(ACCOUNT.jwt(NODE, ["x"]))):
        assert fresh.trust(KV_KEY, value).fault


# -- who must have issued the JWTs -------------------------------------------------------------------------------------


def test_the_authority_is_the_account_in_record_trust_with_its_signing_keys() -> None:
    assert Authority.of(ACCOUNT.record_trust) == ACCOUNT.authority
    assert Authority.of(f"account:{ACCOUNT.key.public}") == Authority(ACCOUNT.key.public)
    assert Authority.of("any") is Authority.of("proved") is None


@pytest.mark.parametrize(
    "wrong",
    [NODE.public, ACCOUNT.key.public[:-1], "", f"{ACCOUNT.key.public},"],
    ids=["a user", "too short", "empty", "a comma at the end"],
)
def test_what_is_no_account_is_no_authority(wrong: str) -> None:
    with pytest.raises(ValueError, match="not the public key of a NATS account"):
        Authority.of(f"account:{wrong}")
