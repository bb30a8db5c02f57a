"""What to do about the record under this node's KV key: write it, keep it, or give the subnet up. Pure."""

from collections.abc import Iterable, Set
from enum import Enum
from functools import lru_cache
from random import Random

import msgspec

from ikto_core.mesh.peer_index import AcceptedRecord
from ikto_core.mesh.proofs import Proof, owner_of
from ikto_core.mesh.records import PeerRecord, RecordError, decode_record
from ikto_core.mesh.view import Entry
from ikto_core.values.keys import PublicKey


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """This node's keys and runs, by which it recognises its records."""

    public_key: PublicKey
    instance: str  # id of this run of the agent
    instances: Set[str] = frozenset()  # ids of this installation's earlier runs, by which it knows its old records
    other_keys: Set[PublicKey] = frozenset()  # keys that this installation had before, or will have next
    next_key: PublicKey | None = None  # the one of them that the record announces; None: no rotation is under way

    def knows(self, instance: str, *, older: bool = True) -> bool:
        """Return whether this installation wrote the records of that instance.

        All programs of Ikto 0.3.0 have the same instance, "". If this node took such a record over, it knows the ones
        that are `older` than its own, as in a restored backup. A later one is of a program that runs.
        """
        return instance == self.instance or (instance in self.instances and (older or instance != ""))

    def after(self, instances: Iterable[str]) -> "Identity":
        """Return this identity with further earlier runs: a starting node takes over records with its key."""
        return msgspec.structs.replace(self, instances=self.instances | set(instances))

    def owns(self, public_key: PublicKey) -> bool:
        """Return whether a public key belongs to this installation."""
        return public_key == self.public_key or public_key in self.other_keys

    def owns_text(self, public_key: str) -> bool:
        """Return whether a text is one of this installation's public keys."""
        return public_key in {key.text for key in (self.public_key, *self.other_keys)}

    def named(self, record: PeerRecord) -> PeerRecord:
        """Return this node's record with the present key, and the next one if it is to be announced."""
        return msgspec.structs.replace(record, public_key=self.public_key, next_public_key=self.next_key)

    def announcing(self, next_key: PublicKey) -> "Identity":
        """Return the identity of a node that announces its next key."""
        return msgspec.structs.replace(self, next_key=next_key, other_keys=self.other_keys | {next_key})

    def succeeded(self) -> "Identity":
        """Return the identity after the switch to the next key; unchanged if there is none."""
        if self.next_key is None:
            return self
        keys = self.other_keys | {self.public_key}
        return msgspec.structs.replace(self, public_key=self.next_key, next_key=None, other_keys=keys)


def draw_identity(
    public_key: PublicKey, instances: Set[str], random: Random, *, other_keys: Set[PublicKey] = frozenset()
) -> Identity:
    """Return the identity of a new run that follows `instances`."""
    instance = f"{random.getrandbits(64):016x}"
    return Identity(public_key=public_key, instance=instance, instances=instances, other_keys=other_keys)


class Hold(Enum):
    """Whether this node holds its subnet against another node's record that is in the place of its own."""

    NONE = "none"  # it does not, or the bucket may have lost the own record: the other one counts
    DOUBTED = "doubted"  # it does, if the followed bucket comes to show the other record in the same history
    FIRM = "firm"  # the bucket had the own record, and then the other one was written over it


class ClaimContext(msgspec.Struct, frozen=True, kw_only=True):
    """Where this run stands with a KV key."""

    starting: bool = False
    """This run has not claimed anything yet. Then a record with one of this node's keys is taken over, whoever wrote
    it. Later, one that no run of this installation wrote, and that proves its key, means that a copy runs."""

    was_claimed: bool = False
    """An earlier run claimed this very subnet. Then a record without a readable owner is replaced at the start too."""

    require_proof: bool = False
    """Records without a proof count for nothing: they keep nobody from a subnet that an earlier run has claimed."""

    hold: Hold = Hold.NONE
    first_serial: int = 0  # of this run's first record under the KV key; earlier ones are replays or from a backup

    older: bool = False
    """The entry is older than this run's first record, or of another history of the bucket, as in a backup."""

    peer_lost_at: int = 0
    """Revision of a deletion after which nodes of 0.3.0 lack this node's peer: an older record is written again."""


class ClaimAction(Enum):
    """What to do about the record under this node's KV key."""

    WRITE = "write"  # there is none, or it is out of date: write it at the revision read
    KEEP = "keep"  # it is there and up to date
    RECLAIM = "reclaim"  # somebody without a right to it has overwritten it: report that, and write it
    WAIT = "wait"  # perhaps so: look again when the followed bucket shows it
    IN_USE = "in use"  # it belongs to another node: never overwrite it
    CLONED = "cloned"  # it has this node's key and its proof, but another installation wrote it: a copy of this machine


