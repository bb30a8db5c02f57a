"""Claims this node's subnet, guards the claim, and sets the desired state from the bucket or from the snapshot."""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from random import Random

import structlog

from ikto_core.claim.address_candidates import AddressCandidates
from ikto_core.claim.alarms import Alarms
from ikto_core.claim.claim_state import ClaimState, refuse_overlap
from ikto_core.claim.claimant import Claimant, ClonedError
from ikto_core.claim.desired_state import DesiredState
from ikto_core.claim.leaving import Leaving, withdraw_all
from ikto_core.claim.listening import Listening
from ikto_core.claim.local_node import LocalNode
from ikto_core.claim.other_records import OtherRecords
from ikto_core.claim.policy import ClaimAction, Identity, draw_identity
from ikto_core.claim.recheck import Recheck
from ikto_core.claim.resuming import Resuming
from ikto_core.claim.saved_claim import SavedClaim
from ikto_core.claim.self_record import SelfRecord
from ikto_core.claim.settings_guard import SettingsGuard
from ikto_core.claim.signing import RecordSigner
from ikto_core.claim.verifying import verify
from ikto_core.errors import AddressInUseError, NatsError
from ikto_core.mesh.records import PeerRecord, record_key
from ikto_core.mesh.view import Entry, MeshView
from ikto_core.store.follower import Follower
from ikto_core.store.interfaces import RecordStore
from ikto_core.values.addressing import Endpoint

RECLAIM_JITTER_S = 1.0  # after a bucket is wiped all nodes claim again: spread over this time

log = structlog.get_logger(__name__)


