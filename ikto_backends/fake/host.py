"""A fake host with WireGuard devices in memory, and the backend for it."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Mapping, Set
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Literal

from msgspec.structs import replace

from ikto_backends.fake.device import FakeDevice
from ikto_backends.fake.storage import load_devices, remove_device, save_device
from ikto_core.plugins import (
    BackendContext,
    BackendError,
    DeviceEvent,
    DeviceEventKind,
    DevicePatch,
    DeviceState,
    Endpoint,
    NoSuchDeviceError,
    PeerState,
    PublicKey,
)

Operation = Literal["read", "read_peers", "create", "apply", "delete"]


class FakeHost:
    """The devices of one host, with methods to change them from outside and to make calls fail.

    Args:
        state_dir: The directory where every device is saved and from which the next host loads it; None: memory only.

    """

    def __init__(self, state_dir: Path | None = None) -> None:
        self.writes: list[tuple[str, DevicePatch]] = []  # every patch that was applied, whole or in part
        self.calls: Counter[Operation] = Counter()  # number of calls of each operation, failed ones included
        self.delay = timedelta(0)  # how long each call waits before it does anything
        self._state_dir = state_dir
        self._devices = {name: FakeDevice(state) for name, state in load_devices(state_dir).items()}
        self._faults: dict[Operation, deque[Exception]] = {}
        self._midway_faults: deque[tuple[int, Exception]] = deque()
        self._watchers: list[asyncio.Queue[DeviceEvent | None]] = []

    @asynccontextmanager
    async def open(self, context: BackendContext | None = None) -> "AsyncIterator[FakeBackend]":  # noqa: ARG002 - as BackendPlugin.open
        """Yield a backend for this host; the devices stay when it closes."""
        backend = FakeBackend(self)
        try:
            yield backend
        finally:
            backend.close()

    def device(self, ifname: str) -> DeviceState | None:
        """Return a device as it is, None if it is absent. Never delayed, never fails."""
        device = self._devices.get(ifname)
        return device.state if device else None

    def peers(self, ifname: str, keys: Set[PublicKey]) -> Mapping[PublicKey, PeerState]:
        """Return those of these peers that a device has; none if it is absent. Never delayed, never fails."""
        device = self._devices.get(ifname)
        return device.peers(keys) if device else {}

    def fail_next(self, operation: Operation, error: Exception | None = None) -> None:
        """Make the next call of `operation` raise before it does anything. Call again for each further failure."""
        self._faults.setdefault(operation, deque()).append(error or BackendError(f"injected: {operation} failed"))

    def fail_midway(self, error: Exception | None = None, *, after: int = 1) -> None:
        """Make the next `apply` raise after this many elementary writes: the device's own fields, then each peer.

        A patch with fewer writes is applied whole before it raises.
        """
        self._midway_faults.append((after, error or BackendError("injected: apply failed midway")))

    def remove_device(self, ifname: str) -> None:
        """Delete a device from outside, as another program would. The backends report an event."""
        self.delete(ifname)
        self._publish(ifname, DeviceEventKind.GONE)

    def tamper(self, ifname: str, patch: DevicePatch) -> None:
        """Change a device from outside, as another program would. The backends report an event; `writes` omits it.

        As in the kernel, a link that is set down this way loses its IPv6 addresses. A backend's own write keeps them.
        """
        if patch.up is False:
            lost = {address for address in self._device(ifname).link.addresses if address.version == 6}
            patch = replace(patch, remove_addresses=patch.remove_addresses | lost)
        self._write(ifname, patch)
        self._publish(ifname, DeviceEventKind.CHANGED)

    def roam(self, ifname: str, public_key: PublicKey, endpoint: Endpoint) -> None:
        """Move a peer to another endpoint, as its packets do. As in the kernel, there is no event."""
        self._device(ifname).roam(public_key, endpoint)
        self._save(ifname)

    def handshake(
        self, ifname: str, public_key: PublicKey, at: float, *, rx_bytes: int = 148, tx_bytes: int = 92
    ) -> None:
        """Complete a handshake at `at` (seconds since the epoch). As in the kernel, there is no event."""
        self._device(ifname).handshake(public_key, at, rx_bytes=rx_bytes, tx_bytes=tx_bytes)
        self._save(ifname)

    def send_unanswered(self, ifname: str, public_key: PublicKey, *, tx_bytes: int = 148) -> None:
        """Send a handshake initiation that is not answered. As in the kernel, there is no event."""
        self._device(ifname).send_unanswered(public_key, tx_bytes)
        self._save(ifname)

    async def begin_call(self, operation: Operation) -> None:
        """Count a call, wait for `delay`, and raise the next injected fault of this operation."""
        self.calls[operation] += 1
        await asyncio.sleep(self.delay.total_seconds())
        if faults := self._faults.get(operation):
            raise faults.popleft()

    def create(self, ifname: str) -> None:
        """Create the device unless it exists; BackendError if the kernel would refuse its name."""
        if ifname in self._devices:
            return
        if ifname in {"", ".", ".."} or len(ifname.encode()) > 15 or any(c in "/:" or c.isspace() for c in ifname):
            raise BackendError(f"{ifname!r} is not a valid interface name")
        self._devices[ifname] = FakeDevice()
        self._save(ifname)

    def apply(self, ifname: str, patch: DevicePatch) -> None:
        """Apply a patch and record it in `writes`; raises after a part of it if `fail_midway` was called."""
        after, error = self._midway_faults.popleft() if self._midway_faults else (None, None)
        self._device(ifname)
        self.writes.append((ifname, patch))
        self._write(ifname, patch, stop_after=after)
        if error:
            raise error

    def delete(self, ifname: str) -> None:
        """Delete the device if it exists."""
        self._devices.pop(ifname, None)
        remove_device(self._state_dir, ifname)

    def watch(self) -> "asyncio.Queue[DeviceEvent | None]":
        """Return a queue that gets every event from now on. None in it means that no more will follow."""
        queue: asyncio.Queue[DeviceEvent | None] = asyncio.Queue()
        self._watchers.append(queue)
        return queue

    def unwatch(self, queue: "asyncio.Queue[DeviceEvent | None]") -> None:
        """Stop sending events to a queue, and put None in it."""
        with suppress(ValueError):
            self._watchers.remove(queue)
        queue.put_nowait(None)

    def _device(self, ifname: str) -> FakeDevice:
        try:
            return self._devices[ifname]
        except KeyError:
            raise NoSuchDeviceError(f"there is no device {ifname!r}") from None

    def _write(self, ifname: str, patch: DevicePatch, *, stop_after: int | None = None) -> None:
        device = self._device(ifname)
        device.check(patch)
        self._refuse_busy_port(ifname, patch)
        for written, _ in enumerate(device.write(patch), start=1):
            if written == stop_after:
                break
        self._save(ifname)

    def _refuse_busy_port(self, ifname: str, patch: DevicePatch) -> None:
        """Raise BackendError if another device has the listen port. A port is bound while the link is up."""
        link = self._device(ifname).link
        port = link.listen_port if patch.listen_port is None else patch.listen_port
        up = link.up if patch.up is None else patch.up
        bound = {d.link.listen_port for name, d in self._devices.items() if name != ifname and d.link.up}
        if up and port and port in bound:
            raise BackendError(f"{ifname}: UDP port {port} is in use", hint="choose another `wg_port`")

    def _save(self, ifname: str) -> None:
        if self._state_dir:  # without it, don't copy the state of thousands of peers
            save_device(self._state_dir, ifname, self._devices[ifname].state)

    def _publish(self, ifname: str, kind: DeviceEventKind) -> None:
        for queue in self._watchers:
            queue.put_nowait(DeviceEvent(ifname, kind))


class FakeBackend:
    """Backend for the devices of a `FakeHost`. It keeps the whole contract of `ikto_core.device.backend.Backend`."""

    def __init__(self, host: FakeHost) -> None:
        self.host = host
        self._queues: list[asyncio.Queue[DeviceEvent | None]] = []

    async def read(self, ifname: str) -> DeviceState | None:
        """Return the state of the device; None if it is absent."""
        await self.host.begin_call("read")
        return self.host.device(ifname)

    async def read_peers(self, ifname: str, keys: Set[PublicKey]) -> Mapping[PublicKey, PeerState]:
        """Return the states of some peers."""
        await self.host.begin_call("read_peers")
        return self.host.peers(ifname, keys)

    async def create(self, ifname: str) -> None:
        """Create the device unless it exists."""
        await self.host.begin_call("create")
        self.host.create(ifname)

    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        """Write the values that the patch names, and nothing else."""
        await self.host.begin_call("apply")
        self.host.apply(ifname, patch)

    async def delete(self, ifname: str) -> None:
        """Delete the device if it exists."""
        await self.host.begin_call("delete")
        self.host.delete(ifname)

    def events(self) -> AsyncIterator[DeviceEvent]:
        """Yield every change from outside from this call on, until the backend closes."""
        self._queues.append(self.host.watch())
        return _drain(self._queues[-1])

    def close(self) -> None:
        """End all iterators that `events` returned."""
        for queue in self._queues:
            self.host.unwatch(queue)
        self._queues.clear()


async def _drain(queue: "asyncio.Queue[DeviceEvent | None]") -> AsyncIterator[DeviceEvent]:
    while (event := await queue.get()) is not None:
        yield event