class ClaimDecision(msgspec.Struct, frozen=True):
    """An action, and the node that has the record."""

    action: ClaimAction
    holder: str = ""  # who has the record, if it is another's or pretends to be this node's


_AGAINST = {Hold.NONE: ClaimAction.IN_USE, Hold.DOUBTED: ClaimAction.WAIT, Hold.FIRM: ClaimAction.RECLAIM}


def decide_claim(
    entry: Entry | None, wanted: PeerRecord, identity: Identity, context: ClaimContext, proof: Proof | None = None
) -> ClaimDecision:
    """Decide about what is under this node's KV key.

    Args:
        entry: What is there; None or a deletion if there is no record.
        wanted: The record that should be there; its nonce does not matter.
        identity: Who this node is.
        context: Where this run stands with the KV key.
        proof: What the entry proves; None: nothing.

    """
    if entry is None or entry.value is None or (proof and proof.left):
        return ClaimDecision(ClaimAction.WRITE)
    try:
        found = _decoded(wanted.key, entry.value)
    except RecordError as error:
        return _decide_unreadable(entry.value, identity, context, str(error))
    if not identity.owns(found.public_key):
        return ClaimDecision(_against(context, proof), f"{found.name!r} (public key {found.public_key})")
    if not context.starting and not identity.knows(found.instance, older=context.older):
        holder = writer(found)
        if proof is None:
            return ClaimDecision(ClaimAction.RECLAIM, f"{holder}, without the proof of this node's key")
        if proof.serial >= context.first_serial:
            return ClaimDecision(ClaimAction.CLONED, holder)
    is_current = equal_but_nonce(found, wanted) and entry.revision > context.peer_lost_at
    return ClaimDecision(ClaimAction.KEEP if is_current else ClaimAction.WRITE)


@lru_cache(maxsize=4)
def _decoded(key: str, value: bytes) -> PeerRecord:
    """Return the record, decoded once: this node's own is looked at after each change of the bucket."""
    return decode_record(key, value)


def writer(found: PeerRecord) -> str:
    """Return who wrote a record with this node's key, for messages."""
    run = f"{found.agent or 'unknown program'}, instance {found.instance!r}" if found.instance else "Ikto 0.3.0"
    return f"{found.name!r} ({run})"


def _against(context: ClaimContext, proof: Proof | None) -> ClaimAction:
    """Return what to do about another node's record."""
    worthless = context.require_proof and context.was_claimed and proof is None
    return ClaimAction.RECLAIM if worthless else _AGAINST[context.hold]


def _decide_unreadable(value: bytes, identity: Identity, context: ClaimContext, why: str) -> ClaimDecision:
    """Decide about a record that is not valid; its owner may be readable all the same.

    A record without a readable owner belongs to nobody: the node that claimed the subnet replaces it, and a node that
    only now starts to claim it does not.
    """
    owner = owner_of(value)
    if owner is None:
        mine = context.was_claimed or not context.starting
        return ClaimDecision(ClaimAction.RECLAIM if mine else ClaimAction.IN_USE, f"an unreadable record ({why})")
    public_key, instance = owner
    if not identity.owns_text(public_key):
        return ClaimDecision(_against(context, None), f"an unreadable record of another public key ({why})")
    if not context.starting and not identity.knows(instance, older=context.older):
        return ClaimDecision(ClaimAction.RECLAIM, f"instance {instance!r}, in an unreadable record ({why})")
    return ClaimDecision(ClaimAction.WRITE)


def equal_but_nonce(one: PeerRecord, other: PeerRecord) -> bool:
    """Return whether two records are equal except for what differs in each write, and for statements of former keys."""
    return _without_nonce(one) == _without_nonce(other)


def _without_nonce(record: PeerRecord) -> PeerRecord:
    return msgspec.structs.replace(record, nonce="", serial=0, successions=())


def other_records(
    own_records: Iterable[AcceptedRecord],
    record: PeerRecord | None,
    identity: Identity,
    *,
    known: bool,
    since: int | None = None,
) -> list[AcceptedRecord]:
    """Return the other records with this node's keys that this installation wrote (`known`), or did not write.

    `since`: the revision of this run's first record in the present history of the bucket; None: it has none there.
    """
    others = (found for found in own_records if record is None or found.key != record.key)
    return [
        found
        for found in others
        if identity.knows(found.record.instance, older=since is None or found.revision <= since) is known
    ]
