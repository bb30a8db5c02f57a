"""A snapshot is loaded completely or not at all, and a damaged file never stops an agent."""

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from msgspec.structs import replace
from structlog.testing import capture_logs
from structlog.typing import EventDict

from ikto_core.disk.mesh_snapshot import MeshSnapshot, SnapshotFile
from ikto_core.disk.state_file import Claim
from ikto_core.lab.unprivileged import as_nobody
from ikto_core.mesh.view import Entry, MeshRules, MeshView
from ikto_core.values.position import Position
from tests.mesh.test_view_properties import BATCHES, SOME_RULES, Change, numbered
from tests.samples import KEY, OWN_KEY, entries_of, record

CLAIM = Claim(
    private_address="10.0.0.18", mesh_cidr="10.0.0.0/24", subnet_prefix=28, public_key=OWN_KEY.text, bucket="ikto-mesh"
)
SNAPSHOT = MeshSnapshot(
    claim=CLAIM, stream="2026-01-01", revision=7, saved_at=1.5e9, entries=entries_of(record("10.0.0.64/28", KEY))
)
BOMB = b"[" * 100_000


@pytest.fixture
def file(tmp_path: Path) -> SnapshotFile:
    return SnapshotFile(tmp_path / "state")


@pytest.fixture
def logs() -> Iterator[list[EventDict]]:
    with capture_logs() as logs:
        yield logs


def with_header(body: bytes, version: int = 1) -> bytes:
    """Return a file with this body and a valid header."""
    return b'{"version":%d,"sha256":"%s"}\n%s' % (version, hashlib.sha256(body).hexdigest().encode(), body)


def with_fields(**members: object) -> bytes:
    return with_header(msgspec.json.encode({**msgspec.to_builtins(SNAPSHOT), **members}))


POSITION = Position(created="2026-01-01", first_revision=1, first_time="then", revision=7)


def with_bucket(**others: object) -> bytes:
    return with_fields(position=msgspec.to_builtins(POSITION), others=others)


BODY = msgspec.json.encode(SNAPSHOT)
GOOD = with_header(BODY)


def test_a_saved_snapshot_is_loaded_by_the_next_run(file: SnapshotFile) -> None:
    file.save(replace(SNAPSHOT, entries={}))
    assert file.save(SNAPSHOT) == file.path.stat().st_size == len(GOOD)
    assert SnapshotFile(file.path.parent).load() == SNAPSHOT
    assert [path.name for path in file.path.parent.iterdir()] == ["mesh"]
    assert file.path.stat().st_mode & 0o7777 == 0o600


def test_a_bucket_is_loaded_as_it_was_and_its_accepted_records_are_saved_once(file: SnapshotFile) -> None:
    """A pinned record counts, and the bucket has another one, or none, under its KV key."""
    accepted = {f"peers.{number}": Entry(number, bytes(300), "then") for number in range(1, 101)}
    table = accepted | {"peers.7": Entry(200, b"robbed"), "mesh": Entry(201, b"{}"), "peers.gone": Entry(202, None)}
    del table["peers.8"]
    plain = replace(SNAPSHOT, entries=accepted)
    snapshot = plain.with_bucket(table, replace(POSITION, revision=202))
    size = file.save(snapshot)
    loaded = file.load()
    assert loaded
    assert loaded.entries == accepted
    assert (loaded.table, loaded.position) == (table, snapshot.position)
    assert size < 1.02 * file.save(plain)


def test_a_bucket_full_of_junk_is_not_saved(file: SnapshotFile) -> None:
    """The snapshot has the accepted records all the same."""
    junk = {f"junk.{number}": Entry(number, bytes(2**20)) for number in range(8, 25)}
    snapshot = SNAPSHOT.with_bucket({**SNAPSHOT.entries, **junk}, replace(POSITION, revision=25))
    assert (snapshot.position, snapshot.entries) == (None, SNAPSHOT.entries)
    assert file.save(snapshot) < 1000


def test_a_snapshot_of_an_earlier_version_has_no_bucket(file: SnapshotFile) -> None:
    members = msgspec.to_builtins(SNAPSHOT)
    body = msgspec.json.encode({key: members[key] for key in members.keys() - {"position", "others", "absent"}})
    file.path.parent.mkdir(parents=True)
    file.path.write_bytes(with_header(body, version=2))
    assert file.load() == SNAPSHOT
    assert SNAPSHOT.position is None


