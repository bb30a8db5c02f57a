"""What an agent keeps is kept whole or not at all, and whatever it finds instead never stops it."""

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs
from structlog.typing import EventDict

from ikto_core.disk.atomic_file import replace_file
from ikto_core.disk.state_file import INSTANCES_KEPT, Claim, SavedState, StateFile
from ikto_core.errors import ConfigError
from ikto_core.lab.unprivileged import as_nobody

CLAIM = Claim(
    private_address="fd10:1::1", mesh_cidr="fd10::/16", subnet_prefix=48, public_key="our key", bucket="ikto-mesh"
)
KEPT = SavedState(claim=CLAIM, instances=("1a", "2b"))
OTHER = SavedState(instances=("3c",))
GOOD = msgspec.json.encode(KEPT)
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


def changed(**members: object) -> bytes:
    return msgspec.json.encode({**msgspec.to_builtins(KEPT), **members})


def claim(**members: object) -> bytes:
    return changed(claim={**msgspec.to_builtins(CLAIM), **members})


def test_what_was_saved_is_loaded_by_the_next_run(file: StateFile) -> None:
    file.save(OTHER)
    file.save(KEPT)
    assert StateFile(file.path.parent).load() == KEPT
    assert listing(file) == ["state.json"]


def test_where_nothing_was_kept_nothing_is_loaded_made_or_reported(file: StateFile, logs: list[EventDict]) -> None:
    assert file.load() == SavedState()
    assert not file.path.parent.exists()
    assert logs == []


def test_file_and_directory_are_their_owners_alone(file: StateFile) -> None:
    before = os.umask(0)
    try:
        file.save(KEPT)
    finally:
        os.umask(before)
    assert file.path.stat().st_mode & 0o7777 == 0o600
    assert file.path.parent.stat().st_mode & 0o7777 == 0o700


def test_members_of_a_later_version_that_says_it_is_compatible_are_ignored(file: StateFile) -> None:
    file.save(KEPT)
    file.path.write_bytes(changed(later={"deep": [1]}))
    assert file.load() == KEPT


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(GOOD[:-9], id="truncated"),
        pytest.param(bytes(4096), id="zeros, as after a power cut"),
        pytest.param(b"\xff\xfe" + GOOD, id="not UTF-8"),
        pytest.param(b"[]", id="not an object"),
        pytest.param(changed(version=2), id="a newer version"),
        pytest.param(changed(instances=[1]), id="instances of a wrong type"),
        pytest.param(claim(subnet_prefix="48"), id="a member of a wrong type"),
        pytest.param(claim(private_address="fd10:1::1/48"), id="no address"),
        pytest.param(claim(private_address="fd11::1"), id="an address outside the mesh"),
        pytest.param(claim(subnet_prefix=129), id="a prefix length out of range"),
        pytest.param(claim(subnet_prefix=8), id="a subnet larger than the mesh"),
        pytest.param(claim(mesh_cidr="all"), id="no mesh"),
        pytest.param(changed(keys=["a"]), id="keys that are none"),
        pytest.param(BOMB, id="a nested bomb"),
        pytest.param(GOOD[:-1] + b',"later":' + BOMB, id="a nested bomb in an unknown member"),
    ],
)
def test_an_unreadable_file_is_set_aside_and_reported(file: StateFile, logs: list[EventDict], content: bytes) -> None:
    file.save(KEPT)
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


def test_a_directory_in_the_files_place_is_set_aside(file: StateFile) -> None:
    file.path.mkdir(parents=True)
    assert file.load() == SavedState()
    file.save(KEPT)
    assert file.load() == KEPT


def test_a_file_in_the_directorys_place_is_told_and_left_alone(file: StateFile, logs: list[EventDict]) -> None:
    file.path.parent.write_text("not a directory")
    with pytest.raises(ConfigError, match=r"state_dir: .* can't be read"):
        file.load()
    file.save(KEPT)
    assert file.path.parent.read_text() == "not a directory"
    assert [report["event"] for report in logs][-1] == "state not kept"


def test_a_directory_that_is_closed_to_us_is_reported_and_loses_nothing(file: StateFile, logs: list[EventDict]) -> None:
    file.save(KEPT)
    file.path.parent.chmod(0o000)
    with as_nobody():
        file.save(OTHER)
        with pytest.raises(ConfigError, match="Permission denied"):  # whatever it holds, it is not to be given up
            file.load()
    file.path.parent.chmod(0o700)
    assert "Permission denied" in logs[0]["error"]
    assert file.load() == KEPT


@pytest.mark.parametrize("call", ["os.fsync", "pathlib.Path.replace", "os.open"])
def test_a_save_that_fails_is_reported_leaves_the_old_state_and_nothing_beside_it(
    file: StateFile, logs: list[EventDict], call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    file.save(KEPT)
    with monkeypatch.context() as broken:
        broken.setattr(call, full)
        file.save(OTHER)
    assert file.load() == KEPT
    assert listing(file) == ["state.json"]
    (report,) = logs
    assert report["event"] == "state not kept"
    assert "No space left on device" in report["error"]


class KilledError(BaseException):
    """Ends a write as kill -9 does: nothing of ours runs afterwards."""


def test_a_save_that_is_killed_leaves_the_old_state_and_the_next_one_tidies_up(
    file: StateFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KilledError

    file.save(KEPT)
    with monkeypatch.context() as broken:
        broken.setattr(Path, "replace", killed)
        with pytest.raises(KilledError):
            file.save(OTHER)
    assert StateFile(file.path.parent).load() == KEPT
    assert len(listing(file)) == 2
    file.save(OTHER)
    assert file.load() == OTHER
    assert listing(file) == ["state.json"]


def test_new_content_is_on_disk_before_it_takes_the_name_and_the_name_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    fsync, rename = os.fsync, Path.replace

    def noted_fsync(descriptor: int) -> None:
        calls.append(f"sync {Path(f'/proc/self/fd/{descriptor}').readlink().name}")
        fsync(descriptor)

    def noted_rename(path: Path, target: Path) -> None:
        calls.append(f"rename {path.name} {target.name}")
        rename(path, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "replace", noted_rename)
    replace_file(tmp_path / "a", b"x")
    assert calls == ["sync .a.new", "rename .a.new a", f"sync {tmp_path.name}"]


def test_what_lies_in_the_way_of_a_replacement_is_not_written_through(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("precious")
    (tmp_path / ".a.new").symlink_to(elsewhere)
    replace_file(tmp_path / "a", b"x")
    assert elsewhere.read_text() == "precious"
    assert (tmp_path / "a").read_bytes() == b"x"


def test_a_claim_adds_its_run_once_as_the_latest() -> None:
    kept = KEPT.begun("1a").claimed(replace(CLAIM, private_address="fd10:2::1"))
    assert kept.instances == ("2b", "1a")
    assert kept.claim == replace(CLAIM, private_address="fd10:2::1")


def test_only_the_latest_runs_are_kept() -> None:
    kept = SavedState()
    for run in range(INSTANCES_KEPT + 5):
        kept = kept.begun(str(run))
    assert kept.instances == tuple(str(run) for run in range(5, INSTANCES_KEPT + 5))
