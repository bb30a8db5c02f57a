"""Keeps the WireGuard device in sync with the mesh.

A full pass reads the device and writes every difference. A quick pass writes a few changed peers without reading it.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Set
from contextlib import suppress

import msgspec
import structlog

from ikto_core.device.backend import Backend, read_or_create
from ikto_core.device.diff import diff, diff_peers, drift, has_lost_peers, patched, restoration, summary
from ikto_core.device.endpoint_policy import EndpointChoice, Moment
from ikto_core.device.endpoint_tracker import EndpointTracker
from ikto_core.device.model import DevicePatch, DeviceSpec, DeviceState, Interface, PeerState
from ikto_core.device.removal_brake import BrakeLimits, RemovalBrake
from ikto_core.errors import BackendError
from ikto_core.mesh.view import MeshPeer
from ikto_core.values.counters import ReconcileCounters
from ikto_core.values.keys import PrivateKey, PublicKey

FULL_PASS_EVERY_S = 60.0
"""Interval of the full passes that nothing else requests, which repair and report drift."""

ENDPOINT_PAUSE_S_PER_PEER = 0.0005
"""Pause between a full pass and the next one that only checks endpoints, per peer on the device. Reading and comparing
a peer takes about 20 µs, so these passes take a few percent of a processor, whatever the size of the mesh."""

FIRST_RETRY_S = 0.5
LONGEST_RETRY_S = 30.0

log = structlog.get_logger(__name__)


class Reconciler:
    """Reconciles one device through a backend: call `set_target`, report changes with `mark_changed`, and `run` it."""

    def __init__(
        self,
        backend: Backend,
        ifname: str,
        *,
        endpoints: EndpointTracker | None = None,
        limits: BrakeLimits | None = None,
    ) -> None:
        self.ifname = ifname
        self.brake = RemovalBrake(limits or BrakeLimits())
        self.shown_revision: int | None = None  # the bucket's revision that the device shows; None: none yet
        self.in_sync = asyncio.Event()  # set once the device has shown a complete view
        self.on_pass: Callable[[DeviceSpec], None] = lambda _: None  # called with the target after each pass
        self.failure = ""  # why the last pass failed; empty: it succeeded
        self.stats = ReconcileCounters()
        self._backend = backend
        self._base: DeviceSpec | None = None  # the target without its peers; None: do not touch the device
        self.mtu: int | None = None  # for a target without an MTU; None: leave the MTU of the device
        self._peers: Mapping[PublicKey, MeshPeer] = {}
        self._revision: int | None = None
        self._dirty: set[PublicKey] = set()
        self._restoring = False  # the target may be out of date: see `set_target`
        self._lost_peers = False  # while restoring: the device had no peers in the mesh
        self._full_pass_due = True  # the device must be read before anything is written
        self._expect_changes = True  # what the next full pass has to write is not drift
        self._shown: dict[PublicKey, PeerState] = {}  # the peers on the device, as last read and written
        self._own_peers: set[PublicKey] = set()  # peers that Ikto has put on the device
        self._endpoints = endpoints or EndpointTracker()
        self._wake = asyncio.Event()
        self._pass_lock = asyncio.Lock()
        self._next_full_pass_at = 0.0  # by the event loop's clock
        self._pause_ends_at = 0.0  # before this time endpoints are not checked

    @property
    def addresses(self) -> frozenset[Interface]:
        """The addresses of the target; empty until there is a target."""
        return self._base.addresses if self._base else frozenset()

    def set_target(
        self, base: DeviceSpec, peers: Mapping[PublicKey, MeshPeer], revision: int | None, *, restoring: bool = False
    ) -> None:
        """Set the desired state of the device; `peers` is read again at every pass, so it may change in place.

        With `restoring`, passes write only what the device has lost: see `diff.restoration`.
        """
        self._base, self._peers, self._revision = base, peers, revision
        self._restoring, self._lost_peers = restoring, False
        self._expect_changes = True
        self.request_full_pass()

    def set_mtu(self, mtu: int) -> None:
        """Set the MTU of the device, unless the target names one."""
        if mtu != self.mtu:
            self.mtu = mtu
            self._expect_changes = True
            self.request_full_pass()

    def mark_changed(self, peers: Iterable[PublicKey], revision: int) -> None:
        """Report that these peers are new, changed or gone as of this revision of the bucket."""
        self._dirty.update(peers)
        self._revision = revision
        self._wake.set()

    async def set_private_key(self, private_key: PrivateKey) -> None:
        """Write another private key to the device at once and make it part of the target. Raises BackendError."""
        async with self._pass_lock:
            if self._base:
                self._base = msgspec.structs.replace(self._base, private_key=private_key)
                await self._backend.apply(self.ifname, DevicePatch(private_key=private_key))

    def request_full_pass(self) -> None:
        """Have the next pass read the device and compare all of it: it may have been changed outside Ikto."""
        self._full_pass_due = True
        self._wake.set()

    @property
    def pending_removals(self) -> Set[PublicKey]:
        """Peers that are no longer in the bucket and that the brake still keeps on the device."""
        return self.brake.pending

    def release_removals(self) -> int:
        """Apply all pending removals at the next pass; return how many there are."""
        pending = len(self.brake.pending)
        self.brake.release()
        self.request_full_pass()
        return pending

    async def run(self) -> None:
        """Reconcile whenever there is something to do, and every FULL_PASS_EVERY_S, until cancelled."""
        retry_s = FIRST_RETRY_S
        while True:
            await self._wait_until_due()
            try:
                await self.reconcile()
                retry_s = FIRST_RETRY_S
            except BackendError as error:
                log.warning("sync failed", ifname=self.ifname, error=str(error), next_try_in_s=retry_s)
                await asyncio.sleep(retry_s)
                retry_s = min(retry_s * 2, LONGEST_RETRY_S)

    async def _wait_until_due(self) -> None:
        """Wait for something to do; a full pass is due every FULL_PASS_EVERY_S, even if other passes never stop."""
        loop = asyncio.get_running_loop()  # its clock is time.monotonic
        with suppress(TimeoutError):
            async with asyncio.timeout_at(self._next_check_at):
                await self._wake.wait()
        self._wake.clear()
        if loop.time() >= self._next_check_at:
            self._next_full_pass_at = loop.time() + FULL_PASS_EVERY_S
            self._full_pass_due = True

    @property
    def _next_check_at(self) -> float:
        return min(self._next_full_pass_at, max(self._endpoints.next_check_at, self._pause_ends_at))

    async def reconcile(self) -> None:
        """Make one pass; after it the device shows the target as it was when the pass began.

        Raises BackendError. A part may have been written then, and the next pass reads the device before it writes.
        """
        async with self._pass_lock:
            if self._base is None:
                return
            base, revision = self._base, self._revision
            dirty, self._dirty = self._dirty, set()
            full, self._full_pass_due = self._full_pass_due or self._needs_full_pass(dirty), False
            expect_changes, self._expect_changes = self._expect_changes or bool(dirty), False
            try:
                if full:
                    await self._full_pass(base, expect_changes=expect_changes)
                elif dirty:
                    await self._quick_pass(dirty)
            except BackendError as error:
                self.stats.failures += 1
                self.failure = str(error)
                self._expect_changes = True
                self.request_full_pass()  # a part may have been written
                raise
            self.shown_revision, self.failure = revision, ""
            if revision is not None:
                self.in_sync.set()
                self.on_pass(base)

    async def _full_pass(self, base: DeviceSpec, *, expect_changes: bool) -> None:
        """Read the device and write every difference."""
        self.stats.full_passes += 1
        state = await read_or_create(self._backend, self.ifname)
        self._shown = dict(state.peers)
        self._pause_ends_at = time.monotonic() + ENDPOINT_PAUSE_S_PER_PEER * len(self._shown)
        self._own_peers.update(self._peers)
        self._endpoints.keep_only(self._peers)
        choices = self._choose(self._peers.values())
        specs = {key: self._endpoints.spec(self._peers[key], choice) for key, choice in choices.items()}
        spec = msgspec.structs.replace(base, peers=specs, mtu=base.mtu or self.mtu)
        if self._restoring:
            await self._restore(spec, state, choices)
            return
        # changes that were reported while the device was read, and keys that this read found in use
        expect_changes |= self._expect_changes or bool(self._dirty) or self._endpoints.key_succession.changed
        pending = frozenset(self.brake.pending)
        patch = diff(spec, state, own_peers=self._own_peers)
        patch = msgspec.structs.replace(patch, remove_peers=self._limit_removals(patch.remove_peers))
        if not expect_changes and (repairs := drift(patch, pending)):
            self.stats.drift_repaired += 1
            log.warning("drift: changed outside Ikto", ifname=self.ifname, repairing=summary(repairs))
        await self._apply(patch, choices)

    async def _restore(self, spec: DeviceSpec, state: DeviceState, choices: Mapping[PublicKey, EndpointChoice]) -> None:
        """Write what the device has lost; if it still has peers in the mesh, they stay unchanged."""
        lost = self._lost_peers = self._lost_peers or has_lost_peers(spec, state)
        await self._apply(restoration(spec, state, peers_too=lost), choices if lost else {})
        self._endpoints.remember_restored(choices)

    async def _quick_pass(self, dirty: set[PublicKey]) -> None:
        """Write the changed peers without reading the device."""
        self.stats.quick_passes += 1
        wanted = dirty & self._peers.keys()
        self._own_peers.update(wanted)
        new = [key for key in wanted if key not in self._shown]  # O(changes): `wanted - self._shown.keys()` is O(peers)
        choices = self._choose(self._peers[key] for key in new)
        specs = [self._endpoints.spec(self._peers[key], choices.get(key)) for key in wanted]
        gone = dirty & self._own_peers | self.brake.pending
        surplus = {key for key in gone if key in self._shown and key not in self._peers}
        patch = DevicePatch(peers=diff_peers(specs, self._shown), remove_peers=self._limit_removals(surplus))
        await self._apply(patch, choices)

    async def _apply(self, patch: DevicePatch, choices: Mapping[PublicKey, EndpointChoice]) -> None:
        """Write a patch, then record the peers that the device shows and the choices of their endpoints."""
        if patch:
            await self._backend.apply(self.ifname, patch)
        for peer_patch in patch.peers:
            key = peer_patch.public_key
            self._shown[key] = patched(self._shown.get(key), peer_patch)
        for key in patch.remove_peers:
            self._shown.pop(key, None)
            self._endpoints.forget(key)
        self._endpoints.remember(choices)
        self.stats.peers_written += len(patch.peers)
        self.stats.peers_removed += len(patch.remove_peers)

    def _choose(self, peers: Iterable[MeshPeer]) -> dict[PublicKey, EndpointChoice]:
        """Choose the endpoints of peers that are new or were just read from the device."""
        return self._endpoints.choose(peers, self._shown, Moment(time.monotonic(), time.time()))

    def _needs_full_pass(self, dirty: set[PublicKey]) -> bool:
        """Whether the device must be read before these changed peers are written.

        New endpoint candidates need the last handshake; a peer whose removal was pending may have lost allowed IPs.
        """
        present = dirty & self._peers.keys() & self._shown.keys()
        return any(key in self.brake.pending or self._endpoints.has_new_candidates(self._peers[key]) for key in present)

    def _limit_removals(self, surplus: Set[PublicKey]) -> frozenset[PublicKey]:
        """Return the peers to remove now; the removal of the others is pending. Replaced keys are not limited."""
        replaced = self._endpoints.key_succession.replaced(surplus, self._peers)
        admitted = replaced | self.brake.admit(surplus - replaced, present=len(self._shown), now=time.monotonic())
        if self.brake.pending:
            log.warning("removals pending", ifname=self.ifname, pending=len(self.brake.pending))
        return admitted
