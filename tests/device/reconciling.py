"""A mesh view, a reconciler and a fake host, driven step by step."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Set
from contextlib import suppress

from msgspec.structs import replace

from ikto_backends.fake import FakeBackend, FakeHost
from ikto_core.device.model import DevicePatch, DeviceState, PeerState
from ikto_core.device.reconciler import Reconciler
from ikto_core.errors import BackendError
from ikto_core.mesh.records import PeerRecord, encode_record, record_key
from ikto_core.mesh.view import Entry, MeshRules, MeshView
from ikto_core.testing.devices import private_key_of, public_key_of, spec_of
from ikto_core.values.addressing import Endpoint, Prefix
from ikto_core.values.keys import PublicKey
from ikto_core.values.removal_brake import BrakeLimits

WG = "wg0"
BASE = spec_of(0, listen_port=51820)
UNLIMITED = BrakeLimits(share=1.0)
LOWEST, HIGHEST = PublicKey(bytes(32)), PublicKey(bytes([255] * 32))
"""Own keys of a node that kicks a new peer before the peer kicks it, and of a node that waits longer."""

RULES = MeshRules(cidr=Prefix.parse("fd10::/16"), subnet_prefix=48, own_key=private_key_of(1).public())


def subnet(number: int) -> str:
    """Return the canonical subnet with this number."""
    return f"fd10:{number:x}::/48"


def record(number: int, *, key: int | None = None, endpoints: Iterable[str] = ()) -> PeerRecord:
    """Return the record of subnet `number`, with the key of the same number or of another one."""
    return PeerRecord(
        name=f"node-{number}",
        public_key=public_key_of(key or number),
        advertise_address=f"192.0.2.{number & 127}",
        allowed_ip=subnet(number),
        wg_port=51820,
        endpoints=tuple(Endpoint.parse(text) for text in endpoints),
    )


def mesh(count: int) -> list[PeerRecord]:
    """Return the records of the peers 1 to `count`, one subnet each."""
    return [record(number) for number in range(1, count + 1)]


class InterruptedBackend(FakeBackend):
    """A fake backend that runs steps at the end of its calls, before the caller continues."""

    def __init__(self, host: FakeHost) -> None:
        super().__init__(host)
        self.interruptions: deque[Callable[[], None]] = deque()  # one per call

    async def read(self, ifname: str) -> DeviceState | None:
        state = await super().read(ifname)
        self._interrupt()
        return state

    async def read_peers(self, ifname: str, keys: Set[PublicKey]) -> Mapping[PublicKey, PeerState]:
        found = await super().read_peers(ifname, keys)
        self._interrupt()
        return found

    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        await super().apply(ifname, patch)
        self._interrupt()

    def _interrupt(self) -> None:
        if self.interruptions:
            self.interruptions.popleft()()


class Scene:
    """The bucket, view, reconciler and device of one node, driven pass by pass."""

    def __init__(
        self, *, limits: BrakeLimits = UNLIMITED, keep_foreign_peers: bool = False, own_key: PublicKey = LOWEST
    ) -> None:
        self.host = FakeHost()
        self.backend = InterruptedBackend(self.host)
        self.reconciler = Reconciler(self.backend, WG, own_key=own_key, limits=limits)
        self.revision = 0
        self.base = replace(BASE, keep_foreign_peers=keep_foreign_peers)
        self.view = MeshView(RULES)
        self.set_target()

    def set_target(self) -> None:
        self.reconciler.set_target(self.base, self.view.on_device, self.revision)

    def put(self, *records: PeerRecord) -> None:
        """Write these records to the bucket, all in one push."""
        self._change({record.key: encode_record(record) for record in records})

    def delete(self, *numbers: int) -> None:
        """Delete the records of these subnets from the bucket, all in one push."""
        self._change({record_key(subnet(number)): None for number in numbers})

    def _change(self, values: dict[str, bytes | None]) -> None:
        first = self.revision + 1
        self.revision += len(values)
        changes = {key: Entry(first + n, value) for n, (key, value) in enumerate(values.items())}
        self.reconciler.mark_changed(self.view.update(changes), self.revision)

    def tamper(self, patch: DevicePatch) -> None:
        """Change the device outside Ikto, without an event."""
        self.host.tamper(WG, patch)

    async def reconcile(self) -> None:
        await self.reconciler.reconcile()

    async def reconcile_beside(self, steps: Iterable[tuple[int, Callable[[], None]]]) -> None:
        """Make a pass, which may fail, while steps are done, each after so many turns of the event loop."""

        async def do_steps() -> None:
            for turns, step in steps:
                for _ in range(turns):
                    await asyncio.sleep(0)
                step()

        async def make_pass() -> None:
            with suppress(BackendError):
                await self.reconcile()

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(make_pass())
            tasks.create_task(do_steps())

    async def reconcile_fully(self) -> None:
        self.reconciler.request_full_pass()
        await self.reconcile()

    async def reconcile_until_idle(self) -> None:
        """Run the remaining interruptions, and reconcile until there is nothing left to do."""
        while self.backend.interruptions or not await self._is_idle():
            if self.backend.interruptions:
                self.backend.interruptions.popleft()()

    async def _is_idle(self) -> bool:
        """Make a pass; return whether it had nothing to do."""
        calls = self.host.calls.total()
        with suppress(BackendError):
            await self.reconcile()
        return self.host.calls.total() == calls

    @property
    def device(self) -> DeviceState:
        state = self.host.device(WG)
        assert state is not None, "the device is absent"
        return state

    @property
    def shown(self) -> dict[PublicKey, frozenset[Prefix]]:
        """The allowed IPs of the peers on the device."""
        return {key: peer.allowed_ips for key, peer in self.device.peers.items()}

    @property
    def wanted(self) -> dict[PublicKey, frozenset[Prefix]]:
        """The allowed IPs of the peers in the mesh."""
        return {key: peer.allowed_ips for key, peer in self.view.peers.items()}

    @property
    def patches(self) -> list[DevicePatch]:
        """The patches written since the last `reset_counts`."""
        return [patch for _, patch in self.host.writes]

    def reset_counts(self) -> None:
        """Count writes and calls from here on."""
        self.host.writes.clear()
        self.host.calls.clear()

    @staticmethod
    def now() -> float:
        """The time by which handshakes are dated, in seconds since the epoch."""
        return time.time()

    def peer(self, number: int) -> PeerState:
        return self.device.peers[public_key_of(number)]

    @property
    def drift(self) -> int:
        return self.reconciler.stats.drift_repaired


async def synced(*records: PeerRecord, limits: BrakeLimits = UNLIMITED, keep_foreign_peers: bool = False) -> Scene:
    """Return a scene whose device is in sync with these records; its counts are zero."""
    scene = Scene(limits=limits, keep_foreign_peers=keep_foreign_peers)
    if records:
        scene.put(*records)
    await scene.reconcile()
    scene.reset_counts()
    return scene
