"""Writes this node's record into the bucket, and deletes earlier ones: nothing else claims a subnet."""

from collections.abc import Callable
from typing import NoReturn

import msgspec
import structlog

from ikto_core.claim.alarms import Alarms
from ikto_core.claim.policy import ClaimAction, ClaimContext, ClaimDecision, Identity, decide_claim
from ikto_core.errors import AddressInUseError, NatsDeniedError, NatsError, RevisionConflictError, WriteUnknownError
from ikto_core.mesh.proofs import Proof, ProofIndex
from ikto_core.mesh.records import PeerRecord, RecordError, decode_record, readable_record
from ikto_core.mesh.view import Entry
from ikto_core.store.interfaces import RecordStore

ATTEMPTS = 8
"""Lost races and lost answers in a row after which a claim gives up for now."""

_NOT_WITHDRAWN = (
    "if this node had that subnet: grant it the right to publish on that subject and restart it, or have an operator"
    " delete the record (docs/node-life.md, Another subnet); peers keep both subnets until then"
)

log = structlog.get_logger(__name__)


class ClonedError(AddressInUseError):
    """Another installation runs with this node's private key and has taken its record over."""

    def __init__(self, message: str) -> None:
        super().__init__(message, hint="give each machine a private key of its own (ikto key generate)")


class Claimant:
    """Writes and withdraws this node's records, and never those of other nodes.

    Args:
        identity: Returns this node's identity at this moment.
        draw_nonce: Returns a new random text at each call, by which a write whose answer was lost is recognised.
        sign: Returns the value to write for a record, with a proof and a serial that is greater than the given one.
        proofs: What the bucket's values prove.
        alarms: Is told when somebody without a right to it had overwritten the record.

    """

    def __init__(
        self,
        identity: Callable[[], Identity],
        draw_nonce: Callable[[], str],
        sign: Callable[[PeerRecord, int], bytes],
        proofs: ProofIndex,
        alarms: Alarms,
    ) -> None:
        self._identity = identity
        self._draw_nonce = draw_nonce
        self._sign = sign
        self._proofs = proofs
        self._alarms = alarms
        self.denied: set[str] = set()  # KV keys of earlier records that this node may not write

    async def claim(
        self, store: RecordStore, record: PeerRecord, context: Callable[[Entry | None], ClaimContext]
    ) -> int:
        """Write `record` unless the bucket has it already; return its revision.

        Every attempt decides on what the leader has, anew after each lost race and each lost answer. `context` returns
        where this run stands with an entry of the leader.

        Raises:
            AddressInUseError: The KV key holds another node's record; ClonedError if a copy of this machine wrote it.
            NatsError: The bucket can't be read or written, or the followed bucket does not show another node's record
                yet that the leader has.

        """
        written: set[str] = set()
        reason = ""
        for _ in range(ATTEMPTS):
            entry = await store.get(record.key)
            if entry and _nonce(record.key, entry) in written:
                return entry.revision  # the answer was lost, the write was not
            decision = decide_claim(entry, record, self._identity(), context(entry), self._proof(record.key, entry))
            if entry and decision.action is ClaimAction.KEEP:
                return entry.revision
            if decision.action is ClaimAction.RECLAIM:
                self._alarms.report("own record was overwritten", allowed_ip=record.allowed_ip, by=decision.holder)
            elif decision.action is not ClaimAction.WRITE:
                _refuse(record, decision)
            nonce = self._draw_nonce()
            written.add(nonce)
            try:
                named = msgspec.structs.replace(record, nonce=nonce)
                value = self._sign(named, self._serial_of(record.key, entry))
                return await store.put(record.key, value, expected=entry.revision if entry else 0)
            except (RevisionConflictError, WriteUnknownError) as error:
                reason = str(error)
                log.info("claim attempt repeated", allowed_ip=record.allowed_ip, reason=reason)
        raise NatsError(f"could not claim {record.allowed_ip} in {ATTEMPTS} attempts: {reason}", hint="try again")

    async def withdraw(self, store: RecordStore, key: str) -> bool:
        """Delete the earlier record under `key` if it has one of this node's keys; return whether the key is empty now.

        First this node signs that it leaves, or its peers would keep the record for a while. If it is killed before it
        deletes the record, its next run does. A record that is written meanwhile stays, and so does one that this node
        may not write. Raises NatsError if the bucket can't be read or written.
        """
        entry = await store.get(key)
        if entry is None or entry.value is None:
            return True
        try:
            found = decode_record(key, entry.value)
            if not self._identity().owns(found.public_key):
                return False
            revision, proof = entry.revision, self._proof(key, entry)
            if proof and not proof.left and found.public_key == self._identity().public_key:
                left = msgspec.structs.replace(found, left=True, nonce=self._draw_nonce())
                revision = await store.put(key, self._sign(left, proof.serial), expected=revision)
            await store.put(key, None, expected=revision)
        except (RecordError, RevisionConflictError):
            return False
        except NatsDeniedError as error:  # the right is for the new key only; or somebody else wrote it in our name
            self._alarms.report("earlier record not withdrawn", key=key, error=str(error), hint=_NOT_WITHDRAWN)
            self.denied.add(key)
            return False
        log.info("withdrew earlier record", key=key)
        return True

    def owns_text(self, public_key: str) -> bool:
        """Return whether a text is one of this node's public keys."""
        return self._identity().owns_text(public_key)

    def _serial_of(self, key: str, entry: Entry | None) -> int:
        """Return the serial of a record of this node's own; 0 for any other one."""
        proof = self._proof(key, entry)
        return proof.serial if proof and self._identity().owns(proof.public_key) else 0

    def _proof(self, key: str, entry: Entry | None) -> Proof | None:
        return self._proofs.result(key, entry.value).proof if entry and entry.value else None


def _nonce(key: str, entry: Entry) -> str | None:
    record = readable_record(key, entry.value)
    return record.nonce if record else None


def _refuse(record: PeerRecord, decision: ClaimDecision) -> NoReturn:
    if decision.action is ClaimAction.WAIT:
        raise NatsError(
            f"the record of {record.allowed_ip} was overwritten by {decision.holder}, which the followed bucket lacks",
            hint="the agent looks again",
        )
    if decision.action is ClaimAction.CLONED:
        raise ClonedError(
            f"the record of {record.allowed_ip} was taken over by {decision.holder}: a copy of this machine"
        )
    hint = 'choose another private_address, or "auto"'
    if decision.holder.startswith(f"{record.name!r} ("):
        hint = (
            "that is this node's name: if its private key was lost or replaced, put the former one back into the file "
            "of private_key_path; if it is gone for good, release the record (docs/node-life.md, A lost key; "
            f"it is {record.key}); if another node has that name, {hint}"
        )
    raise AddressInUseError(f"{record.allowed_ip} is in use by {decision.holder}", hint=hint)
