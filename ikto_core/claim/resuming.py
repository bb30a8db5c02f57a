"""Starts without a write: shows the snapshot, and then the bucket from the subnet of an earlier run. No I/O."""

from ikto_core.claim.address_candidates import AddressCandidates
from ikto_core.claim.desired_state import DesiredState
from ikto_core.claim.saved_claim import SavedClaim
from ikto_core.claim.self_record import SelfRecord
from ikto_core.claim.settings_guard import SettingsGuard
from ikto_core.disk.mesh_snapshot import MeshSnapshot
from ikto_core.errors import AddressInUseError
from ikto_core.store.follower import Follower

IN_USE_HINT = "`ikto doctor` says by whom"


class Resuming:
    """Sets the desired state of a node that has not claimed anything in this run.

    Args:
        own: This node's record.
        desired_state: What the device should show.
        bucket: The followed bucket.
        settings: Compares the mesh's settings in the bucket with this node's.
        saved_claim: The claim of an earlier run.
        candidates: The addresses to claim if there is none.

    """

    def __init__(
        self,
        own: SelfRecord,
        desired_state: DesiredState,
        bucket: Follower,
        settings: SettingsGuard,
        *,
        saved_claim: SavedClaim,
        candidates: AddressCandidates,
    ) -> None:
        self._own = own
        self._desired_state = desired_state
        self._bucket = bucket
        self._saved_claim = saved_claim
        self._candidates = candidates
        self._settings = settings

    def restore(self, snapshot: MeshSnapshot | None, now: float) -> MeshSnapshot | None:
        """Show the mesh of an earlier run until the bucket has been read; return the snapshot if it is of this mesh.

        `now`: seconds since the epoch. Nothing is shown without a saved claim that is valid under this configuration.
        """
        snapshot = snapshot if snapshot and self._saved_claim.matches(snapshot) else None
        if self._saved_claim.address and not self._saved_claim.is_released:
            self._desired_state.from_snapshot(snapshot, self._saved_claim.address)
            if snapshot:
                self._own.restore(snapshot, self._saved_claim.address, now)
            if snapshot and snapshot.position:
                self._bucket.restore(snapshot.table, snapshot.position)
        return snapshot

    def snapshot(self, now: float) -> MeshSnapshot | None:
        """Return the accepted mesh at `now` (seconds since the epoch); None while the bucket has not been read."""
        snapshot = self._desired_state.snapshot(self._saved_claim.claim, self._bucket, now)
        if snapshot is None:
            return None
        return self._own.saved_in(snapshot.with_bucket(self._bucket.table, self._bucket.position))

    def resume(self) -> None:
        """Show the bucket, and use the subnet of an earlier run if it shows no other node there.

        The record is written later: a node that can't write it just now follows the bucket all the same. Raises
        ConfigError if the configuration contradicts the mesh's own settings, and nothing was ever claimed.
        """
        self._settings.require_agreement(unless=self._saved_claim.address is not None)
        self.show_bucket(None)
        if address := self._saved_claim.address:
            self._use(address)

    def preview(self) -> None:
        """Set the desired state that a start would set, as if the first free subnet were claimed.

        The bucket must have been read. Raises AddressInUseError if there is none, and ConfigError as `resume`.
        """
        self.resume()
        if self._own.record is not None:
            return
        refusal: AddressInUseError | None = None
        for address in self._candidates.addresses(self._desired_state.view):
            if self._use(address):
                return
            refusal = refusal or AddressInUseError(f"{self._own.at(address).allowed_ip} is in use", hint=IN_USE_HINT)
        raise self._candidates.none_left(self._desired_state.view, refusal)

    def show_bucket(self, address: str | None) -> None:
        """Show the bucket from this node's address; None: it has none."""
        self._desired_state.from_bucket(self._bucket.table, self._bucket.revision, address)

    def _use(self, address: str) -> bool:
        """Use the subnet around an address unless the bucket shows another node there; return whether."""
        is_free = self._own.resume(self._own.at(address), self._bucket, self._desired_state.view)
        if is_free:
            self.show_bucket(address)
        return is_free
