"""The state file: the claimed subnet, the instance ids of earlier runs, and the public keys of this installation."""

import time
from contextlib import suppress
from pathlib import Path

import msgspec
import structlog

from ikto_core.disk.atomic_file import replace_file
from ikto_core.errors import ConfigError
from ikto_core.mesh.record_members import MAX_SUCCESSIONS
from ikto_core.values.addressing import Prefix, parse_address
from ikto_core.values.keys import PublicKey

VERSION = 1
MAX_INSTANCES = 100
"""How many runs are remembered. A node takes a restored record of an earlier run for that of a copy of the machine."""

MAX_KEYS = 20
"""How many keys are remembered. A node does not recognize a restored record with an earlier key."""

log = structlog.get_logger(__name__)


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A claimed subnet, and the circumstances under which the claim may be used again."""

    private_address: str  # the device's address
    mesh_cidr: str
    subnet_prefix: int
    public_key: str
    bucket: str

    def check(self) -> None:
        """Raise ValueError unless the address is one of the mesh."""
        subnet = Prefix.of(parse_address(self.private_address), self.subnet_prefix)
        if not Prefix.parse(self.mesh_cidr).covers(subnet):
            raise ValueError(f"{subnet} is outside the mesh {self.mesh_cidr}")

    def differences(self, other: "Claim") -> list[str]:
        """Return the fields in which `other` differs from this claim, as one line each."""
        return [
            f"{name} is {getattr(other, name)!r}, not {getattr(self, name)!r}"
            for name in self.__struct_fields__
            if getattr(self, name) != getattr(other, name)
        ]


class SavedDevice(msgspec.Struct, frozen=True, kw_only=True):
    """The device that a run has used, so that a later one knows it again."""

    ifname: str
    netns: str = ""  # as configured; empty: the agent's own network namespace
    public_key: str


class SavedState(msgspec.Struct, frozen=True, kw_only=True):
    """The content of the state file."""

    version: int = VERSION
    claim: Claim | None = None  # None: never claimed, or the claim was lost
    released: bool = False  # another node has the claimed subnet: not used before the bucket shows that it is free
    instances: tuple[str, ...] = ()  # the runs of this installation, the latest last, at most MAX_INSTANCES
    keys: tuple[str, ...] = ()  # public keys in the order of rotations, at most MAX_KEYS; empty: no rotation yet
    serial: int = 0  # of the latest record that was written; 0: none
    device: SavedDevice | None = None  # None: no device was used yet
    successions: tuple[tuple[str, str], ...] = ()  # KV key and statement of each rotation, the latest last

    def check(self) -> None:
        """Raise ValueError unless the claim's address is one of its mesh and the keys are valid."""
        if self.claim:
            self.claim.check()
        for text in self.keys:
            PublicKey.parse(text)

    @property
    def public_keys(self) -> frozenset[PublicKey]:
        """Every public key of this node that the file has."""
        used = [holder.public_key for holder in (self.claim, self.device) if holder]
        found = set()
        for text in (*self.keys, *used):
            with suppress(ValueError):  # only `keys` are checked
                found.add(PublicKey.parse(text))
        return frozenset(found)

    def with_instance(self, instance: str) -> "SavedState":
        """Return the state to save before the run `instance` writes its first record."""
        earlier = [run for run in self.instances if run != instance]
        return msgspec.structs.replace(self, instances=(*earlier, instance)[-MAX_INSTANCES:])

    def with_keys(self, *keys: str) -> "SavedState":
        """Return the state to save before the last of these public keys of this node is published."""
        earlier = [key for key in self.keys if key not in keys]
        return msgspec.structs.replace(self, keys=(*earlier, *keys)[-MAX_KEYS:])

    def with_succession(self, kv_key: str, statement: str) -> "SavedState":
        """Return the state to save before this node's key is replaced by the next one."""
        same = [pair for pair in self.successions if pair[0] == kv_key]
        return msgspec.structs.replace(self, successions=(*same, (kv_key, statement))[-MAX_SUCCESSIONS:])

    def with_claim(self, claim: Claim) -> "SavedState":
        """Return the state to save once the subnet is claimed."""
        return msgspec.structs.replace(self, claim=claim, released=False)


class StateFile:
    """The file `state.json` in the state directory, replaced atomically: a power cut leaves the old or the new one."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "state.json"
        self.failure = ""  # why the latest state could not be saved; empty: it is saved
        self._unsaved: SavedState | None = None

    def load(self) -> SavedState:
        """Return the saved state; an empty one if there is no file. A damaged file is set aside and logged.

        Raises:
            ConfigError: The file exists and can't be read. It may hold a valid claim, so it is not ignored.

        """
        try:
            state = msgspec.json.decode(self.path.read_bytes(), type=SavedState)
            if state.version != VERSION:
                raise ValueError(f"version {state.version} is not {VERSION}")
            state.check()
        except FileNotFoundError:
            return SavedState()
        except (IsADirectoryError, ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
            set_aside(self.path, error)
            return SavedState()
        except OSError as error:
            hint = "let the agent's user read it; or delete it, and an automatic address may change"
            raise ConfigError(f"state_dir: {self.path} can't be read: {error.strerror}", hint=hint) from None
        return state

    def save(self, state: SavedState) -> None:
        """Save the state. A failure is logged, not raised: until the next restart the mesh works without it."""
        before, self.failure, self._unsaved = self.failure, "", None
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            replace_file(self.path, msgspec.json.encode(state))
        except OSError as error:
            self._unsaved, self.failure = state, str(error)
            if self.failure != before:  # once, not at every retry
                log.error("state not saved", path=str(self.path), error=self.failure)

    def retry_save(self) -> None:
        """Save again a state that could not be saved; do nothing if there is none."""
        if self._unsaved:
            self.save(self._unsaved)


def set_aside(path: Path, error: Exception) -> None:
    """Rename an unusable file of the agent and log it. A failure to rename is logged, not raised."""
    aside = path.with_name(f"{path.name}.unreadable-{int(time.time())}")
    log.error("file is unreadable, setting it aside", path=str(path), error=str(error), renamed_to=str(aside))
    try:
        path.replace(aside)
    except OSError as failure:
        log.error("can't set the file aside", path=str(path), error=str(failure))
