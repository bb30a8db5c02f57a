"""The contract of backends, which drive WireGuard on this host. The core computes patches; backends apply them."""

from collections.abc import AsyncIterator, Callable, Mapping, Set
from contextlib import AbstractAsyncContextManager
from enum import Enum
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import msgspec

from ikto_core.device.model import DevicePatch, DeviceState, PeerState
from ikto_core.errors import NoSuchDeviceError
from ikto_core.values.keys import PublicKey


class DeviceEventKind(Enum):
    """What happened to a device outside Ikto."""

    GONE = "gone"
    CHANGED = "changed"


class DeviceEvent(msgspec.Struct, frozen=True):
    """A device was changed or deleted outside Ikto; the receiver reads the device again."""

    ifname: str
    kind: DeviceEventKind


class Backend(Protocol):
    """Drive WireGuard devices on this host. Every call may be repeated.

    C1. `create` of a device that exists changes nothing; a new one is down, with no key, no address and no peers.
    C2. `read` of an absent device returns None; `delete` of an absent device does nothing.
    C3. `apply` to an absent device raises NoSuchDeviceError and does not create the device.
    C4. A member of a patch that is None or an empty collection leaves the device's value unchanged.
    C5. `apply` carries out additions and changes before removals, and never drops the session of a peer whose key
        is not in `remove_peers`.
    C6. An allowed IP belongs to one peer: adding it to a peer removes it from its former owner.
    C7. A peer patch without `create` for an absent peer, and the removal of an absent peer, do nothing.
    C8. Failures raise BackendError (or a subclass) and nothing else, with a hint if the operator can do something.
        A failed call may have applied a part of the patch: read the device again.
    C9. `read` shows changes made outside Ikto. `events` reports each device that was changed or deleted outside Ikto,
        or ends at once if the system can't report them.
    C10. A cancelled call may be carried out in part or whole, but not after a later call; reading, diffing and
        applying again repairs the device.
    C11. A `read` during an `apply` may show a part of the patch: no peer that stays is missing, and no peer shows a
        value that was never written to it.
    C12. A peer that never had a handshake shows None as its last handshake, and no traffic. Writes of other peers or of
        the device do not reset its counters.
    C13. After the difference between a spec and the device is applied, the device shows the spec, whatever their size.
    C14. The endpoint of an IPv6 link-local peer keeps its scope.
    C15. Closing a backend leaves its devices unchanged; the next backend that is opened finds them.
    C16. No call blocks the event loop: what may block runs in a thread or a process. A cancelled call ends soon, with
        CancelledError unless it has completed. The core gives up a call that has not returned after half a minute (more
        with many peers): it raises BackendError to its caller, does not cancel the call, and makes no other until that
        one has ended. So wait for an answer that may never come with a limit of your own.
    C17. `read_peers`, where a backend has it (see PeerReader), shows these peers as `read` does. It leaves out absent
        peers, and returns nothing for an absent device.
    C18. What a patch does not name stays as it is on the device, also if another program wrote it since the last
        `read`, during the call or while the backend was closed.
    C19. The device is the only memory: another backend, also in another process, finds the same devices and can change
        them. What is known of a device is not kept in a module or a backend.
    C20. `last_handshake` is in seconds since the epoch. `rx_bytes` counts bytes received from the peer, and `tx_bytes`
        bytes sent to it.
    C21. Calls leave nothing behind, also failed and cancelled ones: no file descriptors, threads, tasks or child
        processes. Once the backend has closed, nothing of it runs or writes any more.
    C22. Private and preshared keys are in no error, log or output, in no argument or environment of a program, and in
        no file that other users can read.
    C23. `open` yields a backend. Its methods are async, but for `events`, which returns an async iterator at once; what
        they return has the types given here.
    """

    async def read(self, ifname: str) -> DeviceState | None:
        """Return the state of the device; None if it is absent."""
        ...

    async def create(self, ifname: str) -> None:
        """Create the device unless it exists; a new device is down, with no key, no address and no peers."""
        ...

    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        """Write the values that the patch names, and nothing else."""
        ...

    async def delete(self, ifname: str) -> None:
        """Delete the device if it exists."""
        ...

    def events(self) -> AsyncIterator[DeviceEvent]:
        """Yield the devices that were deleted or changed outside Ikto; ends at once if the system can't report them."""
        ...


@runtime_checkable
class PeerReader(Protocol):
    """An optional part of a backend: read a few peers at less than the cost of the whole device.

    Ikto uses it for new peers, up to ten times a second, for peers with new endpoints, and to see whether a peer
    answers at its endpoint. It reads the whole device where a backend does not have it.
    """

    async def read_peers(self, ifname: str, keys: Set[PublicKey]) -> Mapping[PublicKey, PeerState]:
        """Return the states of those of these peers that the device has; none if it is absent. Errors as for `read`."""
        ...


class BackendContext(msgspec.Struct, frozen=True, kw_only=True):
    """The agent that opens a backend; `open` raises BackendError for a value that the backend does not support."""

    ifname: str  # the device that this agent drives
    state_dir: Path  # a directory of this agent, for files that must outlive it
    netns: str | None = None  # network namespace of the device, by name or path; None: the agent's namespace
    settings: Any = None  # what `settings` of the plugin's record describes, from the configuration; None: it has none


class BackendPlugin(msgspec.Struct, frozen=True, kw_only=True):
    """A backend that a plugin offers: an item of the result of its `ikto_register_backends` hook."""

    name: str  # the value of the `backend` setting: lower case letters, digits and '-'
    summary: str  # one line
    open: Callable[[BackendContext], AbstractAsyncContextManager[Backend]]
    host_devices: bool = True  # whether a device is the same for every agent on the host, so that one may drive it
    settings: type[msgspec.Struct] | None = None  # describes the settings of this plugin; None: it takes none


async def read_or_create(backend: Backend, ifname: str) -> DeviceState:
    """Return the state of the device, which is created first if it is absent. Raises BackendError."""
    state = await backend.read(ifname)
    if state is None:
        await backend.create(ifname)
        state = await backend.read(ifname)
    if state is None:
        raise NoSuchDeviceError(f"{ifname} was deleted right after it was created")
    return state


async def read_peers(backend: Backend, ifname: str, keys: Set[PublicKey]) -> Mapping[PublicKey, PeerState]:
    """Return the states of those of these peers that the device has, by any backend. Raises BackendError."""
    if isinstance(backend, PeerReader):
        return await backend.read_peers(ifname, keys)
    state = await backend.read(ifname)
    return {key: state.peers[key] for key in keys if key in state.peers} if state else {}
