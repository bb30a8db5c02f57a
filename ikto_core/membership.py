"""Our place in the mesh: the claim on our own subnet, and the bucket as it bears on our device."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from random import Random

import msgspec
import structlog

from ikto_core.addressing import Prefix
from ikto_core.config import Config
from ikto_core.errors import AddressInUseError, NatsError
from ikto_core.ipam.addresses import addresses_to_try, device_address
from ikto_core.ipam.contract import IpamStrategy
from ikto_core.keys import PrivateKey
from ikto_core.mesh import Entry, MeshView
from ikto_core.mesh_settings import MESH_KEY, MeshSettings, check_settings
from ikto_core.ourselves import mesh_rules, own_device, own_record, own_request, own_subnet
from ikto_core.own_record import Identity, Verdict, judge_own
from ikto_core.reconcile import Reconciler
from ikto_core.records import PeerRecord
from ikto_core.state import Claim, StateFile
from ikto_core.store.claim import Claimant, ClonedError
from ikto_core.store.follower import Follower
from ikto_core.store.port import RecordStore

FIRST_RETRY_S = 0.5
LONGEST_RETRY_S = 30.0
RECLAIM_JITTER_S = 1.0
"""After a bucket is wiped every node claims again: not all in one moment."""

log = structlog.get_logger(__name__)


class Membership:
    """Claims a subnet, guards the claim, and aims the reconciler at what the bucket says.

    `record` is our own record as it should stand in the bucket; None while no subnet is ours in this run. `failure`
    says why it may not stand there; empty: it does, as far as we know.
    """

    def __init__(
        self,
        config: Config,
        *,
        name: str,
        private_key: PrivateKey,
        strategy: IpamStrategy,
        reconciler: Reconciler,
        state: StateFile,
        random: Random,
    ) -> None:
        self.record: PeerRecord | None = None
        self.failure = ""
        self.view = MeshView(mesh_rules(config, private_key.public()))
        self.follower = Follower(self._bucket_changed, random)
        self._config = config
        self._name = name
        self._private_key = private_key
        self._strategy = strategy
        self._reconciler = reconciler
        self._state = state
        self._kept = state.load()
        self._random = random
        self._identity = Identity(
            public_key=private_key.public(),
            instance=f"{random.getrandbits(64):016x}",
            instances=frozenset(self._kept.instances),
        )
        self._claimant = Claimant(self._identity, lambda: f"{random.getrandbits(64):016x}")
        self._outdated: set[str] = set()  # keys of earlier records of ours, to be withdrawn
        self._newcomer = True  # no claim of this run has stood yet
        self._doubt = asyncio.Event()  # the bucket may not hold our record as it should be

    @property
    def had_claim(self) -> bool:
        """Whether an earlier run claimed what this one will ask for first."""
        return self._kept_address() is not None

    async def keep(self, store: RecordStore, advertise_address: str, on_claimed: Callable[[], None]) -> None:
        """Claim our subnet, then see to it that the claim stands, until cancelled.

        Args:
            store: The bucket.
            advertise_address: Where peers reach this host, an IP literal.
            on_claimed: Called once the claim stands.

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
            await self._claim(store, advertise_address)
        else:  # anything may have happened since the last connection
            self._doubt.set()
        on_claimed()
        await self._guard(store, advertise_address)

    async def _guard(self, store: RecordStore, advertise_address: str) -> None:
        """Settle every doubt about our record, until cancelled. A write that fails is tried again: the mesh goes on."""
        retry_s = FIRST_RETRY_S
        while True:
            await self._doubt.wait()
            self._doubt.clear()
            await asyncio.sleep(self._random.uniform(0, RECLAIM_JITTER_S))
            try:
                self._check_for_clones()
                await self._claim(store, advertise_address)
                self.failure, retry_s = "", FIRST_RETRY_S
            except NatsError as error:
                self.failure = str(error)
                log.warning("our record can't be kept", error=str(error), next_try_in_s=retry_s)
                self._doubt.set()
                await asyncio.sleep(retry_s)
                retry_s = min(retry_s * 2, LONGEST_RETRY_S)

    def forget(self) -> None:
        """Keep no claim: the subnet is not ours any more."""
        self._kept = msgspec.structs.replace(self._kept, claim=None)
        self._state.save(self._kept)

    # -- claiming --------------------------------------------------------------------------------------------------

    async def _claim(self, store: RecordStore, advertise_address: str) -> None:
        """Claim the first address that holds; the one we have comes first."""
        refusal: AddressInUseError | None = None
        for address in self._addresses():
            record = own_record(self._config, self._name, self._identity, address, advertise_address)
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
        raise refusal or AddressInUseError(
            f"the mesh {self._config.mesh_cidr} has no subnet of length {self._config.subnet_prefix} left",
            hint="withdraw nodes that are gone, or use a larger mesh",
        )

    async def _claim_one(self, store: RecordStore, record: PeerRecord) -> int:
        """Claim one subnet; return the revision. Records of other forms hold theirs under keys that no lock guards."""
        holder = self.view.holder(record.subnet)
        if holder and holder.record.public_key != record.public_key and not holder.regular:
            raise AddressInUseError(
                f"{record.allowed_ip} overlaps {holder.record.allowed_ip} of {holder.record.name!r}",
                hint='choose another private_address, or "auto"',
            )
        revision = await self._claimant.claim(store, record, newcomer=self._newcomer)
        self._newcomer = False
        return revision

    async def _settle_in(self, store: RecordStore, address: str, record: PeerRecord, revision: int) -> None:
        """Use a subnet that is ours: keep the claim, aim the device at it, withdraw what we held before."""
        moved = self.record is None or self.record.key != record.key
        self.record = record
        if moved:
            log.info("subnet claimed", allowed_ip=record.allowed_ip, private_address=address)
            self._keep(address)
            self._aim(address)
            self._outdated = self.view.own_records.keys() - {record.key}
            if (seen := self.follower.table.get(record.key)) and seen.revision > revision:
                self._doubt.set()  # somebody wrote before we were on guard
        for key in sorted(self._outdated):
            log.info("earlier record withdrawn", key=key, gone=await self._claimant.withdraw(store, key))
            self._outdated.discard(key)

    def _give_up(self) -> None:
        """Stop using our address at once, before another is found: it is somebody else's now."""
        self.record = None
        self._aim(None)

    def _addresses(self) -> Iterator[str]:
        configured = None if self._config.subnet is None else self._config.private_address
        return addresses_to_try(configured, self._kept_address() or self._recorded_address(), self._proposals())

    def _proposals(self) -> Iterator[Prefix]:
        taken = self.view.subnets()
        request = own_request(self._config, self._name, self._identity.public_key, taken, self._random)
        yield from self._strategy.candidates(request)

    # -- guarding --------------------------------------------------------------------------------------------------

    def _bucket_changed(self, changes: Mapping[str, Entry]) -> None:
        """Take what the follower found: the view first, then the device, then a look at our own record."""
        touched = self.view.update(changes)
        self._reconciler.changed(touched, self.follower.revision)
        if self.record and self.record.key in changes:
            judgement = judge_own(changes[self.record.key], self.record, self._identity, newcomer=False)
            if judgement.verdict is not Verdict.KEEP:
                self._doubt.set()

    def _is_missing(self) -> bool:
        entry = self.follower.table.get(self.record.key) if self.record else None
        return entry is None or entry.value is None

    def _check_for_clones(self) -> None:
        """Our record is gone or changed; if a copy of this machine withdrew it for one of its own, let it be."""
        for key, accepted in self.view.own_records.items():
            if self._is_missing() and not self._identity.knows(accepted.record.instance):
                raise ClonedError(
                    f"a copy of this machine runs with our private key (its record: {key}, {accepted.record.name!r})",
                    hint="give each machine a private key of its own (ikto key generate)",
                )

    # -- what is kept, and what the device should be ---------------------------------------------------------------

    def _kept_address(self) -> str | None:
        claim = self._kept.claim
        if claim is None:
            return None
        address = claim.private_address if self._config.subnet is None else self._config.private_address
        return address if claim == self._claim_of(address) else None

    def _recorded_address(self) -> str | None:
        """Return an address in a subnet that the bucket says is ours, although nothing was kept of it."""
        regular = (accepted.subnet for accepted in self.view.own_records.values() if accepted.regular)
        return next((device_address(subnet) for subnet in regular), None)

    def _claim_of(self, address: str) -> Claim:
        return Claim(
            private_address=address,
            mesh_cidr=str(self._config.mesh),
            subnet_prefix=self._config.subnet_prefix,
            public_key=self._identity.public_key.text,
            bucket=self._config.nats_kv,
        )

    def _keep(self, address: str) -> None:
        self._kept = self._kept.claimed(self._claim_of(address), self._identity.instance)
        self._state.save(self._kept)

    def _aim(self, address: str | None) -> None:
        """Aim at the device with this address, or with none, and at what the bucket looks like from there."""
        subnet = own_subnet(self._config, address) if address else None
        self.view = MeshView(msgspec.structs.replace(self.view.rules, own_subnet=subnet))
        self.view.update(self.follower.table)
        device = own_device(self._config, self._private_key, address)
        self._reconciler.target(device, self.view.peers, self.follower.revision)
