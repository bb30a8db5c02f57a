"""Our place in the mesh: the claim on our own subnet, and the bucket as it bears on our device."""

import asyncio
from collections.abc import Callable, Mapping
from random import Random

import structlog

from ikto_core.claim.address_candidates import AddressCandidates
from ikto_core.claim.claim_state import ClaimState, check_for_clones, refuse_overlap
from ikto_core.claim.claimant import Claimant, ClonedError
from ikto_core.claim.desired_state import DesiredState
from ikto_core.claim.local_node import own_record
from ikto_core.claim.policy import ClaimAction, Identity, decide_claim, draw_identity
from ikto_core.claim.recheck import Recheck
from ikto_core.claim.saved_claim import SavedClaim
from ikto_core.config import Config
from ikto_core.disk.mesh_snapshot import MeshSnapshot
from ikto_core.errors import AddressInUseError
from ikto_core.mesh.records import PeerRecord
from ikto_core.mesh.settings import MESH_KEY, MeshSettings, check_settings
from ikto_core.mesh.view import Entry
from ikto_core.store.follower import Follower
from ikto_core.store.interfaces import RecordStore
from ikto_core.values.keys import PublicKey

RECLAIM_JITTER_S = 1.0
"""After a bucket is wiped every node claims again: not all in one moment."""

log = structlog.get_logger(__name__)


