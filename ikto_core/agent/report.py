"""What the agent knows of itself, as the views of its socket. Reads the device; does no other I/O."""

import asyncio
from collections.abc import Sequence

import msgspec

from ikto_core import __version__
from ikto_core.admin.showing import device_view, lease_view, observer_views, peer_view, quarantined_view, record_view
from ikto_core.admin.views import (
    AgentState,
    CountersView,
    InfoView,
    NatsView,
    PeersView,
    SnapshotView,
    StatusView,
)
from ikto_core.agent.key_rotation import KeyRotation
from ikto_core.agent.rotation_view import rotation_view
from ikto_core.claim.controller import ClaimController
from ikto_core.config import Config
from ikto_core.device.backend import Backend
from ikto_core.device.model import DeviceState
from ikto_core.device.reconciler import Reconciler
from ikto_core.disk.snapshot_writer import SnapshotWriter
from ikto_core.disk.state_file import StateFile
from ikto_core.errors import BackendError
from ikto_core.lease.renewer import LeaseRenewer
from ikto_core.observers.runner import ObserverRun
from ikto_core.store.connection import Connection

READ_TIMEOUT_S = 3.0
"""A backend that takes longer is reported, so that an answer still reaches who asked (5 s, see client.py)."""


class Report:
    """Tells how the agent is doing, from what its parts show at the moment."""

    def __init__(
        self,
        config: Config,
        name: str,
        *,
        backend_name: str,
        controller: ClaimController,
        reconciler: Reconciler,
        connection: Connection,
        backend: Backend,
        snapshot_writer: SnapshotWriter,
        state: StateFile,
        rotation: KeyRotation,
        leases: LeaseRenewer,
        observers: Sequence[ObserverRun] = (),
    ) -> None:
        self.rotation = rotation
        self._config = config
        self._name = name
        self._backend_name = backend_name
        self.controller = controller
        self._reconciler = reconciler
        self._connection = connection
        self.backend = backend
        self._snapshot_writer = snapshot_writer
        self._state_file = state
        self._leases = leases
        self._observers = observers

    @property
    def state(self) -> AgentState:
        """How far the agent has come."""
        return self._state(self._reconciler.failure)

    @property
    def ready(self) -> bool:
        """Whether the device shows the mesh. NATS may be out of reach: tunnels do not depend on it."""
        return self._reconciler.in_sync.is_set() and not self._reconciler.failure

    def info(self) -> InfoView:
        """Return our own record and every accepted one of others."""
        accepted = [a for peer in self.controller.desired_state.view.peers.values() for a in peer.records]
        record = self.controller.record
        return InfoView(
            own=record_view(record) if record else None,
            peers=tuple(record_view(a.record) for a in sorted(accepted, key=lambda a: a.subnet)),
        )

    async def status(self) -> StatusView:
        """Return everything there is to say; a device that can't be read is a part of it."""
        device, unread = await self._read()
        failure = self._reconciler.failure or unread
        follower, desired_state = self.controller.follower, self.controller.desired_state
        view = desired_state.view
        return StatusView(
            state=self._state(failure),
            version=__version__,
            name=self._name,
            public_key=view.rules.own_key.text,
            private_address=self._private_address(),
            allowed_ip=str(desired_state.subnet) if desired_state.subnet else None,
            ifname=self._config.wg_dev_name,
            backend=self._backend_name,
            nats=self._nats(),
            snapshot=self._snapshot(),
            lease=lease_view(self._leases),
            revision=self._reconciler.shown_revision,
            bucket_revision=follower.bucket_revision,
            accepted=len(view.peers),
            quarantined=tuple(quarantined_view(view.quarantined[key]) for key in sorted(view.quarantined)),
            pending_removals=tuple(key.text for key in sorted(self._reconciler.brake.pending)),
            device=device_view(device, view.on_device) if device else None,
            device_failure=failure or None,
            rotation=rotation_view(self.rotation),
            observers=observer_views(self._observers),
            counters=self._counters(),
        )

    async def peers(self) -> PeersView:
        """Return every accepted peer, with what the device knows of it."""
        device, unread = await self._read()
        shown = None if unread else device.peers if device else {}
        accepted = sorted(self.controller.desired_state.view.peers.values(), key=lambda peer: min(peer.allowed_ips))
        return PeersView(peers=tuple(peer_view(peer, shown) for peer in accepted), device_failure=unread or None)

    def release(self) -> int:
        """Let every removal that is pending back go through, soon; return how many there are."""
        pending = len(self._reconciler.brake.pending)
        self._reconciler.brake.release()
        self._reconciler.distrust()
        return pending

    def resync(self) -> None:
        """Have the whole bucket and the whole device read again, soon."""
        self.controller.follower.distrust()
        self._reconciler.distrust()

    async def _read(self) -> tuple[DeviceState | None, str]:
        """Return the device, and why it can't be read."""
        try:
            async with asyncio.timeout(READ_TIMEOUT_S):
                return await self.backend.read(self._config.wg_dev_name), ""
        except BackendError as error:
            return None, str(error)
        except TimeoutError:
            return None, f"the backend did not read {self._config.wg_dev_name} within {READ_TIMEOUT_S:g} s"

    def _state(self, device_failure: str) -> AgentState:
        if self._reconciler.in_sync.is_set():
            cut_off = not self._connection.server or self.controller.desired_state.from_disk
            return AgentState.DEGRADED if device_failure or cut_off else AgentState.READY
        if self.controller.record:
            return AgentState.APPLYING
        in_view = self._connection.server and self.controller.follower.synced.is_set()
        return AgentState.CLAIMING if in_view else AgentState.CONNECTING

    def _private_address(self) -> str | None:
        """Return the address that the device should have: while we hold a subnet, it is one."""
        return next((str(address.ip) for address in self._reconciler.addresses), None)

    def _nats(self) -> NatsView:
        failure = self._connection.failure or self.controller.recheck.failure
        return NatsView(
            connected=bool(self._connection.server), server=self._connection.server or None, failure=failure or None
        )

    def _snapshot(self) -> SnapshotView:
        latest, failure = self._snapshot_writer.latest, self._state_file.failure or self._snapshot_writer.failure
        return SnapshotView(
            in_use=self.controller.desired_state.from_disk,
            revision=latest.revision if latest else None,
            saved_at=latest.saved_at if latest else None,
            failure=failure or None,
        )

    def _counters(self) -> CountersView:
        return CountersView(
            follower=msgspec.structs.replace(self.controller.follower.stats),
            reconcile=msgspec.structs.replace(self._reconciler.stats),
            connection=msgspec.structs.replace(self._connection.stats),
            snapshot=msgspec.structs.replace(self._snapshot_writer.stats),
            lease=msgspec.structs.replace(self._leases.stats),
        )
