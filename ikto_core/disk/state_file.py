"""What an agent keeps on disk: the subnet it has claimed, the names of its runs, and its public keys."""

import time
from pathlib import Path

import msgspec
import structlog

from ikto_core.disk.atomic_file import replace_file
from ikto_core.errors import ConfigError
from ikto_core.values.addressing import Prefix, parse_address
from ikto_core.values.keys import PublicKey

VERSION = 1
INSTANCES_KEPT = 100
"""A bucket that is rolled back further than so many restarts of ours looks like a copy of this machine."""

KEYS_KEPT = 20
"""A bucket that is rolled back further than so many rotations holds a record that we don't know as ours."""

log = structlog.get_logger(__name__)


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A subnet that was claimed, and the circumstances under which the claim may be used again."""

    private_address: str  # the device's address
    mesh_cidr: str
    subnet_prefix: int
    public_key: str
    bucket: str

    def check(self) -> None:
        """Raise ValueError unless this is an address of that mesh."""
        subnet = Prefix.of(parse_address(self.private_address), self.subnet_prefix)
        if not Prefix.parse(self.mesh_cidr).covers(subnet):
            raise ValueError(f"{subnet} lies outside the mesh {self.mesh_cidr}")

    def differences(self, other: "Claim") -> list[str]:
        """Return where `other` is another claim than this, a line each."""
        return [
            f"{member} is {getattr(other, member)!r}, not {getattr(self, member)!r}"
            for member in self.__struct_fields__
            if getattr(self, member) != getattr(other, member)
        ]


class SavedState(msgspec.Struct, frozen=True, kw_only=True):
    """The content of the state file."""

    version: int = VERSION
    claim: Claim | None = None  # None: nothing was ever claimed, or it was lost
    instances: tuple[str, ...] = ()  # the runs of this installation, the latest last, INSTANCES_KEPT at most
    keys: tuple[str, ...] = ()  # public keys in the order of rotations, KEYS_KEPT at most; empty: there was none

    def check(self) -> None:
        """Raise ValueError unless the claim is an address of its mesh, and the keys are keys."""
        if self.claim:
            self.claim.check()
        for text in self.keys:
            PublicKey.parse(text)

    def begun(self, instance: str) -> "SavedState":
        """Return what to keep before the run `instance` writes its first record."""
        earlier = [run for run in self.instances if run != instance]
        return msgspec.structs.replace(self, instances=(*earlier, instance)[-INSTANCES_KEPT:])

    def announced(self, *keys: str) -> "SavedState":
        """Return what to keep before others are told of the last of these public keys of ours."""
        earlier = [key for key in self.keys if key not in keys]
        return msgspec.structs.replace(self, keys=(*earlier, *keys)[-KEYS_KEPT:])

    def claimed(self, claim: Claim) -> "SavedState":
        """Return what to keep once the claim stands."""
        return msgspec.structs.replace(self, claim=claim)


class StateFile:
    """One file in the agent's own directory, replaced as a whole: after a power cut it is the old or the new one."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "state.json"
        self.failure = ""  # why the latest state is not kept; empty: it is
        self._unsaved: SavedState | None = None

    def load(self) -> SavedState:
        """Return what was kept. A file of another form is set aside and reported, and nothing was kept.

        Raises ConfigError if the system does not let us read it: it may be whole, and its claim is ours to keep.
        """
        try:
            kept = msgspec.json.decode(self.path.read_bytes(), type=SavedState)
            if kept.version != VERSION:
                raise ValueError(f"version {kept.version} is not {VERSION}")
            kept.check()
        except FileNotFoundError:
            return SavedState()
        except (IsADirectoryError, ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
            set_aside(self.path, error)
            return SavedState()
        except OSError as error:
            hint = "let the agent's user read it; or delete it, and an automatic address may change"
            raise ConfigError(f"state_dir: {self.path} can't be read: {error.strerror}", hint=hint) from None
        return kept

    def save(self, kept: SavedState) -> None:
        """Keep this from now on. A disk that can't take it is reported: the mesh works without, until a restart."""
        before, self.failure, self._unsaved = self.failure, "", None
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            replace_file(self.path, msgspec.json.encode(kept))
        except OSError as error:
            self._unsaved, self.failure = kept, str(error)
            if self.failure != before:  # told once, not once a minute
                log.error("state not kept", path=str(self.path), error=self.failure)

    def mend(self) -> None:
        """Try again to keep what the disk could not take."""
        if self._unsaved:
            self.save(self._unsaved)


def set_aside(path: Path, error: Exception) -> None:
    """Give a file of ours that can't be used another name, and report it; whatever happens, this does not fail."""
    aside = path.with_name(f"{path.name}.unreadable-{int(time.time())}")
    log.error("a file of ours is unreadable and set aside", path=str(path), error=str(error), aside=str(aside))
    try:
        path.replace(aside)
    except OSError as failure:
        log.error("could not set it aside", path=str(path), error=str(failure))
