"""What one pass of the reconciler does to a device: read it, or not, and write the difference to the target."""

import time
from collections.abc import Callable, Iterable, Mapping, Set

import msgspec
import structlog

from ikto_core.device.backend import Backend, read_peers
from ikto_core.device.contact_times import ContactTimes
from ikto_core.device.contacts import Contacts
from ikto_core.device.diff import diff, diff_peers, drift, has_lost_peers, patched, restoration, summary
from ikto_core.device.endpoint_policy import EndpointChoice, Moment
from ikto_core.device.endpoint_renewal import EndpointRenewal
from ikto_core.device.endpoint_tracker import EndpointTracker
from ikto_core.device.kicker import Kicker
from ikto_core.device.model import DevicePatch, DeviceSpec, DeviceState, PeerSpec, PeerState
from ikto_core.device.ownership import OwnDevice
from ikto_core.device.preview import Preview, RecordingBackend
from ikto_core.device.silence import SilenceTracker, reasons
from ikto_core.device.stalled import StallTracker
from ikto_core.mesh.peer_index import MeshPeer
from ikto_core.values.counters import ReconcileCounters
from ikto_core.values.keys import PublicKey
from ikto_core.values.removal_brake import Brake

ENDPOINT_PAUSE_S_PER_PEER = 0.0005
"""Pause between a full pass and the next one that only checks endpoints, per peer on the device. Reading and comparing
a peer takes about 20 µs, so these passes take a few percent of a processor, whatever the size of the mesh."""

log = structlog.get_logger(__name__)


