"""What one part of an agent tells another: of the underlay, of a pass on the device, of peers to contact."""

import time
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ikto_core.claim.controller import ClaimController
from ikto_core.claim.desired_state import DesiredState
from ikto_core.device.model import DeviceSpec
from ikto_core.device.reconciler import Reconciler
from ikto_core.disk.snapshot_writer import SnapshotWriter
from ikto_core.observers.event_diff import mesh_ready
from ikto_core.observers.event_hub import EventHub
from ikto_core.observers.health import Health, HealthDiff, Unreachable
from ikto_core.observers.journal import Journal
from ikto_core.store.connection import Connection
from ikto_core.underlay.handshake_probe import Prober
from ikto_core.underlay.monitor import UnderlayMonitor
from ikto_core.underlay.paths import Underlay
from ikto_core.underlay.routes import has_address
from ikto_core.values.keys import PublicKey


class UnderlayCallbacks:
    """Has the other parts use what is found of the network around the host."""

    def __init__(
        self,
        controller: ClaimController,
        reconciler: Reconciler,
        connection: Connection,
        snapshot_writer: SnapshotWriter,
    ) -> None:
        self._controller = controller
        self._reconciler = reconciler
        self._connection = connection
        self._snapshot_writer = snapshot_writer

    def connect(self, underlay: UnderlayMonitor) -> None:
        """Be called by the monitor from now on."""
        underlay.on_change = self._use
        underlay.on_look = self._reconciler.check_routes
        underlay.on_move = self._reconciler.renew_endpoints

    def _use(self, found: Underlay) -> None:
        """Advertise these addresses and set the MTU; endpoints may have a route now, or NATS none any more."""
        self._connection.end_session_without(has_address)
        self._controller.advertise(found.addresses)
        if found.mtu:
            self._reconciler.set_mtu(found.mtu)
            self._snapshot_writer.request_write()
        self._reconciler.request_full_pass()


class _Found(NamedTuple):
    """What a pass has found wrong with the device."""

    failure: str
    hint: str
    pending: int  # removals
    unreachable: Mapping[PublicKey, str]  # a new one is made whenever peers were read

    def is_same(self, before: "_Found | None") -> bool:
        """Return whether nothing was found since. The cost does not depend on the number of peers."""
        return before is not None and self[:3] == before[:3] and self.unreachable is before.unreachable


class DeviceCallbacks:
    """Reports what the passes on the device come to: to observers, to the journal, and to peers."""

    def __init__(
        self,
        controller: ClaimController,
        desired_state: DesiredState,
        reconciler: Reconciler,
        *,
        prober: Prober,
        event_hub: EventHub,
        journal: Journal,
    ) -> None:
        self._controller = controller
        self._desired_state = desired_state
        self._reconciler = reconciler
        self._prober = prober
        self._event_hub = event_hub
        self._journal = journal
        self._health = HealthDiff()
        self._found: _Found | None = None  # by the last pass; None: there was none

    def connect(self) -> None:
        """Be called by the reconciler from now on."""
        self._reconciler.on_pass = self._report_ready
        self._reconciler.on_outcome = self._report_health
        self._reconciler.on_contact = self._probe

    def _report_ready(self, shown: DeviceSpec) -> None:
        if self._event_hub.ready:
            return
        reconciler = self._reconciler
        ready = mesh_ready(self._desired_state.subnet, shown.addresses, reconciler.ifname, reconciler.shown_revision)
        if ready:
            self._event_hub.set_ready(ready)

    def _report_health(self) -> None:
        reconciler, peers = self._reconciler, self._desired_state.view.peers
        if (shown := reconciler.shown_revision) is not None and not reconciler.failure:
            self._controller.follower.times.shown(shown, time.time())
        pending = len(reconciler.pending_removals)
        found = _Found(reconciler.failure, reconciler.hint, pending, reconciler.unreachable)
        if found.is_same(self._found):  # as after a look at new peers, ten times a second
            return
        self._found = found
        unreachable = {
            key.text: Unreachable(peers[key].name, reason) for key, reason in found.unreachable.items() if key in peers
        }
        health = Health(found.failure, found.hint, pending, unreachable)
        present = {key for key in self._health.unreachable if PublicKey.parse(key) in peers}
        self._journal.add(self._health.take(health, present, time.monotonic()))

    def _probe(self, keys: Iterable[PublicKey]) -> None:
        """Send to these peers, so that WireGuard makes sessions with them at once."""
        peers = self._desired_state.view.peers
        self._prober.request(peers[key].records[0].record.device_address for key in keys if key in peers)
