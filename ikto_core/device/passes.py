"""What one pass of the reconciler does to a device: read it, or not, and write the difference to the target.

Work on many peers is done in slices, between which the event loop runs and the target may change.
"""

import time
from collections.abc import Callable, Container, Mapping, Set

import msgspec
import structlog

from ikto_core.device.backend import Backend, read_peers
from ikto_core.device.diff import diff
from ikto_core.device.endpoint_policy import Moment
from ikto_core.device.endpoint_renewal import EndpointRenewal
from ikto_core.device.endpoint_tracker import EndpointTracker
from ikto_core.device.kicker import Kicker
from ikto_core.device.model import DevicePatch, PeerState
from ikto_core.device.observations import Observations
from ikto_core.device.ownership import OwnDevice
from ikto_core.device.pass_schedule import Due
from ikto_core.device.plan import Plan, Rules
from ikto_core.device.plan_writer import PlanWriter, Target
from ikto_core.device.preview import Preview, RecordingBackend
from ikto_core.device.slices import slices
from ikto_core.values.counters import ReconcileCounters
from ikto_core.values.keys import PublicKey
from ikto_core.values.removal_brake import Brake

ENDPOINT_PAUSE_S_PER_PEER = 0.0005
"""Pause between two checks of endpoints, per peer on the device. To read one peer, most backends read all of them, in
about 20 µs a peer, so these checks take a few percent of a processor, whatever the size of the mesh."""

log = structlog.get_logger(__name__)