class Target(msgspec.Struct, frozen=True):
    """The desired state of a device."""

    base: DeviceSpec  # without its peers
    peers: Mapping[PublicKey, MeshPeer]  # may change in place
    restoring: bool = False  # it may be out of date: write only what the device has lost, see `diff.restoration`


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
        self.contacts = Contacts()
        self.renewal = EndpointRenewal(backend, ifname)
        self.mtu: int | None = None  # for a target without an MTU; None: leave the MTU of the device
        self.pause_ends_at = 0.0  # before this time endpoints are not checked, by the monotonic clock
        self.endpoints = endpoints
        self.kicker = kicker
        self.stalls = StallTracker()
        self.silence = SilenceTracker()
        self.contact_times = ContactTimes()
        self.unreachable: Mapping[PublicKey, str] = {}  # peers that can't be reached, as of the last full pass, and why
        self._backend = backend
        self._ifname = ifname
        self._brake = brake
        self._own_device = own_device
        self._lost_peers = False  # while restoring: the device had no peers in the mesh
        self._shown: dict[PublicKey, PeerState] = {}  # the peers on the device, as last read and written
        self._own_peers: set[PublicKey] = set()  # peers that Ikto has put on the device
        self.hold_next_keys = True  # put announced next keys on the device: the bucket is not followed

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
        twin.mtu, twin.hold_next_keys, twin._lost_peers = self.mtu, self.hold_next_keys, self._lost_peers
        twin._own_peers = set(self._own_peers)
        await twin.full_pass(target, lambda: True)
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
        self._lost_peers = False

    def take_contacts(self) -> Set[PublicKey]:
        """Return the peers to send to, once: kicked ones, and those whose session the device does not have any more."""
        return self.contacts.take(unless=self.kicker.draining)

    async def full_pass(self, target: Target, changes_expected: Callable[[], bool]) -> None:
        """Read the device and write every difference: drift, unless changes are expected once the device was read."""
        self.stats.full_passes += 1
        state = await self._own_device.read_or_create()
        self._shown = dict(state.peers)
        self.kicker.note_draining(target.peers.values())
        self.stalls.observe(state.peers, time.monotonic())
        self.silence.observe(state.peers, Moment(time.monotonic(), time.time()))
        self._saw({key: peer for key, peer in state.peers.items() if key in target.peers})
        self.contacts.read_device(state.peers.keys(), target.peers.keys())
        self.pause_ends_at = time.monotonic() + ENDPOINT_PAUSE_S_PER_PEER * len(self._shown)
        self._own_peers.update(target.peers)
        self.endpoints.keep_only(target.peers)
        choices = self._choose(peer for peer in target.peers.values() if self._is_wanted(peer))
        without_endpoint = self.endpoints.without_endpoint
        self.unreachable = dict(reasons(self.silence.silent, self.stalls.stalled, without_endpoint, state.peers))
        specs = {key: self.endpoints.spec(target.peers[key], choice) for key, choice in choices.items()}
        spec = msgspec.structs.replace(target.base, peers=specs, mtu=target.base.mtu or self.mtu)
        if target.restoring:
            await self._restore(spec, state, choices)
            self.contacts.wrote_device(time.time())
            return
        pending = frozenset(self._brake.pending)
        patch = diff(spec, state, own_peers=self._own_peers)
        patch = msgspec.structs.replace(patch, remove_peers=self._limit_removals(patch.remove_peers, specs.values()))
        expected = self.endpoints.key_succession.changed or changes_expected()  # keys that this read found in use
        if not expected and (repairs := drift(patch, pending)):
            self.stats.drift_repaired += 1
            log.warning("drift: changed outside Ikto", ifname=self._ifname, repairing=summary(repairs))
        self.contacts.replaced(patch.remove_peers, specs.values(), self._shown, time.time())
        await self._apply(patch, choices)
        self.contacts.wrote_device(time.time())

    async def quick_pass(self, target: Target, changed: Set[PublicKey]) -> None:
        """Write the changed peers without reading the others."""
        self.stats.quick_passes += 1
        wanted = {key for key in changed & target.peers.keys() if self._is_wanted(target.peers[key])}
        self._own_peers.update(wanted)
        self.kicker.note_draining(target.peers[key] for key in wanted)
        stale = {key for key in wanted if key in self._shown and self._must_be_read(target.peers[key])}
        await self._refresh(stale)
        wanted &= target.peers.keys()  # which may have changed while some were read
        choices = self._choose(target.peers[key] for key in wanted if key in stale or key not in self._shown)
        specs = [self.endpoints.spec(target.peers[key], choices.get(key)) for key in wanted]
        gone = changed & self._own_peers | self._brake.pending
        surplus = {key for key in gone if key in self._shown and key not in target.peers}
        patch = DevicePatch(peers=diff_peers(specs, self._shown), remove_peers=self._limit_removals(surplus, specs))
        self.contacts.replaced(patch.remove_peers, specs, self._shown, time.time())
        await self._apply(patch, choices)

    async def kick(self) -> None:
        """Kick the new peers whose first handshake got no answer in time."""
        shown, kicked, to_contact = await self.kicker.check()
        self.contacts.sessions.saw(shown)
        self.contact_times.saw(shown, time.time())
        for key, peer in kicked.items():
            self._shown[key] = peer
            self.endpoints.kicked(key)
        if kicked:
            self.stats.kicks += len(kicked)
            self.contacts.add(to_contact)
            log.info("first handshakes restarted: no answer", ifname=self._ifname, peers=len(kicked))

    async def renew_endpoints(self) -> None:
        """Write the endpoints whose `renewal` was requested, and contact their peers from this host's new address."""
        self.contacts.add(await self.renewal.write())

    def _saw(self, peers: Mapping[PublicKey, PeerState]) -> None:
        self.kicker.seen(peers)
        self.contacts.sessions.saw(peers)
        self.contact_times.saw(peers, time.time())

    async def _restore(self, spec: DeviceSpec, state: DeviceState, choices: Mapping[PublicKey, EndpointChoice]) -> None:
        """Write what the device has lost; if it still has peers in the mesh, they stay unchanged."""
        lost = self._lost_peers = self._lost_peers or has_lost_peers(spec, state)
        await self._apply(restoration(spec, state, peers_too=lost), choices if lost else {})
        self.endpoints.remember_restored(choices)

    async def _apply(self, patch: DevicePatch, choices: Mapping[PublicKey, EndpointChoice]) -> None:
        """Write a patch, then record the peers that the device shows and the choices of their endpoints."""
        if patch:
            await self._backend.apply(self._ifname, patch)
        new = [peer.public_key for peer in patch.peers if peer.public_key not in self._shown]
        self.kicker.added(new)
        self.contact_times.added(new, time.time())
        for peer_patch in patch.peers:
            key = peer_patch.public_key
            self._shown[key] = patched(self._shown.get(key), peer_patch)
        for key in patch.remove_peers:
            self._shown.pop(key, None)
            self.endpoints.forget(key)
            self.kicker.removed(key)
        self._own_peers -= patch.remove_peers
        self.endpoints.remember(choices)
        self.stats.peers_written += len(patch.peers)
        self.stats.peers_removed += len(patch.remove_peers)

    def _choose(self, peers: Iterable[MeshPeer]) -> dict[PublicKey, EndpointChoice]:
        """Choose the endpoints of peers that are new or were just read from the device."""
        return self.endpoints.choose(peers, self._shown, Moment(time.monotonic(), time.time()))

    def _must_be_read(self, peer: MeshPeer) -> bool:
        """Return whether a changed peer must be read before it is written.

        New endpoint candidates need the last handshake; a peer whose removal was pending may have lost allowed IPs.
        """
        return peer.public_key in self._brake.pending or self.endpoints.has_new_candidates(peer)

    async def _refresh(self, keys: Set[PublicKey]) -> None:
        """Read a few peers again."""
        if keys:
            found = await read_peers(self._backend, self._ifname, keys)
            self.contacts.sessions.saw(found)
            for key in keys - found.keys():
                del self._shown[key]
            self._shown.update(found)

    def _is_wanted(self, peer: MeshPeer) -> bool:
        """Return whether a peer belongs on the device. A next key does only while the bucket is not followed.

        If the bucket is followed, it shows at once that the key is used. The device must not answer the key before: the
        peer would send then, and its packets would be dropped until its prefixes belong to the new key.
        """
        return peer.predecessor is None or self.hold_next_keys or peer.public_key in self._shown

    def _limit_removals(self, surplus: Set[PublicKey], specs: Iterable[PeerSpec]) -> frozenset[PublicKey]:
        """Return the peers to remove now; the removal of the others is pending.

        The removal of a peer whose prefixes all belong to other peers is not limited: its key was replaced. Nor is that
        of a peer that Ikto has put there and that has no prefix, such as a next key that was announced and never used.
        """
        kept = frozenset(prefix for spec in specs for prefix in spec.allowed_ips) if surplus else frozenset()
        unlimited = (key for key in surplus if self._shown[key].allowed_ips or key in self._own_peers)
        replaced = frozenset(key for key in unlimited if self._shown[key].allowed_ips <= kept)
        return replaced | self._brake.admit(surplus - replaced, present=len(self._shown), now=time.monotonic())