class ClaimController:
    """Claims a subnet, guards the claim, and aims the reconciler at what the bucket says.

    `record` is our own record as it should stand in the bucket; None while no subnet is ours in this run. `recheck`
    says why it may not stand there.
    """

    def __init__(
        self,
        config: Config,
        *,
        name: str,
        public_key: PublicKey,
        desired_state: DesiredState,
        saved_claim: SavedClaim,
        candidates: AddressCandidates,
        random: Random,
        on_claim_change: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.record: PeerRecord | None = None
        self.recheck = Recheck()
        self.desired_state = desired_state
        self.follower = Follower(self._bucket_changed, random)
        self._config = config
        self._name = name
        self._saved_claim = saved_claim
        self._candidates = candidates
        self._random = random
        self.announced = asyncio.Event()  # our record tells which key we will have next
        self.identity = draw_identity(public_key, saved_claim.instances, random, other_keys=saved_claim.other_keys)
        self._claimant = Claimant(lambda: self.identity, lambda: f"{random.getrandbits(64):016x}")
        self._newcomer = True  # no claim of this run has stood yet
        self._claim_state = ClaimState(on_claim_change)
        desired_state.own(saved_claim.other_keys)

    @property
    def has_saved_claim(self) -> bool:
        """Whether an earlier run claimed what this one will ask for first."""
        return self._saved_claim.address is not None

    def become(self, identity: Identity) -> None:
        """Be this from now on; our record is to say so. `announced` is set once it tells of a next key."""
        self.identity = identity
        self.desired_state.own(identity.other_keys)
        self.record = self.record and identity.named(self.record)
        self.recheck.request()

    def restore_snapshot(self, kept: MeshSnapshot | None) -> None:
        """Have the device show the mesh as an earlier run kept it, with the address of its claim, until NATS answers.

        Without a claim that holds for this configuration nothing is shown.
        """
        if kept and (differences := self._saved_claim.differences(kept.claim)):
            log.warning("the kept mesh is another one and is not used", because="; ".join(differences))
            kept = None
        if self._saved_claim.address:
            self.desired_state.from_snapshot(kept, self._saved_claim.address)

    def snapshot(self, now: float) -> MeshSnapshot | None:
        """Return the accepted mesh as of `now` (seconds since the epoch); None while nothing is known for certain."""
        claim = self._saved_claim.kept
        return self.desired_state.snapshot(claim, self.follower, now) if claim else None

    async def keep(self, store: RecordStore, advertise_address: str, on_claimed: Callable[[], None]) -> None:
        """Claim our subnet, then see to it that the claim stands, until cancelled.

        Args:
            store: The bucket.
            advertise_address: Where peers reach this host, an IP literal.
            on_claimed: Called once the claim stands, or that of an earlier run is used.

        Raises:
            AddressInUseError: Our address is somebody else's and there is none to take instead; ClonedError if it
                was taken over by a copy of this machine.
            ConfigError: The configuration contradicts the mesh's own settings.
            NatsError: The bucket can't be read or written.

        """
        await self.follower.synced.wait()
        if self.record is None:
            mine = MeshSettings(str(self._config.mesh), self._config.subnet_prefix)
            check_settings(self.follower.table.get(MESH_KEY), mine, self._config.nats_kv)
            self._resume(advertise_address)
        if self.record is None:
            await self._claim(store, advertise_address)
        else:  # anything may have happened since the last run, or the last connection
            self.recheck.request()
        on_claimed()
        await self.recheck.run(lambda: self._mend(store, advertise_address))

    def _resume(self, advertise_address: str) -> None:
        """Go on in the subnet of an earlier run, if the bucket shows nobody else there; our record is written later.

        So a node whose record can't be written just now follows the bucket all the same.
        """
        address = self._saved_claim.address
        if address is None:
            return
        self._see_bucket(None)
        record = own_record(self._config, self._name, self.identity, address, advertise_address)
        ours = self._judge(record) in {ClaimAction.KEEP, ClaimAction.WRITE}
        if ours and self.desired_state.view.irregular_holder(record.subnet) is None:
            self.record = record
            self._see_bucket(address)

    def forget(self) -> None:
        """Keep no claim: the subnet is not ours any more."""
        self._saved_claim.forget()

    async def _mend(self, store: RecordStore, advertise_address: str) -> None:
        """Have our record stand, unless a copy of this machine took our place; whoever starts takes over from it."""
        await asyncio.sleep(0 if self._newcomer else self._random.uniform(0, RECLAIM_JITTER_S))
        if not self._newcomer:
            check_for_clones(self._elsewhere(ours=False))
        await self._claim(store, advertise_address)

    # -- claiming --------------------------------------------------------------------------------------------------

    async def _claim(self, store: RecordStore, advertise_address: str) -> None:
        """Claim the first address that holds; the one we have comes first."""
        refusal: AddressInUseError | None = None
        for address in self._candidates.addresses(self.desired_state.view):
            record = own_record(self._config, self._name, self.identity, address, advertise_address)
            try:
                revision = await self._claim_one(store, record)
            except ClonedError:
                raise
            except AddressInUseError as error:
                log.error("address is not ours", private_address=address, reason=str(error))
                refusal = refusal or error
                if self.record and self.record.key == record.key:
                    self._give_up()
            else:
                await self._settle_in(store, address, record, revision)
                return
        raise self._candidates.none_left(self.desired_state.view, refusal)

    async def _claim_one(self, store: RecordStore, record: PeerRecord) -> int:
        """Claim one subnet; return the revision."""
        refuse_overlap(self.desired_state.view, record)
        self._begin()
        held = self._saved_claim.holds(record.subnet)
        revision = await self._claimant.claim(store, record, newcomer=self._newcomer, held=held)
        self._newcomer = False
        return revision

    def _begin(self) -> None:
        """Know whatever has our key before our first write as ours, and keep that: a crash leaves no unknown record."""
        if (
            self.identity.instance not in self._saved_claim.instances
        ):  # or two copies that start at once know each other
            found = {accepted.record.instance for accepted in self.desired_state.view.own_records.values()}
            self.identity = self.identity.after(found)
            self._saved_claim.begin(self.identity.instance, found)

    async def _settle_in(self, store: RecordStore, address: str, record: PeerRecord, revision: int) -> None:
        """Use a subnet that is ours: keep the claim, aim the device at it, withdraw what we held before."""
        self.record = record
        moved = self._claim_state.held(record.key, revision, self.follower.stream)
        if record.next_public_key:
            self.announced.set()
        if moved:
            log.info("subnet claimed", allowed_ip=record.allowed_ip, private_address=address)
            self._saved_claim.keep(address)
            if self.desired_state.subnet != record.subnet:
                self._see_bucket(address)
        self._look_at_own()  # what the follower does not show yet may have been lost again already
        if self.recheck.is_requested:
            self.follower.wake()
        for key in self._elsewhere(ours=True):
            log.info("earlier record withdrawn", key=key, gone=await self._claimant.withdraw(store, key))

    def _give_up(self) -> None:
        """Stop using our address at once, before another is found: it is somebody else's now."""
        self.record = None
        self._claim_state.released()
        self.announced.clear()
        self._see_bucket(None)

    # -- guarding --------------------------------------------------------------------------------------------------

    def _bucket_changed(self, changes: Mapping[str, Entry]) -> None:
        """Take what the follower found: the view first, then the device, then a look at our own record."""
        self.desired_state.changed(changes, self.follower.revision)
        action, entry = self._look_at_own(), changes.get(self.record.key) if self.record else None
        if action is ClaimAction.IN_USE and entry and self._claim_state.precedes(entry, self.follower.stream):
            self._give_up()  # before the leader is asked: it may not answer

    def _look_at_own(self) -> ClaimAction:
        """Doubt our claim unless the bucket, as far as we know it, holds our record as it should be and no other."""
        if self.record is None:
            return ClaimAction.KEEP
        action = self._judge(self.record)
        if action is not ClaimAction.KEEP or self._elsewhere(ours=True) or self._elsewhere(ours=False):
            self.recheck.request()
        return action

    def _judge(self, record: PeerRecord) -> ClaimAction:
        """Return what is to be done about what the bucket, as far as we know it, holds under the key of our record."""
        seen, held = self.follower.table.get(record.key), self._saved_claim.holds(record.subnet)
        return decide_claim(seen, record, self.identity, newcomer=self._newcomer, held=held).action

    def _elsewhere(self, *, ours: bool) -> list[str]:
        return self._claim_state.elsewhere(self.desired_state.view, self.record, self.identity, ours=ours)

    def _see_bucket(self, address: str | None) -> None:
        self.desired_state.from_bucket(self.follower.table, self.follower.revision, address)
