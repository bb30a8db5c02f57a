"""The agent's own state as the views of its admin interface. Reads the device; does no other I/O."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence, Set

from ikto_core import __version__
from ikto_core.admin.device_views import DeviceView, DiffView
from ikto_core.admin.mesh_views import InfoView, PeersView
from ikto_core.admin.showing import (
    is_proved,
    lease_view,
    observer_views,
    quarantined_view,
    record_view,
    subnets_of_keys,
    unreachable_views,
)
from ikto_core.admin.showing_changes import diff_view
from ikto_core.admin.views import AgentState, CountersView, ProgressView, RotationView, StatusView
from ikto_core.admin.why_views import Diagnosis
from ikto_core.agent.condition import Condition
from ikto_core.agent.counters_view import counters_view
from ikto_core.agent.credentials_view import credentials_view
from ikto_core.agent.departure import Departure
from ikto_core.agent.device_reading import READ_TIMEOUT_S, read_device
from ikto_core.agent.inquiry import Inquiry
from ikto_core.agent.key_rotation import KeyRotation
from ikto_core.agent.large_views import sliced_device_view, sliced_peer_views
from ikto_core.agent.rotation_view import rotation_view
from ikto_core.agent.snapshot_view import snapshot_view
from ikto_core.agent.timings_view import timings_view
from ikto_core.claim.controller import ClaimController
from ikto_core.claim.desired_state import DesiredState
from ikto_core.claim.local_node import LocalNode
from ikto_core.device.bounded_backend import BoundedBackend
from ikto_core.device.model import DeviceState, PeerState
from ikto_core.device.reconciler import Reconciler
from ikto_core.disk.snapshot_writer import SnapshotWriter
from ikto_core.disk.state_file import StateFile
from ikto_core.errors import BackendError
from ikto_core.lease.renewer import LeaseRenewer
from ikto_core.mesh.peer_index import MeshPeer
from ikto_core.observers.journal import Journal
from ikto_core.observers.runner import ObserverRun
from ikto_core.store.connection import Connection
from ikto_core.values.keys import PublicKey


class Report:
    """Implements AgentInterface from what the agent's parts show at the moment."""

    def __init__(
        self,
        node: LocalNode,
        *,
        backend_name: str,
        controller: ClaimController,
        desired_state: DesiredState,
        reconciler: Reconciler,
        connection: Connection,
        backend: BoundedBackend,
        snapshot_writer: SnapshotWriter,
        state: StateFile,
        rotation: KeyRotation,
        departure: Departure,
        leases: LeaseRenewer,
        inquiry: Inquiry,
        observers: Sequence[ObserverRun] = (),
        journal: Journal | None = None,
        metrics_peers: int = 200,
        settings: Callable[[], Mapping[str, object]] = dict,
    ) -> None:
        self.condition = Condition(controller, desired_state, reconciler, connection, backend)
        self.journal = journal or Journal()
        self.metrics_peers = metrics_peers
        self._node = node
        self.departure = departure
        self._backend_name = backend_name
        self._controller = controller
        self._desired_state = desired_state
        self._reconciler = reconciler
        self._connection = connection
        self._backend = backend
        self._snapshot_writer = snapshot_writer
        self._state_file = state
        self._rotation = rotation
        self._leases = leases
        self._inquiry = inquiry
        inquiry.agent_state = lambda: self.state.value
        self._observers = observers
        self._settings = settings

    @property
    def state(self) -> AgentState:
        """How far the agent has come, as of the last pass on the device."""
        return self.condition.state(device_failed=self.condition.failure is not None)

    @property
    def ready(self) -> bool:
        """Whether the device shows the mesh."""
        return self.condition.ready

    def info(self) -> InfoView:
        """Return this node's record and every accepted one of the peers."""
        accepted = [a for peer in self.accepted_peers().values() for a in peer.records]
        record = self._controller.record
        return InfoView(
            own=record_view(record) if record else None,
            peers=tuple(record_view(a.record) for a in sorted(accepted, key=lambda a: a.subnet)),
        )

    def progress(self) -> ProgressView:
        """Return how far the agent is, without reading the device."""
        return self.condition.progress()

    async def status(self) -> StatusView:
        """Return everything that the agent knows of itself; a device that can't be read is reported in it."""
        device, unread = await self.read_device()
        failure = self.condition.failure or unread
        shown = await self._device(device) if device else None
        view, subnet = self._desired_state.view, self._desired_state.subnet
        return StatusView(
            state=self.condition.state(device_failed=failure is not None),
            ready=self.ready,
            version=__version__,
            name=self._node.name,
            public_key=view.rules.own_key.text,
            private_address=self._reconciler.private_address,
            allowed_ip=str(subnet) if subnet else None,
            ifname=self._node.ifname,
            backend=self._backend_name,
            nats=self.condition.nats(),
            snapshot=snapshot_view(self._snapshot_writer, self._state_file, in_use=self._desired_state.is_snapshot),
            lease=lease_view(self._leases),
            credentials=credentials_view(self._node.user, self._kv_key, time.time()),
            revision=self._reconciler.shown_revision,
            bucket_revision=self._controller.follower.bucket_revision,
            accepted=len(view.peers),
            unproved=sum(not is_proved(peer) for peer in view.peers.values()),
            quarantined=tuple(quarantined_view(view.quarantined[key]) for key in sorted(view.quarantined)),
            pending_removals=tuple(key.text for key in sorted(self._pending_removals())),
            pending_key_changes=subnets_of_keys(self._desired_state.key_changes.waiting),
            frequent_records=subnets_of_keys(self._desired_state.change_limit.frequent),
            unreachable_endpoints=unreachable_views(self._reconciler.without_endpoint, view.peers, device),
            mesh_settings_conflict=self._controller.mesh_settings.conflict or None,
            device=shown,
            device_failure=str(failure) if failure else None,
            device_hint=(failure and failure.hint) or None,
            device_stuck=self._backend.stuck,
            rotation=rotation_view(self._rotation),
            timings=timings_view(self._controller.follower, self._reconciler, time.time()),
            observers=observer_views(self._observers),
            counters=self.counters(),
        )

    async def peers(self) -> PeersView:
        """Return every accepted peer, with its state on the device."""
        device, unread = await self.read_device()
        shown = None if unread else device.peers if device else {}
        return PeersView(
            peers=await sliced_peer_views(self.accepted_peers().values(), shown),
            device_failure=str(unread) if unread else None,
            device_hint=(unread and unread.hint) or None,
        )

    async def why(self, target: str, *, probe: bool = True) -> Diagnosis:
        """Return why a peer, named by anything that `target.find` knows, is reachable or not."""
        return await self._inquiry.why(target, probe=probe)

    def settings(self) -> Mapping[str, object]:
        """Return the configuration's settings by name, without secrets."""
        return self._settings()

    async def diff(self) -> DiffView:
        """Return what would be done to the device now. Raises BackendError."""
        try:
            async with asyncio.timeout(READ_TIMEOUT_S):
                preview = await self._reconciler.preview()
        except TimeoutError:
            raise BackendError(f"{self._node.ifname} is busy: see its state in `ikto status`") from None
        return diff_view(preview, self._node.ifname, self._backend_name, "agent", self._desired_state.view.on_device)

    def accepted_peers(self) -> Mapping[PublicKey, MeshPeer]:
        """Return the peers that the accepted records make, at this moment."""
        return dict(self._desired_state.view.peers)

    async def device_peers(self) -> Mapping[PublicKey, PeerState]:
        """Return the peers that the device has; none if there is no device. Raises BackendError."""
        device = await self._backend.read(self._node.ifname)
        return device.peers if device else {}

    def release_removals(self) -> int:
        """Apply all pending removals and key changes soon; return how many there are."""
        return self._desired_state.release() + self._reconciler.release_removals()

    def resync(self) -> None:
        """Read the whole bucket and the whole device again soon."""
        self._controller.follower.request_resync()
        self._reconciler.request_full_pass()

    def rotate_key(self) -> RotationView:
        """Begin a key rotation, unless one is under way; return its state. Raises as `KeyRotation.begin`."""
        next_key = self._rotation.begin()
        return rotation_view(self._rotation) or RotationView(next_public_key=next_key.text, due_at=None)

    @property
    def _kv_key(self) -> str | None:
        record = self._controller.record
        return record.key if record else self._node.kv_key

    def _pending_removals(self) -> Set[PublicKey]:
        """Return the peers to be removed: those that the limit holds, and those whose deleted record counts on."""
        return self._reconciler.pending_removals | self._desired_state.held_peers()

    async def read_device(self) -> tuple[DeviceState | None, BackendError | None]:
        """Return the device, and why it can't be read."""
        return await read_device(self._backend, self._node.ifname)

    async def _device(self, device: DeviceState) -> DeviceView:
        reconciler = self._reconciler
        accepted = self._desired_state.view.on_device
        return await sliced_device_view(device, accepted, reconciler.stalled, reconciler.unreachable)

    def counters(self) -> CountersView:
        """Return what the agent has counted since its start, without reading the device."""
        return counters_view(
            self._controller.follower,
            self._desired_state,
            self._reconciler,
            connection=self._connection,
            snapshot_writer=self._snapshot_writer,
            leases=self._leases,
        )
