"""Keeping the WireGuard device equal to the mesh: whole when in doubt, and else only what changed."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Set
from contextlib import suppress

import msgspec
import structlog

from ikto_core.device.backend import Backend, read_or_create
from ikto_core.device.diff import diff, diff_peers, has_lost_peers, patched, restoration, summary, unasked
from ikto_core.device.endpoint_policy import Choice, Moment
from ikto_core.device.endpoint_tracker import EndpointTracker
from ikto_core.device.model import DevicePatch, DeviceSpec, DeviceState, Interface, PeerState
from ikto_core.device.removal_brake import BrakeLimits, RemovalBrake
from ikto_core.errors import BackendError
from ikto_core.mesh.view import MeshPeer
from ikto_core.values.counters import ReconcileCounters
from ikto_core.values.keys import PrivateKey, PublicKey

FULL_PASS_EVERY_S = 60.0
"""How often the device is read and compared although nothing happened: drift is repaired and reported."""

REST_S_PER_PEER = 0.0005
"""How long the device is not looked at again for a peer's endpoint, for each peer that it has: to read and compare one
takes about 20 µs, so that all the looks take a few percent of a processor, however large the mesh."""

FIRST_RETRY_S = 0.5
LONGEST_RETRY_S = 30.0

log = structlog.get_logger(__name__)


class Reconciler:
    """Drives one device through a backend.

    Give it a `set_target`, tell it what `changed`, and `run` it. `shown_revision` is the bucket's revision that the
    device shows; None until it has shown one.
    """

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
        self.shown_revision: int | None = None
        self.in_sync = asyncio.Event()  # the device has shown a complete view at least once
        self.on_pass: Callable[[DeviceSpec], None] = lambda _: None  # called with what the device shows, but its peers
        self.failure = ""  # why the device is not what it should be; empty: it is, as far as we know
        self.stats = ReconcileCounters()
        self._backend = backend
        self._base: DeviceSpec | None = None  # everything but the peers; None: hands off
        self.mtu: int | None = None  # for a target without one; None: leave what the device has
        self._peers: Mapping[PublicKey, MeshPeer] = {}
        self._revision: int | None = None
        self._dirty: set[PublicKey] = set()
        self._restoring = False  # the peers may be out of date: see `set_target`
        self._lost_peers = False  # while restoring: the device was found without peers in the mesh
        self._whole_due = True  # the device must be read before anything is written
        self._expecting = True  # the next whole pass will find something to do, and that is not drift
        self._shown: dict[PublicKey, PeerState] = {}  # the peers that the device shows, as far as we know
        self._ours: set[PublicKey] = set()  # peers that we put there
        self._endpoints = endpoints or EndpointTracker()
        self._wake = asyncio.Event()
        self._passing = asyncio.Lock()
        self._whole_at = 0.0  # the event loop's time at which the whole device is due, whatever happens
        self._rested_at = 0.0  # and the one before which no peer's endpoint is a reason to look at it

    @property
    def addresses(self) -> frozenset[Interface]:
        """What the device's addresses should be; none until there is a target."""
        return self._base.addresses if self._base else frozenset()

    # -- what to aim at --------------------------------------------------------------------------------------------

    def set_target(
        self, base: DeviceSpec, peers: Mapping[PublicKey, MeshPeer], revision: int | None, *, restoring: bool = False
    ) -> None:
        """Aim at this device with these peers; `peers` is read again at every pass, so it may change in place.

        With `restoring` only what the device has lost is written; see `diff.restoration`.
        """
        self._base, self._peers, self._revision = base, peers, revision
        self._restoring, self._lost_peers = restoring, False
        self._expecting = True
        self.request_full_pass()

    def set_mtu(self, mtu: int) -> None:
        """Give the device this MTU from now on, unless the target has one of its own."""
        if mtu != self.mtu:
            self.mtu = mtu
            self._expecting = True
            self.request_full_pass()

    def mark_changed(self, peers: Iterable[PublicKey], revision: int) -> None:
        """Say that these peers are new, changed or gone as of this revision of the bucket."""
        self._dirty.update(peers)
        self._revision = revision
        self._wake.set()

    async def set_private_key(self, private_key: PrivateKey) -> None:
        """Give the device another key at once, and aim at that from now on. Raises BackendError."""
        async with self._passing:
            if self._base:
                self._base = msgspec.structs.replace(self._base, private_key=private_key)
                await self._backend.apply(self.ifname, DevicePatch(private_key=private_key))

    def request_full_pass(self) -> None:
        """Read the whole device at the next pass: somebody else may have changed it."""
        self._whole_due = True
        self._wake.set()

    @property
    def pending_removals(self) -> Set[PublicKey]:
        """Peers that are still on the device although the bucket does not have them: the brake holds them back."""
        return self.brake.pending

    def release_removals(self) -> int:
        """Apply all pending removals at the next pass; return how many there are."""
        pending = len(self.brake.pending)
        self.brake.release()
        self.request_full_pass()
        return pending

    # -- getting there ---------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Reconcile whenever there is something to do, and every FULL_PASS_EVERY_S, until cancelled."""
        retry_s = FIRST_RETRY_S
        while True:
            await self._due()
            try:
                await self.reconcile()
                retry_s = FIRST_RETRY_S
            except BackendError as error:
                log.warning("device not in step", ifname=self.ifname, error=str(error), next_try_in_s=retry_s)
                await asyncio.sleep(retry_s)
                retry_s = min(retry_s * 2, LONGEST_RETRY_S)

    async def _due(self) -> None:
        """Wait for something to do; the whole device is due every FULL_PASS_EVERY_S, however much else there is."""
        loop = asyncio.get_running_loop()  # its clock is time.monotonic
        with suppress(TimeoutError):
            async with asyncio.timeout_at(self._look_at):
                await self._wake.wait()
        self._wake.clear()
        if loop.time() >= self._look_at:
            self._whole_at = loop.time() + FULL_PASS_EVERY_S
            self._whole_due = True

    @property
    def _look_at(self) -> float:
        return min(self._whole_at, max(self._endpoints.look_at, self._rested_at))

    async def reconcile(self) -> None:
        """Make one pass; afterwards the device shows what the target was when it began.

        Raises BackendError; a part may be written then, and the next pass reads the device before it writes.
        """
        async with self._passing:
            if self._base is None:
                return
            base, revision = self._base, self._revision
            dirty, self._dirty = self._dirty, set()
            whole, self._whole_due = self._whole_due or self._moved(dirty), False
            expecting, self._expecting = self._expecting or bool(dirty), False
            try:
                if whole:
                    await self._whole(base, expecting=expecting)
                elif dirty:
                    await self._quick(dirty)
            except BackendError as error:
                self.stats.failures += 1
                self.failure = str(error)
                self._expecting = True
                self.request_full_pass()  # errors are not atomic
                raise
            self.shown_revision, self.failure = revision, ""
            if revision is not None:
                self.in_sync.set()
                self.on_pass(base)

    async def _whole(self, base: DeviceSpec, *, expecting: bool) -> None:
        """Read the device, and write whatever is not as it should be."""
        self.stats.full_passes += 1
        state = await read_or_create(self._backend, self.ifname)
        self._shown = dict(state.peers)
        self._rested_at = time.monotonic() + REST_S_PER_PEER * len(self._shown)
        self._ours.update(self._peers)
        self._endpoints.forget_others(self._peers)
        choices = self._choose(self._peers.values())
        specs = {key: self._endpoints.spec(self._peers[key], choice) for key, choice in choices.items()}
        spec = msgspec.structs.replace(base, peers=specs, mtu=base.mtu or self.mtu)
        if self._restoring:
            await self._restore(spec, state, choices)
            return
        expecting |= (
            self._expecting or bool(self._dirty) or self._endpoints.key_succession.turned
        )  # known as of this look
        pending = frozenset(self.brake.pending)
        patch = diff(spec, state, ours=self._ours)
        patch = msgspec.structs.replace(patch, remove_peers=self._braked(patch.remove_peers))
        if not expecting and (drift := unasked(patch, pending)):
            self.stats.drift_repaired += 1
            log.warning("the device was changed by another hand", ifname=self.ifname, repairing=summary(drift))
        await self._apply(patch, choices)

    async def _restore(self, spec: DeviceSpec, state: DeviceState, choices: Mapping[PublicKey, Choice]) -> None:
        """Give the device back what it has lost; one that has peers in the mesh keeps them as they are."""
        lost = self._lost_peers = self._lost_peers or has_lost_peers(spec, state)
        await self._apply(restoration(spec, state, peers_too=lost), choices if lost else {})
        self._endpoints.found(choices)

    async def _quick(self, dirty: set[PublicKey]) -> None:
        """Write what is new about a few peers, without a look at the others."""
        self.stats.quick_passes += 1
        wanted = dirty & self._peers.keys()
        self._ours.update(wanted)
        new = [key for key in wanted if key not in self._shown]  # a set less a dict's keys walks through all of these
        choices = self._choose(self._peers[key] for key in new)
        specs = [self._endpoints.spec(self._peers[key], choices.get(key)) for key in wanted]
        gone = dirty & self._ours | self.brake.pending
        surplus = {key for key in gone if key in self._shown and key not in self._peers}
        patch = DevicePatch(peers=diff_peers(specs, self._shown), remove_peers=self._braked(surplus))
        await self._apply(patch, choices)

    async def _apply(self, patch: DevicePatch, choices: Mapping[PublicKey, Choice]) -> None:
        """Write a patch, and remember what the device shows since and what was chosen for its peers."""
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

    def _choose(self, peers: Iterable[MeshPeer]) -> dict[PublicKey, Choice]:
        """Choose endpoints for peers of which we know all that the device shows."""
        return self._endpoints.choose(peers, self._shown, Moment(time.monotonic(), time.time()))

    def _moved(self, dirty: set[PublicKey]) -> bool:
        """Whether the device must be read before these peers are written.

        One may need another endpoint, and its last handshake tells; or it was pending, and lost allowed IPs meanwhile.
        """
        both = dirty & self._peers.keys() & self._shown.keys()
        return any(key in self.brake.pending or self._endpoints.is_news(self._peers[key]) for key in both)

    def _braked(self, surplus: Set[PublicKey]) -> frozenset[PublicKey]:
        replaced = self._endpoints.key_succession.replaced(surplus, self._peers)
        admitted = replaced | self.brake.admit(surplus - replaced, present=len(self._shown), now=time.monotonic())
        if self.brake.pending:
            log.warning("removals pending", ifname=self.ifname, pending=len(self.brake.pending))
        return admitted
