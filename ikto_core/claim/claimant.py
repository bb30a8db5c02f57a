"""Writes this node's record into the bucket, and deletes earlier ones: nothing else claims a subnet."""

from collections.abc import Callable
from typing import NoReturn

import msgspec
import structlog

from ikto_core.claim.policy import ClaimAction, ClaimDecision, Identity, decide_claim
from ikto_core.errors import AddressInUseError, NatsError, RevisionConflictError, WriteUnknownError
from ikto_core.mesh.proofs import ProofIndex
from ikto_core.mesh.records import PeerRecord, RecordError, decode_record
from ikto_core.mesh.view import Entry
from ikto_core.store.interfaces import RecordStore

ATTEMPTS = 8
"""Lost races and lost answers in a row after which a claim gives up for now."""

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

    """

    def __init__(
        self,
        identity: Callable[[], Identity],
        draw_nonce: Callable[[], str],
        sign: Callable[[PeerRecord, int], bytes],
        proofs: ProofIndex,
    ) -> None:
        self._identity = identity
        self._draw_nonce = draw_nonce
        self._sign = sign
        self._proofs = proofs

    async def claim(self, store: RecordStore, record: PeerRecord, *, starting: bool, was_claimed: bool = False) -> int:
        """Write `record` unless the bucket has it already; return its revision.

        Every attempt decides on what the leader has, anew after each lost race and each lost answer. `starting` and
        `was_claimed` as in `decide_claim`.

        Raises:
            AddressInUseError: The KV key holds another node's record; ClonedError if a copy of this machine wrote it.
            NatsError: The bucket can't be read or written.

        """
        written: set[str] = set()
        for _ in range(ATTEMPTS):
            entry = await store.get(record.key)
            if entry and _nonce(record.key, entry) in written:
                return entry.revision  # the answer was lost, the write was not
            decision = decide_claim(entry, record, self._identity(), starting=starting, was_claimed=was_claimed)
            if entry and decision.action is ClaimAction.KEEP:
                return entry.revision
            if decision.action is not ClaimAction.WRITE:
                _refuse(record, decision)
            nonce = self._draw_nonce()
            written.add(nonce)
            try:
                named = msgspec.structs.replace(record, nonce=nonce)
                value = self._sign(named, self._serial_of(record.key, entry))
                return await store.put(record.key, value, expected=entry.revision if entry else 0)
            except (RevisionConflictError, WriteUnknownError) as error:
                log.info("claim attempt repeated", allowed_ip=record.allowed_ip, reason=str(error))
        raise NatsError(f"could not claim {record.allowed_ip} in {ATTEMPTS} attempts", hint="see the log; try again")

    async def withdraw(self, store: RecordStore, key: str) -> bool:
        """Delete the earlier record under `key` if it has one of this node's keys; return whether the key is empty now.

        A record that is written meanwhile stays. Raises NatsError if the bucket can't be read or written.
        """
        entry = await store.get(key)
        if entry is None or entry.value is None:
            return True
        try:
            if not self._identity().owns(decode_record(key, entry.value).public_key):
                return False
            await store.put(key, None, expected=entry.revision)
        except (RecordError, RevisionConflictError):
            return False
        log.info("withdrew earlier record", key=key)
        return True

    def _serial_of(self, key: str, entry: Entry | None) -> int:
        """Return the serial of a record of this node's own; 0 for any other one."""
        proof = self._proofs.verdict(key, entry.value).proof if entry and entry.value else None
        return proof.serial if proof and self._identity().owns(proof.public_key) else 0


def _nonce(key: str, entry: Entry) -> str | None:
    try:
        return decode_record(key, entry.value or b"").nonce
    except RecordError:
        return None


def _refuse(record: PeerRecord, decision: ClaimDecision) -> NoReturn:
    if decision.action is ClaimAction.CLONED:
        raise ClonedError(
            f"the record of {record.allowed_ip} was taken over by {decision.holder}: a copy of this machine"
        )
    raise AddressInUseError(
        f"{record.allowed_ip} is in use by {decision.holder}",
        hint='choose another private_address, or "auto"',
    )
