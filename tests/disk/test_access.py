"""Secrets are safe from other users, or refused with the mode, the owner and the command that mends it."""

import os
from pathlib import Path

import pytest

from ikto_core.disk import access
from ikto_core.disk.access import change_fault, secret_fault, trusted_users

USER, OTHER = 1000, 1001


@pytest.fixture(params=[0, USER], ids=["root", "user"])
def user(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.delenv("SUDO_UID", raising=False)
    uid: int = request.param
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    return uid


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700, 0o711])
def test_a_file_of_root_or_the_user_that_nobody_else_reads_is_safe(user: int, mode: int) -> None:
    assert secret_fault("f", mode, user) is None
    assert secret_fault("f", mode, 0) is None


@pytest.mark.parametrize(("mode", "what"), [(0o644, "read"), (0o604, "read"), (0o620, "change"), (0o666, "change")])
def test_a_file_that_others_read_or_change_is_not(user: int, mode: int, what: str) -> None:
    for owner in (0, user):
        fault = secret_fault("/f", mode, owner)
        assert fault == (f"has mode {mode:04o}, which lets other users {what} it", "chmod 600 /f")


@pytest.mark.parametrize("mode", [0o640, 0o440])
def test_the_group_may_read_a_file_of_root_only_if_the_agent_needs_it(user: int, mode: int) -> None:
    """Kubernetes gives a secret to a user other than root in this way."""
    assert bool(secret_fault("f", mode, 0)) == (user == 0)
    assert secret_fault("f", mode, user)


def test_a_file_of_another_user_is_not_safe(user: int) -> None:
    fault = secret_fault("/f", 0o600, OTHER)
    assert fault
    assert fault.wrong == f"belongs to {access.user_name(OTHER)}, not to root or this user"
    assert fault.command.startswith("chown root /f" if user == 0 else "chown ")


def test_root_trusts_the_user_who_ran_sudo_and_no_other_user_asks() -> None:
    assert trusted_users(0, {"SUDO_UID": "1000"}) == {0, USER}
    assert trusted_users(USER, {"SUDO_UID": "1001"}) == {0, USER}
    assert trusted_users(0, {"SUDO_UID": "x"}) == trusted_users(0, {}) == {0}


def test_others_may_read_what_is_no_secret_and_not_change_it() -> None:
    assert change_fault("f", 0o644) is None
    assert change_fault("/f", 0o664) == ("has mode 0664, which lets other users change it", "chmod go-w /f")


def test_a_credential_of_systemd_may_have_the_mode_that_systemd_gives_it(
    user: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, beside = tmp_path / "key", tmp_path.parent / "key"
    assert bool(secret_fault(inside, 0o440, 0, refused=0o077)) == (user == 0)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert secret_fault(inside, 0o440, 0, refused=0o077) is None
    assert bool(secret_fault(beside, 0o440, 0, refused=0o077)) == (user == 0)
    assert secret_fault(inside, 0o444, 0, refused=0o077)
    assert secret_fault(inside, 0o440, OTHER, refused=0o077)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "")
    assert bool(secret_fault(inside, 0o440, 0, refused=0o077)) == (user == 0)
