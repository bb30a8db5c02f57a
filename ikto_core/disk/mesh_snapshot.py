"""The mesh snapshot: the accepted records on disk, and with them the whole bucket as it was then.

An agent that starts while NATS is unreachable restores peers from it. The snapshot only adds peers
that the device has lost and never removes any. Once NATS is reached, only what changed since is read from the bucket.
The file is one line with version and checksum, then JSON.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import msgspec
import structlog

from ikto_core.disk.atomic_file import replace_file
from ikto_core.disk.state_file import Claim, set_aside
from ikto_core.mesh.view import Entry
from ikto_core.values.keys import PublicKey
from ikto_core.values.position import Position

VERSION = 2
READABLE = (1, 2)
"""Version 1 has no pins."""

MAX_OTHER_BYTES = 2**24
"""Of the keys and values that are no accepted records. If they are larger, the snapshot is only of these records."""

log = structlog.get_logger(__name__)


class MeshSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The records that were accepted at one moment, and the claim under which they were accepted."""

    claim: Claim  # this node's claim at that moment; the snapshot is valid only while the claim is the same
    stream: str  # when the bucket's stream was created, as the leader reports it
    revision: int  # of the bucket
    saved_at: float  # seconds since the epoch
    entries: Mapping[str, Entry]  # the accepted records by KV key, each as in the bucket
    proved: tuple[str, ...] = ()  # KV keys of the pins, sorted; their proofs were verified
    rights_verified: bool = False  # their user JWTs too (mesh/rights.py)
    other_pins: Mapping[str, Entry] = {}  # the pinned records that are not accepted, by KV key
    gone_s: Mapping[str, float] = {}  # for how long the bucket has lacked pinned records, in seconds, by KV key
    own_seen_at: float | None = None  # when the bucket last had this node's record; None: it holds no subnet
    own_yields_since: float | None = None  # when this node claimed a subnet that another node had had; None: nobody had
    mtu: int | None = None  # of the device, in bytes, as the path to the peers allows it; None: not known
    sessions: tuple[str, ...] = ()  # public keys of peers that had a session lately, sorted
    position: Position | None = None  # of the bucket below in its history; None: the snapshot has no bucket
    others: Mapping[str, Entry] = {}  # what the bucket had and is not in `entries` like that, by KV key
    absent: tuple[str, ...] = ()  # KV keys of `entries` that the bucket had not, sorted

    def with_bucket(self, table: Mapping[str, Entry], position: Position | None) -> "MeshSnapshot":
        """Return a snapshot that has the whole bucket, unless that is too large; `position` None: it was not read."""
        entries = self.entries
        others = {key: entry for key, entry in table.items() if entries.get(key) != entry}
        if sum(len(key) + len(entry.value or b"") for key, entry in others.items()) > MAX_OTHER_BYTES:
            others, position = {}, None
        absent = tuple(sorted(entries.keys() - table.keys())) if position else ()
        return msgspec.structs.replace(self, position=position, others=others, absent=absent)

    @property
    def table(self) -> dict[str, Entry]:
        """The whole bucket at `position`, by KV key."""
        absent = set(self.absent)
        return {key: entry for key, entry in self.entries.items() if key not in absent} | dict(self.others)

    def same_content_as(self, other: "MeshSnapshot | None") -> bool:
        """Return whether both snapshots configure the same device; revision, time, sessions and bucket don't count.

        But a snapshot with a bucket is not the same as one without.
        """
        if other is None or self.mtu != other.mtu or (self.position is None) != (other.position is None):
            return False
        same_pins = (self.proved, self.rights_verified, self.other_pins, self.gone_s.keys()) == (
            *(other.proved, other.rights_verified, other.other_pins),
            other.gone_s.keys(),
        )
        return self.claim == other.claim and self.entries == other.entries and same_pins


class _Header(msgspec.Struct, frozen=True):
    version: int
    sha256: str = ""  # of everything after the first line


class SnapshotFile:
    """The snapshot's file in the state directory, replaced atomically: a power cut leaves the old or the new one."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "mesh"

    def load(self) -> MeshSnapshot | None:
        """Return the snapshot; None if there is none. Never raises an error.

        A file that is damaged or of another version is set aside and logged; one that can't be read is logged.
        """
        try:
            return _decode(self.path.read_bytes())
        except FileNotFoundError:
            return None
        except (IsADirectoryError, ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
            set_aside(self.path, error)
        except OSError as error:
            log.error("can't read the snapshot", path=str(self.path), error=str(error))
        return None

    def save(self, snapshot: MeshSnapshot) -> int:
        """Write the snapshot and return its size in bytes. Raises OSError; the old snapshot stays then."""
        content = _encode(snapshot)
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        replace_file(self.path, content)
        return len(content)


def _encode(snapshot: MeshSnapshot) -> bytes:
    body = msgspec.json.encode(snapshot)
    return msgspec.json.encode(_Header(VERSION, hashlib.sha256(body).hexdigest())) + b"\n" + body


def _decode(content: bytes) -> MeshSnapshot:
    """Decode a file. Raises ValueError or RecursionError if it is damaged or of another version."""
    first, _, body = content.partition(b"\n")
    header = msgspec.json.decode(first, type=_Header)
    if header.version not in READABLE:
        raise ValueError(f"version {header.version} is not {' or '.join(map(str, READABLE))}")
    if header.sha256 != hashlib.sha256(body).hexdigest():
        raise ValueError("the checksum does not match")
    snapshot = msgspec.json.decode(body, type=MeshSnapshot)
    snapshot.claim.check()
    for text in snapshot.sessions:
        PublicKey.parse(text)
    if not snapshot.entries.keys() | snapshot.other_pins.keys() >= {*snapshot.proved, *snapshot.gone_s}:
        raise ValueError("a pin has no record")
    if snapshot.position and not _is_possible(snapshot.table, snapshot.position):
        raise ValueError("the bucket has revisions that it can't have")
    return snapshot


def _is_possible(table: Mapping[str, Entry], position: Position) -> bool:
    """Return whether a bucket can have these revisions: each once, and none later than its own."""
    revisions = {entry.revision for entry in table.values()}
    return len(revisions) == len(table) and (not table or (min(revisions) >= 1 and max(revisions) <= position.revision))
