"""The state file is saved completely or not at all, and a damaged file never stops an agent."""

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs
from structlog.typing import EventDict

from ikto_core.disk.atomic_file import replace_file
from ikto_core.disk.state_file import MAX_INSTANCES, Claim, SavedState, StateFile
from ikto_core.errors import ConfigError
from ikto_core.lab.unprivileged import as_nobody

CLAIM = Claim(
    private_address="fd10:1::1", mesh_cidr="fd10::/16", subnet_prefix=48, public_key="own key", bucket="ikto-mesh"
)
STATE = SavedState(claim=CLAIM, instances=("1a", "2b"))
OTHER = SavedState(instances=("3c",))
GOOD = msgspec.json.encode(STATE)
BOMB = b"[" * 100_000


@pytest.fixture
def file(tmp_path: Path) -> StateFile:
    return StateFile(tmp_path / "state")


@pytest.fixture
def logs() -> Iterator[list[EventDict]]:
    with capture_logs() as logs:
        yield logs


def listing(file: StateFile) -> list[str]:
    return sorted(path.name for path in file.path.parent.iterdir())


def with_fields(**members: object) -> bytes:
    return msgspec.json.encode({**msgspec.to_builtins(STATE), **members})


def with_claim_fields(**members: object) -> bytes:
    return with_fields(claim={**msgspec.to_builtins(CLAIM), **members})


def test_a_saved_state_is_loaded_by_the_next_run(file: StateFile) -> None:
    file.save(OTHER)
    file.save(STATE)
    assert StateFile(file.path.parent).load() == STATE
    assert listing(file) == ["state.json"]


def test_without_a_file_nothing_is_loaded_created_or_logged(file: StateFile, logs: list[EventDict]) -> None:
    assert file.load() == SavedState()
    assert not file.path.parent.exists()
    assert logs == []


def test_file_and_directory_are_accessible_to_their_owner_only(file: StateFile) -> None:
    before = os.umask(0)
    try:
        file.save(STATE)
    finally:
        os.umask(before)
    assert file.path.stat().st_mode & 0o7777 == 0o600
    assert file.path.parent.stat().st_mode & 0o7777 == 0o700


def test_unknown_fields_of_the_same_version_are_ignored(file: StateFile) -> None:
    file.save(STATE)
    file.path.write_bytes(with_fields(later={"deep": [1]}))
    assert file.load() == STATE


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(GOOD[:-9], id="truncated"),
        pytest.param(bytes(4096), id="zeros, as after a power cut"),
        pytest.param(b"\xff\xfe" + GOOD, id="not UTF-8"),
        pytest.param(b"[]", id="not an object"),
        pytest.param(with_fields(version=2), id="a newer version"),
        pytest.param(with_fields(instances=[1]), id="instances of a wrong type"),
        pytest.param(with_claim_fields(subnet_prefix="48"), id="a field of a wrong type"),
        pytest.param(with_claim_fields(private_address="fd10:1::1/48"), id="an invalid address"),
        pytest.param(with_claim_fields(private_address="fd11::1"), id="an address outside the mesh"),
        pytest.param(with_claim_fields(subnet_prefix=129), id="a prefix length out of range"),
        pytest.param(with_claim_fields(subnet_prefix=8), id="a subnet larger than the mesh"),
        pytest.param(with_claim_fields(mesh_cidr="all"), id="an invalid mesh"),
        pytest.param(with_fields(keys=["a"]), id="invalid keys"),
        pytest.param(BOMB, id="a nested bomb"),
        pytest.param(GOOD[:-1] + b',"later":' + BOMB, id="a nested bomb in an unknown field"),
    ],
)
def test_an_unusable_file_is_set_aside_and_logged(file: StateFile, logs: list[EventDict], content: bytes) -> None:
    file.save(STATE)
    file.path.write_bytes(content)
    assert file.load() == SavedState()
    (aside,) = listing(file)
    assert aside.startswith("state.json.unreadable-")
    assert (file.path.parent / aside).read_bytes() == content
    (report,) = logs
    assert (report["log_level"], report["path"]) == ("error", str(file.path))
    assert report["error"]
    file.save(OTHER)
    assert file.load() == OTHER


