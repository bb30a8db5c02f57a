"""A shared file is changed atomically, without losing attributes or others' changes, even on a mount point."""

import os
import subprocess
import sys
from fcntl import LOCK_EX, flock
from pathlib import Path
from stat import S_IMODE

import pytest

from ikto_core.builtin.observers import shared_file
from ikto_core.builtin.observers.shared_file import MAX_BYTES, FileBusyError, change_file
from ikto_core.errors import IktoError

ROOT = Path(__file__).parents[2]
needs_mounts = pytest.mark.skipif(
    subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True).returncode != 0,
    reason="needs root, to mount in a private namespace",
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "hosts"
    path.write_bytes(b"old\n")
    return path


def append(content: bytes) -> bytes:
    return content + b"new"


def test_the_file_is_replaced_and_no_temporary_file_is_left(path: Path) -> None:
    with path.open("rb") as reader:
        change_file(path, append)
        assert reader.read() == b"old\n"  # a reader with the file open still sees the old content
    assert path.read_bytes() == b"old\nnew"
    assert list(path.parent.iterdir()) == [path]


def test_mode_and_owner_stay_and_the_time_is_new(path: Path) -> None:
    path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(path, 1234, 4321)
    os.utime(path, (1, 1))
    before = path.stat()
    change_file(path, append)
    after = path.stat()
    assert (S_IMODE(after.st_mode), after.st_uid, after.st_gid) == (0o640, before.st_uid, before.st_gid)
    assert after.st_mtime > 1


def test_extended_attributes_stay(path: Path) -> None:
    try:
        os.setxattr(path, "user.label", b"here")
    except OSError as error:
        pytest.skip(f"this file system has no extended attributes: {error}")
    change_file(path, append)
    assert os.getxattr(path, "user.label") == b"here"


def test_a_symbolic_link_stays_and_its_target_is_changed(path: Path) -> None:
    link = path.with_name("link")
    link.symlink_to("hosts")
    change_file(link, append)
    assert link.is_symlink()
    assert path.read_bytes() == b"old\nnew"


def test_an_unchanged_file_is_not_written(path: Path) -> None:
    before = path.stat()
    change_file(path, bytes)
    assert path.stat() == before


def test_a_temporary_file_of_a_killed_agent_is_replaced(path: Path) -> None:
    path.with_name(".hosts.ikto").write_bytes(b"half")
    change_file(path, append)
    assert list(path.parent.iterdir()) == [path]


def test_a_file_locked_by_another_agent_is_busy(path: Path) -> None:
    with path.open("rb") as file:
        flock(file, LOCK_EX)
        with pytest.raises(FileBusyError):
            change_file(path, append)
    assert path.read_bytes() == b"old\n"
    change_file(path, append)


def test_a_lock_on_a_file_that_was_replaced_meanwhile_is_busy(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lock_too_late(file: int, how: int) -> None:
        path.with_name("other").write_bytes(b"old\n")
        path.with_name("other").replace(path)
        flock(file, how)

    monkeypatch.setattr(shared_file, "flock", lock_too_late)
    with pytest.raises(FileBusyError):
        change_file(path, append)
    assert path.read_bytes() == b"old\n"


def test_a_concurrent_change_is_not_lost(path: Path) -> None:
    def edited(content: bytes) -> bytes:
        path.write_bytes(b"edited\n")
        return append(content)

    with pytest.raises(FileBusyError):
        change_file(path, edited)
    assert path.read_bytes() == b"edited\n"
    assert list(path.parent.iterdir()) == [path]


def test_an_error_while_computing_the_change_leaves_the_file(path: Path) -> None:
    def refuse(_: bytes) -> bytes:
        raise IktoError("no end")

    with pytest.raises(IktoError, match="no end"):
        change_file(path, refuse)
    assert path.read_bytes() == b"old\n"


def test_a_missing_file_and_a_directory_are_errors(path: Path) -> None:
    with pytest.raises(IktoError, match="nowhere: there is no such file") as caught:
        change_file(path.with_name("nowhere"), append)
    assert caught.value.hint
    with pytest.raises(IktoError, match="can't be changed: Is a directory"):
        change_file(path.parent, append)


def test_a_file_that_is_too_large_is_not_read(path: Path) -> None:
    os.truncate(path, MAX_BYTES + 1)
    with pytest.raises(IktoError, match="larger"):
        change_file(path, append)


# -- mount points, as in a container -----------------------------------------------------------------------------------

CHANGE = """
import sys
from pathlib import Path
from ikto_core.builtin.observers import shared_file
from ikto_core.builtin.observers.shared_file import change_file
try:
    change_file(Path(sys.argv[1]), lambda content: eval(sys.argv[2]))
except Exception as error:
    sys.exit(str(error))
"""


def in_mount_namespace(script: str, directory: Path) -> subprocess.CompletedProcess[str]:
    """Run a shell script as root in a private mount namespace; `change PATH CONTENT` calls `change_file`."""
    change = f'change() {{ "{sys.executable}" -c \'{CHANGE}\' "$@"; }}\n'
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", change + script]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


@needs_mounts
@pytest.mark.parametrize(("content", "expected"), [("content + b'new'", b"old\nnew"), ("b'n'", b"n"), ("b''", b"")])
def test_a_mount_point_is_written_in_place(path: Path, content: str, expected: bytes) -> None:
    path.with_name("outside").write_bytes(b"old\n")
    done = in_mount_namespace(f'mount --bind outside hosts; change hosts "{content}"; ls -A', path.parent)
    assert (done.returncode, done.stderr) == (0, "")
    assert path.with_name("outside").read_bytes() == expected
    assert done.stdout.split() == ["hosts", "outside"]


READ_ONLY_DIRECTORY = (
    "mkdir etc; mv hosts outside; touch etc/hosts; mount --bind etc etc; mount --bind outside etc/hosts; "
    "mount -o remount,bind,ro etc; "
)


@needs_mounts
def test_in_a_read_only_directory_the_file_is_written_in_place(path: Path) -> None:
    done = in_mount_namespace(READ_ONLY_DIRECTORY + "change etc/hosts \"b'new'\"", path.parent)
    assert (done.returncode, done.stderr) == (0, "")
    assert path.with_name("outside").read_bytes() == b"new"


@needs_mounts
def test_a_concurrent_change_is_not_lost_when_written_in_place(path: Path) -> None:
    edited = "Path(sys.argv[1]).write_bytes(b'edited') and b'new'"
    done = in_mount_namespace(f'{READ_ONLY_DIRECTORY} change etc/hosts "{edited}"', path.parent)
    assert "another process is writing it" in done.stderr
    assert path.with_name("outside").read_bytes() == b"edited"


@needs_mounts
def test_a_read_only_file_is_an_error(path: Path) -> None:
    done = in_mount_namespace(
        "mount --bind hosts hosts; mount -o remount,bind,ro hosts; change hosts \"b'new'\"", path.parent
    )
    assert "hosts: can't be changed: Read-only file system" in done.stderr
    assert path.read_bytes() == b"old\n"


@needs_mounts
def test_on_a_full_disk_the_old_content_is_restored(path: Path) -> None:
    script = (
        "mkdir small; mount -t tmpfs -o size=8k none small; echo precious > small/hosts; "
        "mount --bind small/hosts hosts; change hosts \"b'x' * 40960\" || true; cat hosts; wc -c < hosts"
    )
    done = in_mount_namespace(script, path.parent)
    assert "can't be changed: No space left on device" in done.stderr
    assert done.stdout.split() == ["precious", "9"]
