"""A node's creds file shows its right in its records, is read again when it changes, and warns before it expires."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from structlog.testing import capture_logs

from ikto_core.claim import node_user
from ikto_core.claim.node_user import WARN_BEFORE_S, WARN_EVERY_S, NodeUser
from ikto_core.claim.saved_claim import SavedClaim
from ikto_core.claim.signing import RecordSigner
from ikto_core.disk.state_file import StateFile
from ikto_core.errors import NatsDeniedError
from ikto_core.lab.agent_process import write_private
from ikto_core.mesh.proofs import judge
from ikto_core.mesh.records import PeerRecord, decode_record
from ikto_core.mesh.rights import Authority, stored_subject
from tests.claim.test_saved_claim import NODE
from tests.entitled import BUCKET, Account
from tests.samples import OWN_KEY, PRIVATE_KEYS, record
from tests.store.credentials import USER, Nkey, creds_file

ACCOUNT, OTHER_ACCOUNT = Account(), Account()
USER_KEY = Nkey(USER)
RECORD = record("10.0.0.16/28", OWN_KEY)
ALLOWED = [stored_subject(BUCKET, RECORD.key)]


def write(path: Path, jwt: str, seed: str = USER_KEY.seed) -> Path:
    path.unlink(missing_ok=True)
    write_private(path, creds_file(jwt, seed))
    return path


def user(path: Path, authority: Authority | None = ACCOUNT.authority) -> NodeUser:
    found = NodeUser(str(path), BUCKET, authority)
    found.reload()
    return found


def sign(found: NodeUser | None, state_dir: Path, signed: PeerRecord = RECORD) -> bytes:
    saved_claim = SavedClaim(NODE, OWN_KEY, StateFile(state_dir))
    return RecordSigner(PRIVATE_KEYS[0], BUCKET, saved_claim, Random(1), user=found).value(signed)


@pytest.mark.parametrize("authority", [ACCOUNT.authority, None], ids=["needed", "not needed"])
def test_a_record_shows_the_right_also_before_records_need_one(tmp_path: Path, authority: Authority | None) -> None:
    """So that all nodes show theirs before the first of them requires it."""
    found = user(write(tmp_path / "creds", ACCOUNT.jwt(USER_KEY, ALLOWED)), authority)
    value = sign(found, tmp_path)
    assert judge(BUCKET, RECORD.key, value, authority=ACCOUNT.authority).proof
    assert decode_record(RECORD.key, value).user_jwt == found.jwt


NO_RIGHT: dict[str, tuple[Callable[[], str], str]] = {
    "of another account": (lambda: OTHER_ACCOUNT.jwt(USER_KEY, ALLOWED), "is of account"),
    "of an unknown signing key": (lambda: ACCOUNT.jwt(USER_KEY, ALLOWED, by=Nkey(0)), "does not name"),
    "without the permission": (
        lambda: ACCOUNT.jwt(USER_KEY, ["x"]),
        "does not allow to publish on $KV.ikto-mesh.peers",
    ),
    "a bearer token": (lambda: ACCOUNT.jwt(USER_KEY, ALLOWED, bearer_token=True), "is a bearer token, which is secret"),
    "of another user": (lambda: ACCOUNT.jwt(Nkey(USER), ALLOWED), "is of another user than the seed"),
    "too long": (lambda: ACCOUNT.jwt(USER_KEY, ["x" * 9000]), "has more than 8192 characters"),
}


@pytest.mark.parametrize(("jwt", "reason"), NO_RIGHT.values(), ids=NO_RIGHT)
def test_a_record_that_others_would_refuse_is_not_written(tmp_path: Path, jwt: Callable[[], str], reason: str) -> None:
    found = user(write(tmp_path / "creds", jwt()))
    with pytest.raises(NatsDeniedError, match="refuse this node's record: the user JWT") as raised:
        sign(found, tmp_path)
    assert reason in str(raised.value)
    problem = found.problem(RECORD.key)
    assert problem
    assert (str(problem), problem.exit_code) == (str(raised.value), 8)


@pytest.mark.parametrize("case", ["a bearer token", "of another user", "too long"])
def test_a_jwt_that_must_not_be_published_is_not_where_none_is_needed(tmp_path: Path, case: str) -> None:
    found = user(write(tmp_path / "creds", NO_RIGHT[case][0]()), None)
    assert (found.jwt, found.problem(RECORD.key)) == ("", None)
    assert b"user_" not in sign(found, tmp_path)


def test_without_a_creds_file_there_is_no_right_and_none_is_shown(tmp_path: Path) -> None:
    missing = user(tmp_path / "missing")
    assert (str(missing.problem(None))[-28:], missing.is_read) == ("nats_creds could not be read", False)
    with pytest.raises(NatsDeniedError):
        sign(missing, tmp_path)
    empty = NodeUser("", BUCKET, ACCOUNT.authority)
    assert (empty.reload(), empty.is_read) == (False, True)
    assert "record_trust requires nats_creds" in str(empty.problem(None))
    assert b"user_" not in sign(None, tmp_path)


def test_a_renewed_file_is_noticed_and_a_broken_one_changes_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "creds", ACCOUNT.jwt(USER_KEY, ALLOWED, 1e9))
    found = user(path)
    before = found.jwt
    assert not found.reload()
    path.write_text("half of it")
    assert not found.reload()
    assert (found.jwt, found.expires_s, found.problem(RECORD.key)) == (before, 1e9, None)
    write(path, ACCOUNT.jwt(USER_KEY, ALLOWED, 2e9))
    assert found.reload()
    assert (found.jwt == before, found.expires_s) == (False, 2e9)


def test_the_log_warns_a_week_before_the_credentials_expire_and_once_a_day(tmp_path: Path) -> None:
    found = user(write(tmp_path / "creds", ACCOUNT.jwt(USER_KEY, ALLOWED, 2e9)))
    first = 2e9 - WARN_BEFORE_S + 1
    with capture_logs() as logs:
        for now in (first - 2, first, first + 60, first + WARN_EVERY_S, 2e9 + 1e6):
            found.warn(now)
    assert [entry["event"] for entry in logs] == ["NATS credentials expire soon"] * 3
    assert logs[0]["expires"] == "2033-05-18 03:33:20 UTC"
    assert (found.expires_soon(first - 2), found.expires_soon(first), found.expires_soon(2e9 + 1)) == (
        False,
        True,
        True,
    )
    endless = user(write(tmp_path / "creds", ACCOUNT.jwt(USER_KEY, ALLOWED)))
    assert not endless.expires_soon(1e12)


async def test_the_file_is_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_user, "RELOAD_EVERY_S", 0)
    path = write(tmp_path / "creds", ACCOUNT.jwt(USER_KEY, ALLOWED))
    found, changed = user(path), asyncio.Event()
    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(found.watch(changed.set))
        write(path, ACCOUNT.jwt(USER_KEY, ALLOWED, time.time() + 1e6))
        await changed.wait()
        watching.cancel()
