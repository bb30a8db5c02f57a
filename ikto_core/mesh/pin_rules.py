"""What counts under a KV key, given what the bucket has there and the pin of the key, and why the rest is refused."""

from collections.abc import Container

import msgspec

from ikto_core.mesh.proofs import Proof, ProofResult
from ikto_core.mesh.view import Entry, MeshRules, QuarantinedRecord, Ruling
from ikto_core.values.keys import PublicKey

NO_ENTRY = Ruling(Entry(0, None))
"""No record counts."""


class Found(msgspec.Struct, frozen=True, gc=False):
    """What the bucket has under a KV key, decoded and verified once."""

    entry: Entry
    result: ProofResult  # as it was at that time: the right of a proved record may end


class Pin(msgspec.Struct, frozen=True, gc=False):
    """The latest record of an owner under a KV key."""

    entry: Entry
    proof: Proof
    gone_since: float | None = None  # since when the bucket has had no record of the owner; None: it has this one
    superseded: bool = False  # the owner has a later record under another KV key, or had one: it has moved


def rule(
    key: str,
    entry: Entry | None,
    pin: Pin | None,
    *,
    result: ProofResult,
    rules: MeshRules,
    pinned: Container[PublicKey],
) -> Ruling:
    """Return what counts under a KV key.

    Args:
        key: The KV key.
        entry: What the bucket has there; None: no record.
        pin: The pin of the KV key; None: it has none.
        result: What that entry proves.
        rules: The rules of the mesh at this moment.
        pinned: The public keys with a pin.

    """
    if pin is None:
        return _rule_unpinned(key, entry, result, rules, pinned) if entry else NO_ENTRY
    owner = pin.proof.public_key
    if entry is None or entry == pin.entry:
        return Ruling(pin.entry, proved=True, owner=owner, record=result.record)
    refused = QuarantinedRecord(key, entry.revision, _why(result, pin))
    return Ruling(pin.entry, proved=True, owner=owner, refused=refused)


def _rule_unpinned(
    key: str, entry: Entry, result: ProofResult, rules: MeshRules, pinned: Container[PublicKey]
) -> Ruling:
    if entry.unreadable:
        return Ruling(entry)  # quarantined for that reason
    owner, record = result.owner, result.record
    if result.proof:  # this node still has to delete what it has left
        left = result.proof.left and not rules.is_own(result.proof.public_key)
        return Ruling(Entry(entry.revision, None)) if left else Ruling(entry, proved=True, owner=owner, record=record)
    if result.public_key and rules.is_own(result.public_key):
        return Ruling(entry, owner=owner, record=record)
    reason = result.fault
    if result.public_key and not reason:
        if result.public_key in pinned:
            reason = "it has no proof, and the owner of its public key proves its records"
        elif rules.require_proof:
            reason = "it has no proof, which record_trust requires"
    refused = QuarantinedRecord(key, entry.revision, reason) if reason else None
    if refused:
        return Ruling(Entry(entry.revision, None), refused=refused)
    return Ruling(entry, owner=owner, record=record)


def _why(result: ProofResult, pin: Pin) -> str:
    """Return why an entry may not take the place of a pinned one."""
    if result.proof and result.proof.public_key == pin.proof.public_key:
        return f"a replay: its serial {result.proof.serial} is older than {pin.proof.serial}"
    wrong = f" ({result.fault})" if result.fault else ""
    return f"it overwrites the record of public key {pin.proof.public_key} without that key's proof{wrong}"
