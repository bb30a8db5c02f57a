"""A user JWT says what its issuer has signed, and whatever strangers write in one is refused with a reason."""

import json
import re
from base64 import urlsafe_b64encode
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from ikto_core.values.nats_jwt import JwtError
from ikto_core.values.nkeys import Role, parse_nkey, public_nkey, sign_nkey, verify_nkey
from ikto_core.values.user_jwt import MAX_JWT_BYTES, UserJwt, allows_to_publish, matches, parse_user_jwt
from tests.store.credentials import ACCOUNT, OPERATOR, UNLIMITED, USER, Nkey

ISSUER, OTHER, NODE = Nkey(ACCOUNT), Nkey(ACCOUNT), Nkey(USER)
OTHER_LETTER = "B" if ISSUER.public.endswith("A") else "A"
CLAIMS = {"type": "user"} | UNLIMITED
SUBJECT = "$KV.b.peers.ZmQxMDo6LzQ4"


def jwt(claims: dict[str, Any] | None = None, expires_s: float | None = None, *, subject: Nkey = NODE) -> str:
    return ISSUER.jwt(subject, CLAIMS | (claims or {}), expires_s)


def part(value: object) -> str:
    return urlsafe_b64encode(value if isinstance(value, bytes) else json.dumps(value).encode()).rstrip(b"=").decode()


def signed(content: object, header: object = None) -> str:
    """A JWT with this header and content, signed by the issuer."""
    text = f"{part(header or {'typ': 'JWT', 'alg': 'ed25519-nkey'})}.{part(content)}"
    return f"{text}.{part(sign_nkey(ISSUER.seed, text.encode()))}"


def content(**members: Any) -> dict[str, Any]:
    return {"iss": ISSUER.public, "sub": NODE.public, "nats": CLAIMS | {"version": 2}} | members


def test_a_jwt_says_what_its_issuer_has_signed() -> None:
    publish = {"pub": {"allow": ["a.>"], "deny": ["a.b"]}, "sub": {"allow": ["x"]}}
    assert parse_user_jwt(jwt(publish, 1e9)) == UserJwt(
        user=NODE.public,
        user_key=parse_nkey(NODE.public, Role.USER),
        issuer=ISSUER.public,
        account=ISSUER.public,
        issued_s=parse_user_jwt(jwt()).issued_s,
        expires_s=1e9,
        bearer=False,
        may_publish=("a.>",),
        may_not_publish=("a.b",),
    )
    by_signing_key = parse_user_jwt(jwt({"issuer_account": OTHER.public, "bearer_token": True}))
    assert (by_signing_key.issuer, by_signing_key.account) == (ISSUER.public, OTHER.public)
    assert (by_signing_key.expires_s, by_signing_key.bearer, by_signing_key.may_publish) == (0, True, ())


def test_the_helper_of_the_tests_makes_valid_ones() -> None:
    assert replace(parse_user_jwt(jwt()), issued_s=0) == parse_user_jwt(signed(content()))


WHOLE = jwt()
HEAD, BODY, TAIL = WHOLE.split(".")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("", "is not a JWT", id="empty"),
        pytest.param(f"{HEAD}.{BODY}", "is not a JWT", id="two parts"),
        pytest.param(f"{WHOLE}.", "is not a JWT", id="four parts"),
        pytest.param(WHOLE + "\n", "is not a JWT", id="a line's end"),
        pytest.param(WHOLE.replace("e", "é", 1), "is not a JWT", id="not ASCII"),
        pytest.param(f"{HEAD}.{BODY}.{'A' * MAX_JWT_BYTES}", "has more than 8192 characters", id="too long"),
        pytest.param(f"{HEAD}.{BODY}.AAAAA", "is not a JWT of NATS", id="not base64url"),
        pytest.param(f"{HEAD}.{BODY}.AAAA", "is not signed by its issuer", id="a short signature"),
        pytest.param(f"{HEAD}.{BODY}.{part(bytes(64))}", "is not signed by its issuer", id="no signature"),
        pytest.param(f"{HEAD}.{part(content(exp=1))}.{TAIL}", "is not signed by its issuer", id="another content"),
        pytest.param(signed(content(iss=OTHER.public)), "is not signed by its issuer", id="another issuer's name"),
        pytest.param(signed(content(iss=Nkey(OPERATOR).public)), "a NATS account", id="an operator as issuer"),
        pytest.param(signed(content(iss=ISSUER.public[:-1] + OTHER_LETTER)), "a NATS account", id="a wrong checksum"),
        pytest.param(signed(content(sub=OTHER.public)), "a NATS user", id="an account as user"),
        pytest.param(signed(content(sub=NODE.public.lower())), "a NATS user", id="lower case"),
        pytest.param(signed(content(), {"typ": "JWT", "alg": "none"}), "is not a JWT of NATS", id="no algorithm"),
        pytest.param(signed(content(), {"typ": "JWT", "alg": "ed25519"}), "a JWT of NATS", id="version 1's algorithm"),
        pytest.param(signed(content(nats=CLAIMS)), "is not the JWT", id="no version"),
        pytest.param(signed(content(nats={"type": "account", "version": 2})), "is not the JWT", id="an account's"),
        pytest.param(signed(content(nats={"type": "activation", "version": 2})), "is not the JWT", id="an activation"),
        pytest.param(signed(content(nats=CLAIMS | {"version": 1})), "is not the JWT", id="version 1"),
        pytest.param(signed(content(nats=CLAIMS | {"version": 2, "pub": {"allow": "a"}})), "is not", id="no list"),
        pytest.param(signed(content(exp=-1)), "is not the JWT", id="expires before the epoch"),
        pytest.param(signed(b'{"exp":1e999}'), "is not a JWT of NATS", id="expires after all time"),
        pytest.param(signed(b"[" * 200), "has more than 100 opening brackets", id="deep"),
        pytest.param(signed(b"\xff"), "is not a JWT of NATS", id="not UTF-8"),
        pytest.param(signed([]), "is not a JWT of NATS", id="a list"),
    ],
)
def test_what_is_not_a_users_jwt_is_refused_with_a_reason(text: str, reason: str) -> None:
    with pytest.raises(JwtError, match=re.escape(reason)):
        parse_user_jwt(text)


