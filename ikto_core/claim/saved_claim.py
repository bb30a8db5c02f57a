"""The claim of an earlier run, as far as it holds under the present configuration."""

from collections.abc import Set

import msgspec

from ikto_core.claim.local_node import own_claim, own_subnet
from ikto_core.config import Config
from ikto_core.disk.state_file import Claim, StateFile
from ikto_core.values.addressing import Prefix
from ikto_core.values.keys import PublicKey


class SavedClaim:
    """Reads the state file once, and keeps it up to date from then on."""

    def __init__(self, config: Config, public_key: PublicKey, state: StateFile) -> None:
        self._config = config
        self._public_key = public_key
        self._state = state
        self._kept = state.load()

    @property
    def other_keys(self) -> frozenset[PublicKey]:
        """The public keys of this installation beside the present one: what it was before a rotation, or will be."""
        ours = self._kept.keys if self._public_key.text in self._kept.keys else ()
        return frozenset(PublicKey.parse(text) for text in ours) - {self._public_key}

    @property
    def kept(self) -> Claim | None:
        """The claim; None: nothing was claimed, or in another mesh, for another key or another address."""
        claim = self._kept.claim and self._as_ours(self._kept.claim)
        return claim if claim and claim == self._wanted(claim) else None

    @property
    def address(self) -> str | None:
        """The device's address in what was claimed; None as `kept`."""
        return self.kept.private_address if self.kept else None

    @property
    def instances(self) -> frozenset[str]:
        """The earlier runs of this installation that made claims."""
        return frozenset(self._kept.instances)

    def holds(self, subnet: Prefix) -> bool:
        """Whether this is the subnet that was claimed."""
        return self.address is not None and own_subnet(self._config, self.address) == subnet

    def differences(self, other: Claim) -> list[str]:
        """Return why `other` is not the claim that holds, a line each."""
        other = self._as_ours(other)
        differences = (self.kept or self._wanted(other)).differences(other)
        return differences or ([] if self.kept else ["no claim is kept beside it"])

    def begin(self, instance: str, taken_over: Set[str] = frozenset()) -> None:
        """Keep that this run will write records, after those it takes over: the next run is to know them all."""
        if instance not in self._kept.instances:
            for run in (*sorted(taken_over - self.instances), instance):
                self._kept = self._kept.begun(run)
            self._state.save(self._kept)

    def keep(self, address: str) -> None:
        """Keep that we have claimed the subnet around `address`."""
        self._kept = self._kept.claimed(own_claim(self._config, self._public_key, address))
        self._state.save(self._kept)

    def announce(self, next_key: PublicKey) -> bool:
        """Keep that this key will be ours, so that the claim outlives the present one; return whether it is on disk."""
        if self._public_key.text not in self._kept.keys:  # of a machine that has got another key by hand
            self._kept = msgspec.structs.replace(self._kept, keys=())
        self._kept = self._kept.announced(self._public_key.text, next_key.text)
        self._state.save(self._kept)
        return not self._state.failure

    def forget(self) -> None:
        """Keep no claim."""
        self._kept = msgspec.structs.replace(self._kept, claim=None)
        self._state.save(self._kept)

    def _as_ours(self, claim: Claim) -> Claim:
        """Return a claim that was made with another key of ours as one of the present key."""
        ours = claim.public_key in {key.text for key in self.other_keys}
        return msgspec.structs.replace(claim, public_key=self._public_key.text) if ours else claim

    def _wanted(self, claim: Claim) -> Claim:
        """Return what a claim of this address, or of the configured one, would be today."""
        address = claim.private_address if self._config.subnet is None else self._config.private_address
        return own_claim(self._config, self._public_key, address)