class DevicePasses:
    """Makes passes on one device, and remembers between them what it shows. Every method raises BackendError.

    After an error the device may show a part of what was to be written: make a full pass next.
    """

    def __init__(
        self,
        backend: Backend,
        ifname: str,
        *,
        endpoints: EndpointTracker,
        brake: Brake[PublicKey],
        kicker: Kicker,
        own_device: OwnDevice,
    ) -> None:
        self.stats = ReconcileCounters()
        self.renewal = EndpointRenewal(backend, ifname)
        self.mtu: int | None = None  # for a target without an MTU; None: leave the MTU of the device
        self.pause_ends_at = 0.0  # before this time endpoints are not checked, by the monotonic clock
        self.endpoints = endpoints
        self.kicker = kicker
        self.observed = Observations(kicker)
        self.contacts = self.observed.contacts
        self.unreachable: Mapping[PublicKey, str] = {}  # peers that can't be reached, as last read, and why
        self.hold_next_keys = True  # put announced next keys on the device: the bucket is not followed
        self._backend = backend
        self._ifname = ifname
        self._brake = brake
        self._own_device = own_device
        self.writer = PlanWriter(backend, ifname, brake, endpoints, kicker, self.observed, self.stats)

    async def preview(self, target: Target, revision: int | None) -> Preview:
        """Return what a full pass would do now, and do nothing; `revision`: of the target."""
        recorder = RecordingBackend(self._backend, self._ifname)
        brake = self._brake.copy()
        twin = DevicePasses(
            recorder,
            self._ifname,
            endpoints=self.endpoints.copy(),
            brake=brake,
            kicker=Kicker(recorder, self._ifname),
            own_device=self._own_device.on(recorder),
        )
        twin.mtu, twin.hold_next_keys = self.mtu, self.hold_next_keys
        twin.writer.lost_peers, twin.writer.own_peers = self.writer.lost_peers, set(self.writer.own_peers)
        nothing = Due(full=False, changed=frozenset(), expected=True)
        await twin.full_pass(target, nothing, lambda: nothing)
        return Preview(
            state=recorder.state,
            deleted=tuple(recorder.deleted),
            created=recorder.created,
            patch=recorder.patch,
            pending_removals=frozenset(brake.pending),
            revision=revision,
        )

    def begin_restoring(self) -> None:
        """Note that the target is a new one."""
        self.writer.lost_peers = False

    def take_contacts(self) -> Set[PublicKey]:
        """Return the peers to send to, once: kicked ones, and those whose session the device does not have any more."""
        return self.contacts.take(unless=self.kicker.draining)

    @property
    def check_at(self) -> float:
        """When endpoints are due to be checked, by the monotonic clock."""
        return max(self.endpoints.next_check_at, self.pause_ends_at)

    def due_checks(self) -> Set[PublicKey]:
        """Return the peers whose endpoints are due to be checked."""
        now = time.monotonic()
        return self.endpoints.due(now) if now >= self.check_at else frozenset()

    async def full_pass(self, target: Target, due: Due, meanwhile: Callable[[], Due]) -> None:
        """Read the device and write every difference: drift, unless it was reported.

        Args:
            target: What the device is to show.
            due: What was reported before the pass.
            meanwhile: Returns what was reported since.

        """
        self.stats.full_passes += 1
        state = await self._own_device.read_or_create()
        judged = await self.observed.take_device(state.peers, target.peers, _now())
        judged |= dict.fromkeys(due.changed)
        state = msgspec.structs.replace(state, peers={})
        self._pause_checks()
        shown = self._shown
        removable = self.writer.own_peers if target.base.keep_foreign_peers else shown.keys()
        plan = self._begin_plan(target, read=shown.keys(), removable=removable)
        await plan.complete(judged, meanwhile)
        self.unreachable = self.observed.unreachable(self.endpoints.without_endpoint)
        base = msgspec.structs.replace(target.base, peers={}, mtu=target.base.mtu or self.mtu)
        await self.writer.write(diff(base, state), plan, target, due, meanwhile)
        self.contacts.wrote_device(time.time())

    async def quick_pass(self, target: Target, due: Due, checks: Set[PublicKey], meanwhile: Callable[[], Due]) -> None:
        """Write the reported peers, and check the endpoints of those in `checks`, without judging the others."""
        self.stats.quick_passes += 1
        pending = frozenset(self._brake.pending)
        judged = due.changed | checks | pending
        stale = {key async for keys in slices(judged) for key in keys if self._must_be_read(key, target, checks)}
        if stale:
            found = await read_peers(self._backend, self._ifname, stale)
            await self.observed.take_some(stale, found, _now())
        if checks:
            self._pause_checks()
        own_peers = self.writer.own_peers
        plan = self._begin_plan(target, read=stale, removable=own_peers | pending if pending else own_peers)
        await plan.complete(judged, meanwhile)
        if checks:
            self.unreachable = self.observed.unreachable(self.endpoints.without_endpoint)
        await self.writer.write(DevicePatch(), plan, target, due, meanwhile)

    async def kick(self) -> None:
        """Kick the new peers whose first handshake got no answer in time."""
        shown, kicked, to_contact = await self.kicker.check()
        self.observed.saw_sessions(shown)
        for key, peer in kicked.items():
            self.observed.shown.set(key, peer)
            self.endpoints.kicked(key)
        if kicked:
            self.stats.kicks += len(kicked)
            self.contacts.add(to_contact)
            log.info("first handshakes restarted: no answer", ifname=self._ifname, peers=len(kicked))

    async def renew_endpoints(self) -> None:
        """Write the endpoints whose `renewal` was requested, and contact their peers from this host's new address."""
        self.contacts.add(await self.renewal.write())

    @property
    def _shown(self) -> Mapping[PublicKey, PeerState]:
        """The peers on the device, as last read and written."""
        return self.observed.shown.states

    def _pause_checks(self) -> None:
        self.pause_ends_at = time.monotonic() + ENDPOINT_PAUSE_S_PER_PEER * len(self._shown)

    def _begin_plan(self, target: Target, *, read: Container[PublicKey], removable: Container[PublicKey]) -> Plan:
        """Return an empty plan. `read`: the peers that were just read; `removable`: those that may be removed."""
        self.endpoints.begin_pass(target.peers)
        self.observed.shown.begin_judging()
        rules = Rules(
            peers=target.peers,
            shown=self._shown,
            read=read,
            removable=removable,
            hold_next_keys=self.hold_next_keys,
            at=_now(),
        )
        return Plan(rules, self.endpoints)

    def _must_be_read(self, key: PublicKey, target: Target, checks: Set[PublicKey]) -> bool:
        """Return whether a peer on the device must be read before it is judged.

        New endpoint candidates need the last handshake; a peer whose removal was pending may have lost allowed IPs.
        """
        peer = target.peers.get(key)
        if peer is None or key not in self._shown:
            return False
        return key in checks or key in self._brake.pending or self.endpoints.has_new_candidates(peer)


def _now() -> Moment:
    return Moment(time.monotonic(), time.time())