@given(
    st.text(alphabet=st.characters(codec="utf-8"))
    | st.binary().map(signed)
    | st.binary().map(lambda b: f"{HEAD}.{part(b)}.{TAIL}")
)
def test_no_text_raises_anything_else(text: str) -> None:
    with pytest.raises(JwtError):
        parse_user_jwt(text)


@given(st.integers(0, len(WHOLE) - len(TAIL) - 2), st.sampled_from("Aa0_-"))
def test_no_changed_character_is_accepted(place: int, character: str) -> None:
    changed = WHOLE[:place] + character + WHOLE[place + 1 :]
    if changed != WHOLE:
        with pytest.raises(JwtError):
            parse_user_jwt(changed)


def test_what_was_verified_before_is_not_verified_again() -> None:
    forged = f"{HEAD}.{part(content(exp=1))}.{TAIL}"
    assert parse_user_jwt(forged, verified=True).expires_s == 1


def test_only_its_owner_makes_the_signatures_of_a_key() -> None:
    key, signature = public_nkey(NODE.seed), sign_nkey(NODE.seed, b"message")
    assert key == parse_nkey(NODE.public, Role.USER)
    assert verify_nkey(key, b"message", signature)
    assert not verify_nkey(key, b"massage", signature)
    assert not verify_nkey(key, b"message", signature[:-1])
    assert not verify_nkey(bytes(32), b"message", signature)


# -- permissions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("allow", "deny", "allowed"),
    [
        pytest.param([SUBJECT], None, True, id="the subject"),
        pytest.param(["$KV.b.peers.>"], [], True, id="all records"),
        pytest.param(["$KV.*.peers.*"], [], True, id="single tokens"),
        pytest.param([">"], [], True, id="everything"),
        pytest.param(["x", "$KV.b.>"], ["$KV.b.mesh"], True, id="another one denied"),
        pytest.param(["$KV.b.peers.>"], [SUBJECT], False, id="denied"),
        pytest.param([SUBJECT], ["$KV.>"], False, id="denied by a wildcard"),
        pytest.param([], [], False, id="an empty list"),
        pytest.param(None, ["x"], False, id="only denials"),
        pytest.param([SUBJECT + "x"], [], False, id="another subject"),
        pytest.param([SUBJECT.lower()], [], False, id="another case"),
        pytest.param(["$KV.c.peers.>"], [], False, id="another bucket"),
        pytest.param(["$KV.b.peers"], [], False, id="a part of it"),
        pytest.param(["$KV.b.peers.*.>"], [], False, id="longer subjects"),
        pytest.param(["$KV.b.*"], [], False, id="shorter ones"),
        pytest.param(["$KV.b.peers.Z*"], [], False, id="a star inside a token"),
        pytest.param(["$KV.>.peers.ZmQxMDo6LzQ4"], [], False, id="the tail's wildcard not at the end"),
        pytest.param(["hub.$KV.b.peers.>"], [], False, id="a subject with an API prefix"),
    ],
)
def test_a_right_is_a_permission_that_the_jwt_names(
    allow: list[str] | None, deny: list[str] | None, allowed: bool
) -> None:
    named = {name: subjects for name, subjects in (("allow", allow), ("deny", deny)) if subjects is not None}
    assert allows_to_publish(parse_user_jwt(jwt({"pub": named})), SUBJECT) is allowed


TOKENS = st.sampled_from(["a", "b", "*", ">", "A", "peers", "$KV", ""])
SUBJECTS = st.lists(st.sampled_from(["a", "b", "A", "peers", "$KV"]), min_size=1, max_size=5).map(".".join)


@given(st.lists(TOKENS, min_size=1, max_size=5).map(".".join), SUBJECTS)
@example("a.>", "a")
@example(">", "a.b")
def test_patterns_match_as_in_nats(pattern: str, subject: str) -> None:
    """Against a second definition, by regular expressions."""
    expression = re.escape(pattern).replace(r"\*", r"[^.]+")
    if expression == ">" or expression.endswith(r".>"):
        expression = expression[:-1] + r".+"
    assert matches(pattern, subject) is bool(re.fullmatch(expression, subject))


@given(st.lists(TOKENS, max_size=4).map(".".join), st.lists(TOKENS, max_size=4).map(".".join), SUBJECTS)
def test_a_denial_never_gives_a_right_and_a_permission_never_takes_one(one: str, other: str, subject: str) -> None:
    def allowed(allow: tuple[str, ...], deny: tuple[str, ...]) -> bool:
        return allows_to_publish(parse(allow, deny), subject)

    assert allowed((one,), (other,)) <= allowed((one,), ())
    assert allowed((one,), ()) <= allowed((one, other), ())
    assert not allowed((one,), (one,))


def parse(allow: tuple[str, ...], deny: tuple[str, ...]) -> UserJwt:
    return UserJwt(
        user="",
        user_key=bytes(32),
        issuer="",
        account="",
        issued_s=0,
        expires_s=0,
        bearer=False,
        may_publish=allow,
        may_not_publish=deny,
    )
