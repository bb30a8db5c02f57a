"""A user that the account revokes loses its right, at once and over restarts, and a broken file changes nothing."""

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from ikto_core.claim import revoked_users
from ikto_core.claim.revoked_users import RevokedUsers
from ikto_core.errors import ConfigError
from ikto_core.lab.memory_bucket import MemoryBucket
from tests.claim.test_entitled_mesh import EXPIRING, bucket, creds, names, node, restarted, saved
from tests.claim.test_node_user import ACCOUNT
from tests.entitled import entitled
from tests.samples import KEY, record
from tests.store.credentials import OPERATOR, USER, Nkey

__all__ = ["bucket", "creds"]

OWNER, REVOKED = Nkey(OPERATOR), Nkey(USER)
VICTIM = record("10.0.0.64/28", KEY, "revoked")
REVOCATIONS = {REVOKED.public: time.time() + 1e6}
"""The JWTs that the tests issue are older than that."""


def write(path: Path, revocations: Mapping[str, float]) -> Path:
    path.write_text(OWNER.jwt(ACCOUNT.key, {"type": "account", "revocations": dict(revocations)}) + "\n")
    path.chmod(0o644)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "account.jwt", REVOCATIONS)


async def test_the_record_of_a_revoked_user_is_refused(bucket: MemoryBucket, tmp_path: Path, creds: Path) -> None:
    bucket.write(VICTIM.key, entitled(VICTIM, 2, ACCOUNT, user=REVOKED))
    async with node(bucket, tmp_path, creds).running() as own:
        assert names(own) == {"revoked", "expiring"}
        own.desired_state.revoke(REVOCATIONS)
        assert names(own) == {"expiring"}
        assert own.controller.view.quarantined[VICTIM.key].reason == "its user JWT is revoked"
        bucket.write(VICTIM.key, entitled(VICTIM, 3, ACCOUNT, user=REVOKED))
        assert names(own) == {"expiring"}
        bucket.write(VICTIM.key, entitled(VICTIM, 4, ACCOUNT))
        assert names(own) == {"revoked", "expiring"}, "its owner has another user now"


async def test_a_revoked_user_is_not_restored_from_the_snapshot(
    bucket: MemoryBucket, tmp_path: Path, creds: Path
) -> None:
    bucket.write(VICTIM.key, entitled(VICTIM, 2, ACCOUNT, user=REVOKED))
    snapshot = await saved(bucket, tmp_path, creds)
    assert snapshot.entries.keys() == {VICTIM.key, EXPIRING.key}
    own = restarted(bucket, tmp_path, creds, snapshot, REVOCATIONS)
    assert names(own) == {"expiring"}


def test_the_file_gives_the_revocations(path: Path) -> None:
    found: list[Mapping[str, float]] = []
    RevokedUsers(str(path), ACCOUNT.key.public, found.append).read()
    assert found == [REVOCATIONS]


@pytest.mark.parametrize(
    "content",
    ["", "é", "x.y.z", OWNER.jwt(Nkey(0), {"type": "account"})],
    ids=["empty", "not ASCII", "junk", "another account"],
)
def test_a_file_that_is_not_the_accounts_jwt_is_an_error(path: Path, content: str) -> None:
    path.write_text(content)
    with pytest.raises(ConfigError, match=f"nats_account_jwt: {path}: the JWT is"):
        RevokedUsers(str(path), ACCOUNT.key.public, lambda _: None).read()


def break_file(path: Path) -> None:
    path.write_text("half of it")


async def test_the_file_is_watched_and_a_broken_one_is_logged_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revoked_users, "RELOAD_EVERY_S", 0)
    found: list[Mapping[str, float]] = []
    watched = RevokedUsers(str(path), ACCOUNT.key.public, found.append)
    with capture_logs() as logs:
        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(watched.watch())
            break_file(path)
            while not logs:
                await asyncio.sleep(0)
            for _ in range(9):
                await asyncio.sleep(0)
            write(path, {})
            while {} not in found:
                await asyncio.sleep(0)
            watching.cancel()
    assert [entry["event"] for entry in logs] == ["revocations not read"]