class ClaimController:
    """Holds one node's claim."""

    def __init__(
        self,
        node: LocalNode,
        *,
        signer: RecordSigner,
        desired_state: DesiredState,
        saved_claim: SavedClaim,
        candidates: AddressCandidates,
        random: Random,
        on_claim_change: Callable[[str], None] = lambda _: None,
    ) -> None:
        proofs = desired_state.proofs
        self.recheck = Recheck()
        self.leaving = Leaving(self.recheck.request)
        self.follower = Follower(self._bucket_changed, random, partial(verify, proofs))
        self.mesh_settings = SettingsGuard(node.settings, node.bucket)
        self.next_key_announced = asyncio.Event()  # the record in the bucket announces the next key
        self.signer = signer
        identity = draw_identity(signer.public_key, saved_claim.instances, random, other_keys=saved_claim.other_keys)
        self._own = SelfRecord(node, saved_claim, identity, proofs, desired_state.clock)
        self._node = node
        self._desired_state = desired_state
        self._saved_claim = saved_claim
        self._candidates = candidates
        self._random = random
        self._listening = Listening()
        self._claim_state = ClaimState(on_claim_change)
        self._alarms = Alarms(proofs.stats, desired_state.clock)
        self._claimant = Claimant(lambda: self.identity, signer.draw_nonce, signer.value, proofs, self._alarms)
        followed = self.follower, self.mesh_settings
        self.resuming = Resuming(self._own, desired_state, *followed, saved_claim=saved_claim, candidates=candidates)
        self._others = OtherRecords(self._own, self._claimant, self.follower, lambda: self.view)
        desired_state.set_own_keys(saved_claim.other_keys)

    @property
    def record(self) -> PeerRecord | None:
        """What the bucket should have for this node; None: no subnet is claimed."""
        return self._own.record

    @property
    def identity(self) -> Identity:
        """By what this node recognises its records."""
        return self._own.identity

    @property
    def is_claimed(self) -> bool:
        """Whether this run holds the claim: the bucket has had its record, and no other one took its place."""
        return self._claim_state.is_held

    @property
    def has_saved_claim(self) -> bool:
        """Whether an earlier run claimed the subnet that this one asks for first."""
        return self._saved_claim.address is not None

    @property
    def view(self) -> MeshView:
        """The mesh as accepted by this node."""
        return self._desired_state.view

    def set_identity(self, identity: Identity) -> None:
        """Write the record with this identity from now on; `next_key_announced` is set once it announces a key."""
        self._own.set_identity(identity)
        self._desired_state.set_own_keys(identity.other_keys)
        self.recheck.request()

    def advertise(self, addresses: tuple[str, ...]) -> None:
        """Advertise these addresses (IP literals, best first), before `keep` and at any time; the record follows."""
        if self._own.advertise(addresses):
            self.recheck.request()

    def set_endpoints(self, endpoints: tuple[Endpoint, ...]) -> None:
        """Advertise these endpoints, best first; empty: the advertised addresses. At any time; the record follows."""
        if self._own.set_endpoints(endpoints):
            self.recheck.request()

    def drain(self, *, draining: bool) -> None:
        """Say in this node's record whether it is about to leave."""
        self._own.set_draining(draining)
        self.recheck.request()

    async def withdraw_records(self, store: RecordStore) -> list[str]:
        """Withdraw this node's records while no agent runs; return their KV keys. Raises NatsError."""
        address = self._saved_claim.address or self._node.address
        claimed = {record_key(str(self._node.subnet_of(address)))} if address else self.view.own_records.keys()
        keys = sorted(claimed | set(self._others.earlier()))
        await withdraw_all(self._claimant, store, keys)
        return keys

    async def keep(self, store: RecordStore, on_claimed: Callable[[], None]) -> None:
        """Claim a subnet, then keep the record in the bucket as it should be, until cancelled.

        Args:
            store: The bucket.
            on_claimed: Called once the claim is held, or an earlier run's claim is used.

        Raises:
            AddressInUseError: Another node has the subnet and no other is free; ClonedError: a copy of this machine.
            BackendError: The device can't be created, and nothing was ever claimed; later it is retried for ever.
            ConfigError: The configuration contradicts the mesh's own settings, and nothing was ever claimed.
            NatsError: The bucket can't be read or written.

        """
        await self.follower.synced.wait()
        with self._own.holding.session():
            if self.record is None and not self.leaving.requested:
                self.resuming.resume()
            if self.record is None and not self.leaving.requested:
                await self._desired_state.shown(retry=self.has_saved_claim)
                await self._claim(store)
            else:  # anything may have happened since the last run, or the last connection
                self.recheck.request()
            on_claimed()
            await self.recheck.run(lambda: self._check(store))

    async def _check(self, store: RecordStore) -> None:
        """Write the record if it is missing or out of date; raise ClonedError if a copy of this machine runs.

        A node that leaves withdraws it instead.
        """
        if self.leaving.requested:
            own_key = self.record.key if self.record else ""
            if await self.leaving.carry_out(self._claimant, store, own_key, self._others.earlier()) and self.record:
                self._release()
            return
        pause_s = self._own.repair_pause_s(self.follower) + self._random.uniform(0, RECLAIM_JITTER_S)
        await asyncio.sleep(0 if self._own.take_urgency() else pause_s)
        self._others.refuse_clones()
        await self._claim(store)

    async def _claim(self, store: RecordStore) -> None:
        """Claim the first address that is free; the present one comes first."""
        refusal: AddressInUseError | None = None
        for address in self._candidates.addresses(self.view):
            record = self._own.at(address)
            self._listening.claim_begins()
            try:
                await self._claim_one(store, record)
            except ClonedError:
                raise
            except AddressInUseError as error:
                log.error("address in use", private_address=address, reason=str(error), hint=error.hint)
                refusal = refusal or error
                if self._own.has_key(record.key):
                    self._release()
            else:
                await self._use(store, address, record)
                return
        raise self._candidates.none_left(self.view, refusal)

    async def _claim_one(self, store: RecordStore, record: PeerRecord) -> None:
        refuse_overlap(self.view, record)
        self._own.save_instance(self.view)
        had_owner = self._own.had_owner(record, self.follower)
        context = partial(self._own.context, record, bucket=self.follower)
        try:
            revision = await self._claimant.claim(store, record, context)
        except NatsError:
            self.follower.wake()  # it may show what the leader has
            raise
        self._own.claimed(record, revision, self.follower, had_owner=had_owner)

    async def _use(self, store: RecordStore, address: str, record: PeerRecord) -> None:
        """Use a claimed subnet: save the claim, listen, give the device the address, withdraw earlier records."""
        self._own.record = self._own.at(address)  # differs from `record` if the host has moved during the claim
        moved = self._claim_state.held(record.key)
        if record.next_public_key:
            self.next_key_announced.set()
        if moved:
            log.info("claimed subnet", allowed_ip=record.allowed_ip, private_address=address)
            self._saved_claim.save(address)
        if self._desired_state.subnet != record.subnet:
            try:
                await self._listening.pause()
            finally:  # also if the session with NATS ends meanwhile; not if the claim was lost
                if self._own.has_key(record.key):
                    self.resuming.show_bucket(address)
        self._check_self_record()  # a write that the follower has not seen yet may have been lost again already
        if self.recheck.is_requested:
            self.follower.wake()
        if await self._others.withdraw(store):
            self.recheck.request()

    def _release(self) -> None:
        """Stop using the address at once, before another one is claimed: it belongs to another node now."""
        self._own.record = None
        self._saved_claim.release()
        self._claim_state.released()
        self._own.holding.released()
        self.next_key_announced.clear()
        self.resuming.show_bucket(None)

    def _bucket_changed(self, changes: Mapping[str, Entry]) -> None:
        """Apply changes of the bucket: to the view first, then to the device, then check this node's record."""
        self._own.note_deletions(changes, self.follower, self.view)
        self._desired_state.update(changes, self.follower.revision, self.follower.histories)
        self.mesh_settings.look(changes)
        self._own.report_forgeries(changes, self.follower, self.view, self._alarms)
        action, entry = self._check_self_record(), changes.get(self.record.key) if self.record else None
        if action is ClaimAction.IN_USE and entry and self._own.is_older_than(entry, self.follower):
            self._release()  # before the leader is asked: it may not answer

    def _check_self_record(self) -> ClaimAction:
        """Request a recheck unless the bucket has this node's record, up to date, and no new one with its key."""
        if self.record is None:
            return ClaimAction.KEEP
        action = self._own.decide(self.record, self.follower)
        if self._others.has_new() or action is not ClaimAction.KEEP:
            self.recheck.request()
        return action
