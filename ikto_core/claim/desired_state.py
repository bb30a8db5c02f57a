"""What the device should show: the mesh as seen from this node's subnet, from the bucket or from the snapshot."""

import asyncio
import time
from collections.abc import Callable, Mapping, Set
from contextlib import suppress
from typing import NoReturn

import msgspec
import structlog

from ikto_core.claim.local_node import LocalNode
from ikto_core.claim.saved_pins import pins_to_save, restore_pins
from ikto_core.claim.waiting_log import WaitingLog
from ikto_core.device.reconciler import Reconciler
from ikto_core.disk.mesh_snapshot import MeshSnapshot
from ikto_core.disk.state_file import Claim
from ikto_core.errors import BackendError
from ikto_core.mesh.change_limit import ChangeLimit
from ikto_core.mesh.key_changes import KeyChanges
from ikto_core.mesh.pins import HOLD_S, Pins
from ikto_core.mesh.proofs import ProofIndex
from ikto_core.mesh.view import Entry, MeshView, Ruling
from ikto_core.observers.event_hub import EventHub
from ikto_core.store.follower import Follower
from ikto_core.values.addressing import Prefix
from ikto_core.values.keys import PrivateKey, PublicKey
from ikto_core.values.removal_brake import Brake, BrakeLimits

EXPIRE_EVERY_S, SHORTEST_PAUSE_S = 15.0, 1.0

log = structlog.get_logger(__name__)


