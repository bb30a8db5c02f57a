"""The claim of an earlier run, if it is valid under the present configuration."""

from collections.abc import Set

import msgspec
import structlog

from ikto_core.claim.local_node import LocalNode
from ikto_core.disk.mesh_snapshot import MeshSnapshot
from ikto_core.disk.state_file import Claim, SavedDevice, StateFile
from ikto_core.values.addressing import Prefix
from ikto_core.values.keys import PublicKey

log = structlog.get_logger(__name__)


class SavedClaim:
    """Reads the state file once, and keeps it up to date from then on."""

    def __init__(self, node: LocalNode, public_key: PublicKey, state: StateFile) -> None:
        self._node = node
        self._public_key = public_key
        self._file = state
        self._state = state.load()
        self.device_keys = self._state.public_keys | {public_key}
        """The keys by which this node knows its device: the present one, and those that the file had at the start."""

    @property
    def other_keys(self) -> frozenset[PublicKey]:
        """This installation's public keys beside the present one: those before a rotation, or the next one."""
        own = self._state.keys if self._public_key.text in self._state.keys else ()
        return frozenset(PublicKey.parse(text) for text in own) - {self._public_key}

    @property
    def claim(self) -> Claim | None:
        """The claim; None: nothing was claimed, or only in another mesh, for another key or another address."""
        claim = self._state.claim and self._under_present_key(self._state.claim)
        return claim if claim and claim == self._expected(claim) else None

    @property
    def address(self) -> str | None:
        """The device's address inside the claimed subnet; None as for `claim`."""
        return self.claim.private_address if self.claim else None

    @property
    def device(self) -> SavedDevice | None:
        """The device that this or an earlier run has used; None: none was used yet."""
        return self._state.device

    def save_device(self, netns: str) -> None:
        """Save that the device, in this network namespace, gets the present key."""
        device = SavedDevice(ifname=self._node.ifname, netns=netns, public_key=self._public_key.text)
        if device != self._state.device:
            self._state = msgspec.structs.replace(self._state, device=device)
            self._file.save(self._state)

    @property
    def is_released(self) -> bool:
        """Whether another node has the subnet: the bucket must show that it is free before it is used again."""
        return self._state.released

    @property
    def instances(self) -> frozenset[str]:
        """The earlier runs of this installation that wrote records."""
        return frozenset(self._state.instances)

    def is_of(self, subnet: Prefix) -> bool:
        """Return whether this subnet was claimed."""
        return self.address is not None and self._node.subnet_of(self.address) == subnet

    def differences(self, other: Claim) -> list[str]:
        """Return why `other` is not the valid claim, one line each."""
        other = self._under_present_key(other)
        differences = (self.claim or self._expected(other)).differences(other)
        return differences or ([] if self.claim else ["the state file has no claim"])

    def matches(self, snapshot: MeshSnapshot) -> bool:
        """Return whether a snapshot is of the valid claim; why it is not is logged."""
        if differences := self.differences(snapshot.claim):
            log.warning("snapshot of another mesh ignored", reason="; ".join(differences))
        return not differences

    def add_instance(self, instance: str, taken_over: Set[str] = frozenset()) -> None:
        """Save this run's instance id, after those whose records it takes over: the next run must know them all."""
        if instance not in self._state.instances:
            for run in (*sorted(taken_over - self.instances), instance):
                self._state = self._state.with_instance(run)
            self._file.save(self._state)

    @property
    def serial(self) -> int:
        """The serial of this installation's latest record; 0: it has written none."""
        return self._state.serial

    def next_serial(self, at_least: int) -> int:
        """Return the serial of the next record, greater than all before, and save it."""
        self._state = msgspec.structs.replace(self._state, serial=max(self._state.serial + 1, at_least))
        self._file.save(self._state)
        return self._state.serial

    def successions(self, kv_key: str) -> tuple[str, ...]:
        """Return the statements of former keys about this KV key, oldest first."""
        return tuple(statement for key, statement in self._state.successions if key == kv_key)

    def add_succession(self, kv_key: str, statement: str) -> None:
        """Save a statement of the present key; those about other KV keys are forgotten."""
        self._state = self._state.with_succession(kv_key, statement)
        self._file.save(self._state)

    def save(self, address: str) -> None:
        """Save that the subnet around `address` is claimed."""
        self._state = self._state.with_claim(self._node.claim(self._public_key, address))
        self._file.save(self._state)

    def add_next_key(self, next_key: PublicKey) -> bool:
        """Save the next key, so that the claim outlives the present one; return whether it is on disk."""
        if self._public_key.text not in self._state.keys:  # somebody replaced the key file by hand
            self._state = msgspec.structs.replace(self._state, keys=())
        self._state = self._state.with_keys(self._public_key.text, next_key.text)
        self._file.save(self._state)
        return not self._file.failure

    def release(self) -> None:
        """Save that another node has the subnet; it may be claimed again."""
        self._state = msgspec.structs.replace(self._state, released=True)
        self._file.save(self._state)

    def forget(self) -> None:
        """Save that there is no claim."""
        self._state = msgspec.structs.replace(self._state, claim=None, released=False)
        self._file.save(self._state)

    def _under_present_key(self, claim: Claim) -> Claim:
        """Return a claim made with another of this installation's keys as one of the present key."""
        own = claim.public_key in {key.text for key in self.other_keys}
        return msgspec.structs.replace(claim, public_key=self._public_key.text) if own else claim

    def _expected(self, claim: Claim) -> Claim:
        """Return what a claim of the configured address, or else of this one's, would be today."""
        return self._node.claim(self._public_key, self._node.address or claim.private_address)
