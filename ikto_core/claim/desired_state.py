"""What the device should show: the mesh as seen from this node's subnet, from the bucket or from the snapshot."""

from collections.abc import Callable, Mapping, Set

import msgspec
import structlog

from ikto_core.claim.local_node import LocalNode
from ikto_core.device.reconciler import Reconciler
from ikto_core.disk.mesh_snapshot import MeshSnapshot
from ikto_core.disk.state_file import Claim
from ikto_core.errors import BackendError
from ikto_core.mesh.view import Entry, MeshView
from ikto_core.observers.event_hub import EventHub
from ikto_core.store.follower import Follower
from ikto_core.values.addressing import Prefix
from ikto_core.values.keys import PrivateKey, PublicKey

log = structlog.get_logger(__name__)


class DesiredState:
    """Holds the view of the mesh, and gives it to the reconciler as its target.

    Args:
        node: This node, as configured.
        private_key: The device's key.
        reconciler: Drives the device; it does nothing before it has a target.
        on_change: Called when the accepted mesh may have changed.
        event_hub: Receives every change for observers.

    """

    def __init__(
        self,
        node: LocalNode,
        private_key: PrivateKey,
        reconciler: Reconciler,
        on_change: Callable[[], None],
        event_hub: EventHub | None = None,
    ) -> None:
        self.view = MeshView(node.rules(private_key.public()))
        self.is_snapshot = False  # the view is the snapshot: the bucket has not been read since the start
        self._node = node
        self._private_key = private_key
        self._reconciler = reconciler
        self._on_change = on_change
        self._event_hub = event_hub or EventHub()

    @property
    def subnet(self) -> Prefix | None:
        """This node's subnet, from which the mesh is seen; None: it has none."""
        return self.view.rules.own_subnet

    def set_own_keys(self, keys: Set[PublicKey]) -> None:
        """Treat these public keys as this node's too, from the next change on."""
        self.view.rules = msgspec.structs.replace(self.view.rules, other_own_keys=keys)

    def from_snapshot(self, snapshot: MeshSnapshot | None, address: str) -> None:
        """Show the snapshot (None: an empty mesh) from this node's address, until `from_bucket` is called."""
        self.is_snapshot = True
        self._build_view(snapshot.entries if snapshot else {}, address)
        if snapshot:  # without one nothing is known of the mesh
            self._event_hub.set_view(self.view)
            log.info("restored peers from the snapshot", peers=len(self.view.peers), revision=snapshot.revision)
        self._set_target(address, snapshot.revision if snapshot else None)

    def from_bucket(self, table: Mapping[str, Entry], revision: int, address: str | None) -> None:
        """Show the bucket as of this revision; `address` None: this node has none, and the device gets none."""
        self.is_snapshot = False
        self._build_view(table, address)
        self._event_hub.set_view(self.view)
        self._set_target(address, revision)
        self._on_change()

    async def shown(self, *, retry: bool) -> None:
        """Return once the device has shown a desired state. Raises BackendError if it can't, unless `retry`."""
        try:
            await self._reconciler.reconcile()
        except BackendError:
            if not retry:
                raise
            await self._reconciler.in_sync.wait()  # the reconciler retries, and reports it

    def update(self, changes: Mapping[str, Entry], revision: int) -> None:
        """Apply changes of the bucket; while the snapshot is shown, they are left to `from_bucket`."""
        if self.is_snapshot:
            return
        touched = self.view.update(changes)
        self._reconciler.mark_changed(touched, revision)
        self._event_hub.mark_changed(touched, (*changes, *self.view.noncanonical))
        if touched:
            self._on_change()

    def snapshot(self, claim: Claim | None, bucket: Follower, now: float) -> MeshSnapshot | None:
        """Return the accepted mesh at `now` (seconds since the epoch); None while the bucket has not been read."""
        if claim is None or self.is_snapshot or self.subnet is None:
            return None
        return MeshSnapshot(
            claim=claim,
            stream=bucket.stream,
            revision=bucket.revision,
            saved_at=now,
            entries={key: bucket.table[key] for key in self.view.accepted},
        )

    def _build_view(self, entries: Mapping[str, Entry], address: str | None) -> None:
        subnet = self._node.subnet_of(address) if address else None
        self.view = MeshView(msgspec.structs.replace(self.view.rules, own_subnet=subnet))
        self.view.update(entries)

    def _set_target(self, address: str | None, revision: int | None) -> None:
        device = self._node.device(self._private_key, address)
        self._reconciler.set_target(device, self.view.on_device, revision, restoring=self.is_snapshot)