class DesiredState:
    """Holds the view of the mesh, and gives it to the reconciler as its target.

    Args:
        node: This node, as configured.
        private_key: The device's key.
        reconciler: Drives the device; it does nothing before it has a target.
        on_change: Called when the accepted mesh may have changed.
        event_hub: Receives every change for observers.
        hold_deleted_s: How long a proved record counts on after it was deleted.
        limits: When records with another public key than before have to wait.
        clock: Seconds; never goes back.
        wall_clock: Seconds since the epoch, as of which rights expire.

    """

    def __init__(
        self,
        node: LocalNode,
        private_key: PrivateKey,
        reconciler: Reconciler,
        on_change: Callable[[], None],
        event_hub: EventHub | None = None,
        *,
        hold_deleted_s: float = HOLD_S,
        limits: BrakeLimits | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.view = MeshView(node.rules(private_key.public()))
        self.proofs = ProofIndex(node.bucket, node.authority)
        self.pins = Pins(self.proofs, lambda: self.view.rules, hold_deleted_s=hold_deleted_s)
        brake = Brake[str](limits or BrakeLimits())
        self.key_changes = KeyChanges(brake, lambda: self.view.rules, remember_s=HOLD_S)
        self.change_limit = ChangeLimit()
        self.is_snapshot = False  # the view is the snapshot: the bucket has not been read since the start
        self._node = node
        self._private_key = private_key
        self._reconciler = reconciler
        self._on_change = on_change
        self._event_hub = event_hub or EventHub()
        self.clock = clock
        self._wall_clock = wall_clock
        self._revision = 0  # of the bucket, as shown
        self._histories = 0
        self._waiting_log = WaitingLog(self.key_changes, self.change_limit)
        self._due_earlier = asyncio.Event()  # `expire` is due earlier than it was
        self._followed_until: float | None = None  # when `expire_regularly` has ended last

    @property
    def subnet(self) -> Prefix | None:
        """This node's subnet, from which the mesh is seen; None: it has none."""
        return self.view.rules.own_subnet

    def set_own_keys(self, keys: Set[PublicKey]) -> None:
        """Treat these public keys as this node's too, in new records: nobody has known the keys before it."""
        self.view.rules = msgspec.structs.replace(self.view.rules, other_own_keys=keys)

    def from_snapshot(self, snapshot: MeshSnapshot | None, address: str) -> None:
        """Begin with the snapshot (None: an empty mesh) from this node's address, until `from_bucket` is called."""
        self.is_snapshot = True
        self.view.set_own_subnet(self._node.subnet_of(address))
        if snapshot:  # without one nothing is known of the mesh
            self.view.update(self._restore(snapshot))
            self._event_hub.set_view(self.view)
            log.info("restored peers from the snapshot", peers=len(self.view.peers), revision=snapshot.revision)
        self._set_target(address, snapshot.revision if snapshot else None)

    def from_bucket(self, table: Mapping[str, Entry], revision: int, address: str | None) -> None:
        """Show the bucket as of this revision; `address` None: this node has none, and the device gets none.

        The view has it already, by `update`, unless the snapshot was shown. No record is judged again.
        """
        self.proofs.now_s = self._wall_clock()
        self._revision = revision
        now, waiting = self.clock(), self.change_limit.take_all()
        rulings = self.pins.replace(table, now) if self.is_snapshot else self.pins.update(waiting, now)
        rulings |= self.pins.end_rights(now)
        self.is_snapshot = False
        self.view.update(self.key_changes.update(rulings, now))
        self.view.set_own_subnet(self._node.subnet_of(address) if address else None)
        self._event_hub.set_view(self.view)
        self._set_target(address, revision)
        self._waiting_log.report()
        self._on_change()

    async def shown(self, *, retry: bool) -> None:
        """Return once the device has shown a desired state. Raises BackendError if it can't, unless `retry`."""
        try:
            await self._reconciler.reconcile()
        except BackendError:
            if not retry:
                raise
            await self._reconciler.in_sync.wait()  # the reconciler retries, and reports it

    def update(self, changes: Mapping[str, Entry], revision: int, histories: int = 0) -> None:
        """Apply changes of the bucket up to a revision; while the snapshot is shown, they are left to `from_bucket`.

        `histories` is how often the bucket turned out to have another history than before.
        """
        rewritten, self._histories = histories != self._histories, histories
        if self.is_snapshot:
            return
        self._revision = revision
        now, due_at = self.clock(), self.change_limit.next_due_at
        if rewritten:
            rulings = self.pins.update({**self.change_limit.take_all(), **changes}, now)
            rulings |= self.pins.accept_history(now)
        else:
            rulings = self.pins.update(self.change_limit.admit(changes, now), now)
        self._apply(self.key_changes.update(rulings, now))
        self._waiting_log.report(only_first=True)
        if self.change_limit.next_due_at < due_at:
            self._due_earlier.set()

    async def expire_regularly(self) -> NoReturn:
        """Call `expire` whenever it is due, until cancelled. Run it while the bucket is followed.

        Without the bucket no right ends: the owner may have written a record with a renewed JWT.
        """
        if self._followed_until is not None:
            now = self.clock()
            self.pins.followed_again(now - self._followed_until, now)
        try:
            while True:
                pause_s = max(self.change_limit.next_due_at - self.clock(), SHORTEST_PAUSE_S)
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(pause_s, EXPIRE_EVERY_S)):
                        await self._due_earlier.wait()
                self._due_earlier.clear()
                self.expire()
        finally:  # nobody knows when the bucket will be followed again
            now = self._followed_until = self.clock()
            self._apply(self.key_changes.update(self.pins.update(self.change_limit.take_all(), now), now))

    def expire(self) -> None:
        """End pins, rights and delays that have lasted for long enough; do nothing while the snapshot is shown."""
        if not self.is_snapshot:
            now, self.proofs.now_s = self.clock(), self._wall_clock()
            rulings = self.pins.update(self.change_limit.take_due(now), now)
            rulings |= self.pins.expire(now, unless=self.change_limit.frequent)
            rulings |= self.pins.end_rights(now)
            self._apply(self.key_changes.update(rulings, now) | self.key_changes.expire(now))
            self.change_limit.forget_calm(now)
            self._waiting_log.report()

    def revoke(self, revocations: Mapping[str, float]) -> None:
        """End the rights that the account has revoked, as `ProofIndex.revocations`.

        A snapshot that is shown already stays as it is.
        """
        self.proofs.revocations = revocations
        if not self.is_snapshot:
            now = self.clock()
            self._apply(self.key_changes.update(self.pins.end_rights(now), now))

    def release(self) -> int:
        """Have deleted records count no longer, and changed keys at once; return how many there are."""
        now, released = self.clock(), len(self.pins.deleted()) + len(self.key_changes.waiting)
        rulings = self.key_changes.update(self.pins.release(now), now)
        self._apply(rulings | self.key_changes.release(now))
        self._waiting_log.report()
        return released

    def held_peers(self) -> frozenset[PublicKey]:
        """Return the peers whose record was deleted and counts on."""
        return frozenset(self.pins.pins[key].proof.public_key for key in self.pins.deleted())

    def snapshot(self, claim: Claim | None, bucket: Follower, now: float) -> MeshSnapshot | None:
        """Return the accepted mesh at `now` (seconds since the epoch); None while the bucket has not been read."""
        if claim is None or self.is_snapshot or self.subnet is None:
            return None
        return MeshSnapshot(
            claim=claim,
            stream=bucket.stream,
            revision=bucket.revision,
            saved_at=now,
            entries={key: self.key_changes.counting(key) or self.pins.entry(key) for key in self.view.accepted},
            rights_verified=self._node.authority is not None,
            **pins_to_save(self.pins, self.view.accepted, self.clock()),
        )

    def _restore(self, snapshot: MeshSnapshot) -> dict[str, Ruling]:
        verified, now = snapshot.rights_verified or self._node.authority is None, self.clock()
        restore_pins(self.pins, self.proofs, snapshot, now, verified=verified)
        self.pins.replace(snapshot.entries, now)
        return self.key_changes.update(self.pins.rulings(), now)

    def _apply(self, rulings: Mapping[str, Ruling]) -> None:
        touched = self.view.update(rulings)
        self._reconciler.mark_changed(touched, self._revision)
        self._event_hub.mark_changed(touched, self.view.decided)
        if touched:
            self._on_change()

    def _set_target(self, address: str | None, revision: int | None) -> None:
        device = self._node.device(self._private_key, address)
        self._reconciler.set_target(device, self.view.on_device, revision, restoring=self.is_snapshot)
