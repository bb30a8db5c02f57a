"""The contract between the core and whatever drives WireGuard on this host. Core diffs, backends execute."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from enum import Enum
from pathlib import Path
from typing import Protocol

import msgspec

from ikto_core.device.model import DevicePatch, DeviceState
from ikto_core.errors import NoSuchDeviceError


class DeviceEventKind(Enum):
    """What happened to a device behind our back."""

    GONE = "gone"
    CHANGED = "changed"


class DeviceEvent(msgspec.Struct, frozen=True):
    """Something changed a device; whoever gets this reads the device again."""

    ifname: str
    kind: DeviceEventKind


class Backend(Protocol):
    """Drive WireGuard devices on this host. Every call may be repeated.

    C1. `create` of a device that exists changes nothing; a new one is down, with no key, no address and no peers.
    C2. `read` of an absent device returns None; `delete` of one does nothing.
    C3. `apply` to an absent device raises NoSuchDeviceError, and makes none.
    C4. In a patch, None or an empty collection leaves alone what it stands for.
    C5. `apply` carries out additions and changes before removals, and never drops a session of a peer whose key
        is not in `remove_peers`.
    C6. An allowed IP belongs to one peer: giving it to a peer takes it from its old owner.
    C7. A peer patch without `create` for an absent peer, and the removal of an absent peer, do nothing.
    C8. Failures raise BackendError (or a subclass), nothing else, with a hint where the operator can do something, and
        may leave a part applied: read again.
    C9. `read` shows what another hand did. `events` tells of a device that another hand changed or deleted; or it ends
        at once, if the system can't tell.
    C10. A cancelled call may be carried out in part or whole, but not after what is called later; read, diff and
        apply mend what it left.
    C11. A `read` during an `apply` shows a device on the way: no peer that stays is missing, none shows what it
        was never given.
    C12. A peer that never had a handshake shows None for it, and no traffic; no write of other peers or of the
        device sets its counters back.
    C13. Once the difference between a spec and the device is applied, the device shows the spec, whatever their size.
    C14. The endpoint of an IPv6 link-local peer keeps its scope.
    C15. Closing a backend leaves its devices as they are; the next one that is opened finds them.
    """

    async def read(self, ifname: str) -> DeviceState | None:
        """Return the device as it is, None if it is absent."""
        ...

    async def create(self, ifname: str) -> None:
        """Make sure the device exists; a new one is down, with no key and no peers."""
        ...

    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        """Write what the patch names, and nothing else."""
        ...

    async def delete(self, ifname: str) -> None:
        """Make sure the device does not exist."""
        ...

    def events(self) -> AsyncIterator[DeviceEvent]:
        """Tell of devices that went or changed by another hand; may end at once if the system can't tell."""
        ...


class BackendContext(msgspec.Struct, frozen=True, kw_only=True):
    """What a backend may know of the agent that opens it; what it can't do, it refuses with BackendError."""

    ifname: str  # the device that this agent drives
    state_dir: Path  # a directory of the agent's own, for what must outlive it
    netns: str | None = None  # network namespace of the device, by name or path; None: the agent's own


class BackendPlugin(msgspec.Struct, frozen=True, kw_only=True):
    """A backend on offer: what a plugin's `ikto_register_backends` returns."""

    name: str  # as in `backend` of the configuration: lower case letters, digits and '-'
    summary: str  # one line
    open: Callable[[BackendContext], AbstractAsyncContextManager[Backend]]


async def read_or_create(backend: Backend, ifname: str) -> DeviceState:
    """Return what the device shows; one that is missing is created first. Raises BackendError."""
    state = await backend.read(ifname)
    if state is None:
        await backend.create(ifname)
        state = await backend.read(ifname)
    if state is None:
        raise NoSuchDeviceError(f"{ifname} went as soon as it was created")
    return state