def test_a_directory_in_place_of_the_file_is_set_aside(file: StateFile) -> None:
    file.path.mkdir(parents=True)
    assert file.load() == SavedState()
    file.save(STATE)
    assert file.load() == STATE


def test_a_file_in_place_of_the_directory_is_reported_and_left_unchanged(
    file: StateFile, logs: list[EventDict]
) -> None:
    file.path.parent.write_text("not a directory")
    with pytest.raises(ConfigError, match=r"state_dir: .* can't be read"):
        file.load()
    file.save(STATE)
    assert file.path.parent.read_text() == "not a directory"
    assert [report["event"] for report in logs][-1] == "state not saved"


def test_a_directory_without_permissions_is_reported_and_loses_nothing(file: StateFile, logs: list[EventDict]) -> None:
    file.save(STATE)
    file.path.parent.chmod(0o000)
    with as_nobody():
        file.save(OTHER)
        with pytest.raises(ConfigError, match="Permission denied"):  # it may hold a valid claim
            file.load()
    file.path.parent.chmod(0o700)
    assert "Permission denied" in logs[0]["error"]
    assert file.load() == STATE


@pytest.mark.parametrize("call", ["os.fsync", "pathlib.Path.replace", "os.open"])
def test_a_failing_save_is_logged_and_leaves_the_old_state_and_no_other_file(
    file: StateFile, logs: list[EventDict], call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    file.save(STATE)
    with monkeypatch.context() as broken:
        broken.setattr(call, full)
        file.save(OTHER)
    assert file.load() == STATE
    assert listing(file) == ["state.json"]
    (report,) = logs
    assert report["event"] == "state not saved"
    assert "No space left on device" in report["error"]


class KilledError(BaseException):
    """Ends a write as kill -9 does: no cleanup runs afterwards."""


def test_a_killed_save_leaves_the_old_state_and_the_next_save_cleans_up(
    file: StateFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KilledError

    file.save(STATE)
    with monkeypatch.context() as broken:
        broken.setattr(Path, "replace", killed)
        with pytest.raises(KilledError):
            file.save(OTHER)
    assert StateFile(file.path.parent).load() == STATE
    assert len(listing(file)) == 2
    file.save(OTHER)
    assert file.load() == OTHER
    assert listing(file) == ["state.json"]


def test_the_content_is_synced_before_the_rename_and_the_directory_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    fsync, rename = os.fsync, Path.replace

    def recording_fsync(descriptor: int) -> None:
        calls.append(f"sync {Path(f'/proc/self/fd/{descriptor}').readlink().name}")
        fsync(descriptor)

    def recording_rename(path: Path, target: Path) -> None:
        calls.append(f"rename {path.name} {target.name}")
        rename(path, target)

    monkeypatch.setattr(os, "fsync", recording_fsync)
    monkeypatch.setattr(Path, "replace", recording_rename)
    replace_file(tmp_path / "a", b"x")
    assert calls == ["sync .a.new", "rename .a.new a", f"sync {tmp_path.name}"]


def test_a_symlink_at_the_temporary_name_is_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("precious")
    (tmp_path / ".a.new").symlink_to(elsewhere)
    replace_file(tmp_path / "a", b"x")
    assert elsewhere.read_text() == "precious"
    assert (tmp_path / "a").read_bytes() == b"x"


def test_each_run_is_listed_once_and_the_latest_comes_last() -> None:
    state = STATE.with_instance("1a").with_claim(replace(CLAIM, private_address="fd10:2::1"))
    assert state.instances == ("2b", "1a")
    assert state.claim == replace(CLAIM, private_address="fd10:2::1")


def test_only_the_latest_runs_are_kept() -> None:
    state = SavedState()
    for run in range(MAX_INSTANCES + 5):
        state = state.with_instance(str(run))
    assert state.instances == tuple(str(run) for run in range(5, MAX_INSTANCES + 5))
