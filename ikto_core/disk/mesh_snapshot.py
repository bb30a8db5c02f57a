"""The mesh snapshot: the accepted records on disk.

An agent that starts while NATS is unreachable restores peers from it. The snapshot only adds peers
that the device has lost and never removes any. The file is one line with version and checksum, then JSON.
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

VERSION = 2
READABLE = (1, 2)
"""Version 1 has no pins."""

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

    def same_content_as(self, other: "MeshSnapshot | None") -> bool:
        """Return whether both snapshots configure the same device; revision, time and sessions don't count."""
        if other is None or self.mtu != other.mtu:
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
    return snapshot
