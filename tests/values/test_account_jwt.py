"""The JWT of an account says which users it has revoked, and until when their JWTs had to be issued for that."""

from typing import Any

import pytest

from ikto_core.values.account_jwt import EVERYBODY, is_revoked, parse_revocations
from ikto_core.values.nats_jwt import JwtError
from tests.store.credentials import ACCOUNT, OPERATOR, USER, Nkey

OWNER, MESH, NODE = Nkey(OPERATOR), Nkey(ACCOUNT), Nkey(USER)


def jwt(by: Nkey = OWNER, subject: Nkey = MESH, **claims: Any) -> str:
    return by.jwt(subject, {"type": "account"} | claims)


def test_revocations_are_read_and_there_may_be_none() -> None:
    assert parse_revocations(jwt(revocations={NODE.public: 7, EVERYBODY: 5}), MESH.public) == {NODE.public: 7, "*": 5}
    assert parse_revocations(jwt(), MESH.public) == {}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("", "is not a JWT", id="empty"),
        pytest.param(jwt(subject=Nkey(ACCOUNT)), "is of account", id="another account"),
        pytest.param(jwt(by=MESH), "is not a JWT of NATS: this is not the public key of a NATS operator", id="self"),
        pytest.param(jwt(type="user"), "is not the JWT of a NATS account", id="a user's"),
        pytest.param(jwt(revocations=[]), "is not the JWT of a NATS account", id="a list of revocations"),
        pytest.param(jwt()[:-4] + "AAAA", "is not signed by its issuer", id="changed"),
        pytest.param(jwt(x=[[]] * 10_000), "has more than 10000 opening brackets", id="deep"),
        pytest.param(jwt(x="x" * 2**20), "has more than 1048576 characters", id="large"),
    ],
)
def test_what_is_not_the_accounts_jwt_is_refused(text: str, reason: str) -> None:
    with pytest.raises(JwtError, match=reason):
        parse_revocations(text, MESH.public)


@pytest.mark.parametrize(
    ("revocations", "revoked"),
    [
        ({}, False),
        ({"other": 9}, False),
        ({"user": 6}, False),
        ({"user": 7}, True),
        ({"*": 7}, True),
        ({"*": 6, "user": 8}, True),
        ({"*": 8, "user": 6}, True),
    ],
)
def test_a_jwt_that_was_issued_later_is_not_revoked(revocations: dict[str, float], revoked: bool) -> None:
    assert is_revoked(revocations, "user", 7) is revoked
