"""Keeps the WireGuard device in sync with the mesh: full passes compare all of it, quick ones write a few peers."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Set

import msgspec
import structlog

from ikto_core.device.backend import Backend
from ikto_core.device.endpoint_tracker import EndpointTracker
from ikto_core.device.kicker import Kicker
from ikto_core.device.model import DevicePatch, DeviceSpec, Interface
from ikto_core.device.ownership import DeviceOwner, OwnDevice
from ikto_core.device.pass_schedule import PassSchedule
from ikto_core.device.passes import DevicePasses
from ikto_core.device.plan_writer import Target
from ikto_core.device.preview import Preview
from ikto_core.errors import BackendError, ForeignDeviceError
from ikto_core.mesh.peer_index import MeshPeer
from ikto_core.values.counters import ReconcileCounters
from ikto_core.values.keys import PrivateKey, PublicKey
from ikto_core.values.removal_brake import Brake, BrakeLimits

FIRST_RETRY_S, LONGEST_RETRY_S = 0.5, 30.0

PASS_OVERDUE_S = 600.0
"""A pass is tried every FULL_PASS_EVERY_S at least, and takes minutes only if several calls reach their limits."""

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
        own_key: PublicKey | None = None,
        owner: DeviceOwner | None = None,
    ) -> None:
        self.ifname = ifname
        self.brake = Brake[PublicKey](limits or BrakeLimits())
        self.shown_revision: int | None = None  # the bucket's revision that the device shows
        self.in_sync = asyncio.Event()  # set once the device has shown a complete view
        self.shows_target = False  # the device has shown the present target
        self.failure = self.hint = ""  # why the last pass failed and what to do about it; empty: it succeeded
        self.on_pass: Callable[[DeviceSpec], None] = lambda _: None  # called with the target after each pass
        self.on_outcome: Callable[[], None] = lambda: None  # called after each pass, also one that failed
        self.on_contact: Callable[[Set[PublicKey]], None] = lambda _: None  # called with peers that need a new session
        self.own_device = OwnDevice(backend, ifname, owner or DeviceOwner())
        self._backend = backend
        self._passes = DevicePasses(
            backend,
            ifname,
            endpoints=endpoints or EndpointTracker(),
            brake=self.brake,
            kicker=Kicker(backend, ifname, own_key),
            own_device=self.own_device,
        )
        self.earlier_peers = self._passes.observed.stalls.earlier  # as full passes read them
        self.stats: ReconcileCounters = self._passes.stats
        self.contact_times = self._passes.observed.contact_times
        self._target: Target | None = None  # None: do not touch the device
        self._revision: int | None = None
        self._schedule = PassSchedule()
        self._pass_lock = asyncio.Lock()
        self._last_pass_at = time.monotonic()  # when a pass last began or ended

    @property
    def addresses(self) -> frozenset[Interface]:
        """The addresses of the target; empty until there is a target."""
        return self._target.base.addresses if self._target else frozenset()

    @property
    def private_address(self) -> str | None:
        """The address of the target, without its length; None while no subnet is claimed."""
        return next((str(address.ip) for address in self.addresses), None)

    @property
    def mtu(self) -> int | None:
        """The MTU for a target that names none; None: the device keeps its own."""
        return self._passes.mtu

    @property
    def overdue(self) -> bool:
        """Whether for PASS_OVERDUE_S no pass has begun or ended, not even with a failure."""
        return time.monotonic() - self._last_pass_at > PASS_OVERDUE_S

    @property
    def stalled(self) -> Set[PublicKey]:
        """Peers whose tunnel passes packets one way only."""
        return self._passes.observed.stalls.stalled

    @property
    def pending_removals(self) -> Set[PublicKey]:
        """Peers that are no longer in the bucket and that the brake still keeps on the device."""
        return self.brake.pending

    def kicks_of(self, key: PublicKey) -> int:
        """Return how often the first handshake with a peer was started over; 0 once there is a session."""
        return self._passes.kicker.kicks_of(key)

    @property
    def unreachable(self) -> Mapping[PublicKey, str]:
        """Peers that can't be reached, as last read, and why."""
        return self._passes.unreachable

    @property
    def without_endpoint(self) -> Mapping[PublicKey, str]:
        """Peers that have no usable endpoint, and why."""
        return self._passes.endpoints.without_endpoint

    def set_target(
        self, base: DeviceSpec, peers: Mapping[PublicKey, MeshPeer], revision: int | None, *, restoring: bool = False
    ) -> None:
        """Set the desired state of the device; `peers` is read again at every pass, so it may change in place.

        With `restoring`, passes write only what the device has lost: see `diff.restoration`.
        """
        self._target, self._revision = Target(base, peers, restoring), revision
        self.shows_target = False
        self._passes.begin_restoring()
        self._schedule.request_full_pass(changes_expected=True)

    def set_mtu(self, mtu: int) -> None:
        """Set the MTU of the device, unless the target names one."""
        if mtu != self._passes.mtu:
            self._passes.mtu = mtu
            self._schedule.request_full_pass(changes_expected=True)

    def mark_changed(self, peers: Iterable[PublicKey], revision: int) -> None:
        """Report that these peers are new, changed or gone as of this revision of the bucket."""
        self._revision = revision
        self._schedule.mark_changed(peers)

    async def set_private_key(self, private_key: PrivateKey) -> None:
        """Write another private key to the device at once and make it part of the target. Raises BackendError."""
        async with self._pass_lock:
            if self._target:
                base = msgspec.structs.replace(self._target.base, private_key=private_key)
                self._target = msgspec.structs.replace(self._target, base=base)
                await self._backend.apply(self.ifname, DevicePatch(private_key=private_key))

    async def delete_device(self) -> None:
        """Delete the device, and do nothing more to it before another `set_target`.

        Raises BackendError; ForeignDeviceError if the device is not this node's.
        """
        async with self._pass_lock:
            self._target, self.shows_target = None, False
            await self.own_device.delete()

    def check_routes(self) -> None:
        """Have the next full pass check all endpoints: routes of this host may have changed."""
        self._passes.observed.shown.unsettle()

    def request_full_pass(self) -> None:
        """Have the next pass read the device and compare all of it: it may have been changed outside Ikto."""
        self._schedule.request_full_pass()

    def recent_sessions(self) -> Set[PublicKey]:
        """Return the peers that had a session lately, on this device or on one before it."""
        return self._passes.contacts.sessions.recent(time.time())

    def renew_endpoints(self) -> None:
        """Contact the peers with a recent session from this host's new address, with their endpoints written again."""
        self._passes.renewal.request(self.recent_sessions())
        self._schedule.wake()

    def restore_sessions(self, peers: Iterable[PublicKey]) -> None:
        """Record that these peers had a session lately: they had one when an earlier run ended."""
        self._passes.contacts.sessions.restore(peers, time.time())

    def set_bucket_followed(self, *, followed: bool) -> None:
        """Set whether changes of the bucket are seen at once; if not, peers' next keys are put on the device."""
        self._passes.hold_next_keys = not followed
        if self._target and not followed:
            self._schedule.mark_changed(self._passes.writer.next_keys)

    def release_removals(self) -> int:
        """Apply all pending removals at the next pass; return how many there are."""
        self.brake.release()
        self.request_full_pass()
        return len(self.brake.pending)

    async def run(self) -> None:
        """Reconcile whenever something is to do, and every FULL_PASS_EVERY_S. Raises ForeignDeviceError, no other."""
        retry_s = FIRST_RETRY_S
        while True:
            await self._schedule.wait(check_at=self._passes.check_at, watch_at=self._passes.kicker.next_check_at)
            try:
                await self.reconcile()
                retry_s = FIRST_RETRY_S
            except ForeignDeviceError:
                raise
            except BackendError as error:
                log.warning("sync failed", ifname=self.ifname, error=str(error), hint=error.hint, next_try_in_s=retry_s)
                await asyncio.sleep(retry_s)
                retry_s = min(retry_s * 2, LONGEST_RETRY_S)

    async def reconcile(self) -> None:
        """Make one pass; after it the device shows the target as it was when the pass began.

        Raises BackendError. A part may have been written then, and the next pass reads the device before it writes.
        """
        async with self._pass_lock:
            self._last_pass_at = time.monotonic()
            if self._target is None:
                return
            target, revision = self._target, self._revision
            try:
                await self._pass(target)
            except BaseException as error:  # a cancelled pass, too, may have written a part
                self._schedule.request_full_pass(changes_expected=True)
                if isinstance(error, BackendError):
                    self.stats.failures += 1
                    self.failure, self.hint = str(error), error.hint
                    self.on_outcome()
                raise
            finally:
                self._last_pass_at = time.monotonic()
            self.shown_revision, self.shows_target = revision, self._target is target
            self.failure = self.hint = ""
            self.on_outcome()
            if revision is not None:
                self.in_sync.set()
                self.on_pass(target.base)
            if contacts := self._passes.take_contacts():
                self.on_contact(contacts)

    async def preview(self) -> Preview:
        """Return what a full pass would do now, and do nothing; nothing without a target. Raises BackendError."""
        async with self._pass_lock:
            return await self._passes.preview(self._target, self._revision) if self._target else Preview()

    async def _pass(self, target: Target) -> None:
        due, checks = self._schedule.take(), self._passes.due_checks()
        if due.full:
            await self._passes.full_pass(target, due, self._schedule.peek)
        elif due.changed or checks:
            await self._passes.quick_pass(target, due, checks, self._schedule.peek)
        await self._passes.renew_endpoints()
        await self._passes.kick()
