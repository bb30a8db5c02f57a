"""The accepted mesh on disk: what the device is set from at a start at which NATS can't be asked.

The file is a line with version and checksum, then JSON. It brings peers back to a device that lost them, and never
takes one away: that is for the bucket.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import msgspec
import structlog

from ikto_core.disk.atomic_file import replace_file
from ikto_core.disk.state_file import Claim, set_aside
from ikto_core.mesh.view import Entry

VERSION = 1

log = structlog.get_logger(__name__)


class MeshSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The records that were accepted at one moment, and whose mesh that was."""

    claim: Claim  # what we were then; it has to be what we are
    stream: str  # when the bucket's stream was made, as the leader says it
    revision: int  # of the bucket
    saved_at: float  # seconds since the epoch
    entries: Mapping[str, Entry]  # by KV key, each as the bucket had it
    mtu: int | None = None  # bytes, that fits the way to peers; None: not known

    def says_the_same_as(self, other: "MeshSnapshot | None") -> bool:
        """Whether the same device would be set from both."""
        if other is None or self.mtu != other.mtu:
            return False
        return self.claim == other.claim and self.entries == other.entries


class _Head(msgspec.Struct, frozen=True):
    version: int
    sha256: str = ""  # of everything after the first line


class SnapshotFile:
    """One file in the agent's own directory, replaced as a whole: after a power cut it is the old or the new one."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "mesh"

    def load(self) -> MeshSnapshot | None:
        """Return what was kept; None if there is nothing. Never fails.

        A file that is damaged or of another version is set aside, and that is reported.
        """
        try:
            return _decode(self.path.read_bytes())
        except FileNotFoundError:
            return None
        except (IsADirectoryError, ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
            set_aside(self.path, error)
        except OSError as error:
            log.error("the kept mesh can't be read", path=str(self.path), error=str(error))
        return None

    def save(self, kept: MeshSnapshot) -> int:
        """Keep this from now on; return its size in bytes. Raises OSError, and what was kept before stays."""
        content = _encode(kept)
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        replace_file(self.path, content)
        return len(content)


def _encode(kept: MeshSnapshot) -> bytes:
    body = msgspec.json.encode(kept)
    return msgspec.json.encode(_Head(VERSION, hashlib.sha256(body).hexdigest())) + b"\n" + body


def _decode(content: bytes) -> MeshSnapshot:
    """Read a whole file; ValueError or RecursionError if it is not what we wrote."""
    first, _, body = content.partition(b"\n")
    head = msgspec.json.decode(first, type=_Head)
    if head.version != VERSION:
        raise ValueError(f"version {head.version} is not {VERSION}")
    if head.sha256 != hashlib.sha256(body).hexdigest():
        raise ValueError("the checksum does not match")
    kept = msgspec.json.decode(body, type=MeshSnapshot)
    kept.claim.check()
    return kept
