"""What our device is to show: the mesh as seen from our subnet, by the bucket, or by what was kept of it."""

from collections.abc import Callable, Mapping, Set

import msgspec
import structlog

from ikto_core.claim.local_node import mesh_rules, own_device, own_subnet
from ikto_core.config import Config
from ikto_core.device.reconciler import Reconciler
from ikto_core.disk.mesh_snapshot import MeshSnapshot
from ikto_core.disk.state_file import Claim
from ikto_core.mesh.view import Entry, MeshView
from ikto_core.observers.event_hub import EventHub
from ikto_core.store.follower import Follower
from ikto_core.values.addressing import Prefix
from ikto_core.values.keys import PrivateKey, PublicKey

log = structlog.get_logger(__name__)


class DesiredState:
    """Holds the view of the mesh, and aims the reconciler at it.

    Args:
        config: A checked configuration.
        private_key: The device's key.
        reconciler: What drives the device; it keeps its hands off until there is an address or a view to aim at.
        on_change: Called when the accepted mesh may have changed.
        news: Who is told of it.

    """

    def __init__(
        self,
        config: Config,
        private_key: PrivateKey,
        reconciler: Reconciler,
        on_change: Callable[[], None],
        event_hub: EventHub | None = None,
    ) -> None:
        self.view = MeshView(mesh_rules(config, private_key.public()))
        self.from_disk = False  # the view is what was kept, for the bucket was not in view since the start
        self._config = config
        self._private_key = private_key
        self._reconciler = reconciler
        self._on_change = on_change
        self._event_hub = event_hub or EventHub()

    @property
    def subnet(self) -> Prefix | None:
        """Our subnet, from which the mesh is seen; None: none is ours."""
        return self.view.rules.own_subnet

    def own(self, keys: Set[PublicKey]) -> None:
        """Take these public keys for ours too, from the next look at the bucket on."""
        self.view.rules = msgspec.structs.replace(self.view.rules, other_own_keys=keys)

    def from_snapshot(self, kept: MeshSnapshot | None, address: str) -> None:
        """Show the mesh as it was kept (None: nothing was), from our address, until `from_bucket` is called."""
        self.from_disk = True
        self._see(kept.entries if kept else {}, address)
        if kept:  # else nothing is known
            self._event_hub.set_view(self.view)
        revision = kept.revision if kept else None
        log.info("NATS is asked later: the device gets what was kept", peers=len(self.view.peers), revision=revision)
        self._target(address, revision)

    def from_bucket(self, table: Mapping[str, Entry], revision: int, address: str | None) -> None:
        """Show what the bucket holds at this revision; `address` None: none is ours, and the device gets none."""
        self.from_disk = False
        self._see(table, address)
        self._event_hub.set_view(self.view)
        self._target(address, revision)
        self._on_change()

    def changed(self, changes: Mapping[str, Entry], revision: int) -> None:
        """Take what is new in the bucket; while a kept mesh is shown, all of it comes with `from_bucket`."""
        if self.from_disk:
            return
        touched = self.view.update(changes)
        self._reconciler.changed(touched, revision)
        self._event_hub.changed(touched, (*changes, *self.view.irregular))
        if touched:
            self._on_change()

    def snapshot(self, claim: Claim, bucket: Follower, now: float) -> MeshSnapshot | None:
        """Return the accepted mesh as of `now` (seconds since the epoch); None while nothing is known for certain."""
        if self.from_disk or self.subnet is None:
            return None
        return MeshSnapshot(
            claim=claim,
            stream=bucket.stream,
            revision=bucket.revision,
            saved_at=now,
            entries={key: bucket.table[key] for key in self.view.accepted},
        )

    def _see(self, entries: Mapping[str, Entry], address: str | None) -> None:
        subnet = own_subnet(self._config, address) if address else None
        self.view = MeshView(msgspec.structs.replace(self.view.rules, own_subnet=subnet))
        self.view.update(entries)

    def _target(self, address: str | None, revision: int | None) -> None:
        device = own_device(self._config, self._private_key, address)
        self._reconciler.target(device, self.view.on_device, revision, restoring=self.from_disk)