def test_without_a_file_nothing_is_loaded_created_or_logged(file: SnapshotFile, logs: list[EventDict]) -> None:
    assert file.load() is None
    assert not file.path.parent.exists()
    assert logs == []


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(GOOD[:-9], id="truncated"),
        pytest.param(bytes(4096), id="zeros, as after a power cut"),
        pytest.param(GOOD[:-200] + bytes(200), id="zeros at the end"),
        pytest.param(GOOD.replace(b'"revision":7', b'"revision":8'), id="one digit changed"),
        pytest.param(GOOD + b" ", id="extra content at the end"),
        pytest.param(BODY, id="without a header"),
        pytest.param(with_header(BODY, version=3), id="a newer version"),
        pytest.param(b'{"version":3}\nwhatever', id="a newer version in another format"),
        pytest.param(with_header(b"[]"), id="not an object"),
        pytest.param(with_header(BOMB), id="a nested bomb"),
        pytest.param(BOMB, id="a nested bomb as header"),
        pytest.param(with_fields(entries=[]), id="entries of a wrong type"),
        pytest.param(with_fields(entries={"a": {"revision": 1, "value": "!"}}), id="a value that is not base64"),
        pytest.param(with_fields(claim={**msgspec.to_builtins(CLAIM), "subnet_prefix": 129}), id="an impossible claim"),
        pytest.param(with_fields(proved=["peers.x"]), id="a pin without a record"),
        pytest.param(with_bucket(other=msgspec.to_builtins(Entry(8, b""))), id="a revision after the bucket's"),
        pytest.param(with_bucket(other=msgspec.to_builtins(Entry(0, b""))), id="a revision before the first"),
        pytest.param(with_bucket(one={"revision": 3, "value": ""}, two={"revision": 3, "value": ""}), id="one twice"),
        pytest.param(with_fields(position={"created": "x"}), id="a position without a revision"),
    ],
)
def test_an_unusable_file_is_set_aside_and_logged(file: SnapshotFile, logs: list[EventDict], content: bytes) -> None:
    file.save(SNAPSHOT)
    file.path.write_bytes(content)
    assert file.load() is None
    (aside,) = file.path.parent.iterdir()
    assert aside.name.startswith("mesh.unreadable-")
    assert aside.read_bytes() == content
    (report,) = logs
    assert (report["log_level"], report["path"]) == ("error", str(file.path))
    assert report["error"]
    file.save(SNAPSHOT)
    assert file.load() == SNAPSHOT


def test_a_directory_in_place_of_the_file_is_set_aside(file: SnapshotFile) -> None:
    file.path.mkdir(parents=True)
    assert file.load() is None
    file.save(SNAPSHOT)
    assert file.load() == SNAPSHOT


def test_a_file_without_read_permission_is_logged_and_stays(file: SnapshotFile, logs: list[EventDict]) -> None:
    file.save(SNAPSHOT)
    file.path.parent.chmod(0o000)
    with as_nobody():
        assert file.load() is None
        with pytest.raises(PermissionError):
            file.save(replace(SNAPSHOT, revision=8))
    file.path.parent.chmod(0o700)
    assert file.load() == SNAPSHOT
    (report,) = logs
    assert "Permission denied" in report["error"]


@pytest.mark.parametrize("call", ["os.fsync", "pathlib.Path.replace", "os.open"])
def test_a_failing_write_leaves_the_old_snapshot(
    file: SnapshotFile, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    file.save(SNAPSHOT)
    with monkeypatch.context() as broken:
        broken.setattr(call, full)
        with pytest.raises(OSError, match="No space left"):
            file.save(replace(SNAPSHOT, revision=8))
    assert file.load() == SNAPSHOT
    assert [path.name for path in file.path.parent.iterdir()] == ["mesh"]


ON_A_SMALL_DISK = """
import sys
from errno import ENOSPC
from pathlib import Path
from tests.disk.test_mesh_snapshot import SNAPSHOT, SnapshotFile, larger
directory = Path(sys.argv[1])
file = SnapshotFile(directory)
file.save(SNAPSHOT)
try:
    file.save(larger(SNAPSHOT))
except OSError as error:
    assert error.errno == ENOSPC, error
else:
    raise SystemExit("64 KB fit on a disk of 16 KB")
assert file.load() == SNAPSHOT
assert [path.name for path in directory.iterdir()] == ["mesh"]
"""


def larger(snapshot: MeshSnapshot) -> MeshSnapshot:
    return replace(snapshot, entries={str(number): Entry(number, bytes(1024)) for number in range(64)})


def test_a_full_disk_leaves_the_old_snapshot(tmp_path: Path) -> None:
    """The disk is a tmpfs of four pages in a mount namespace of its own."""
    mounted = ["unshare", "--mount", "sh", "-ec", f'mount -t tmpfs -o size=16k none {tmp_path}; exec "$@"', "sh"]
    if subprocess.run([*mounted, "true"], capture_output=True, check=False).returncode:
        pytest.skip("can't create a mount namespace here: needs root")
    command = [*mounted, sys.executable, "-c", ON_A_SMALL_DISK, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []


@given(SOME_RULES, BATCHES)
def test_the_records_of_a_snapshot_are_accepted_again_and_give_the_same_peers(
    rules: MeshRules, batches: list[list[Change]]
) -> None:
    view, table = MeshView(rules), dict[str, Entry]()
    for changes in numbered(batches):
        view.update(changes)
        table |= changes
    snapshot = replace(SNAPSHOT, entries={key: table[key] for key in view.accepted})
    again = MeshView(rules)
    again.update(msgspec.json.decode(msgspec.json.encode(snapshot), type=MeshSnapshot).entries)
    assert again.peers == view.peers
    assert again.quarantined == {}


def test_snapshots_that_differ_only_in_revision_and_time_have_the_same_content() -> None:
    assert replace(SNAPSHOT, revision=8, saved_at=2e9).same_content_as(SNAPSHOT)
    assert SNAPSHOT.with_bucket({}, POSITION).same_content_as(SNAPSHOT.with_bucket(SNAPSHOT.entries, POSITION))
    assert not SNAPSHOT.same_content_as(SNAPSHOT.with_bucket({}, POSITION))
    assert not SNAPSHOT.same_content_as(None)
    assert not replace(SNAPSHOT, entries={}).same_content_as(SNAPSHOT)
    assert not replace(SNAPSHOT, rights_verified=True).same_content_as(SNAPSHOT)
    assert not replace(SNAPSHOT, claim=replace(CLAIM, bucket="other")).same_content_as(SNAPSHOT)
