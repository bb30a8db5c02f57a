"""Deciding about our own record: claim it, keep it, or let go. Pure; `claim.py` carries it out."""

from collections.abc import Iterable, Set
from enum import Enum
from random import Random

import msgspec

from ikto_core.mesh.records import PeerRecord, RecordError, decode_record, owner_of
from ikto_core.mesh.view import Accepted, Entry
from ikto_core.values.keys import PublicKey


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Who we are, as far as the bucket is concerned."""

    public_key: PublicKey
    instance: str  # this run of the agent
    instances: Set[str] = frozenset()  # earlier runs of this installation, so that an old record of ours is known
    other_keys: Set[PublicKey] = frozenset()  # that this installation had before, or will have next
    next_key: PublicKey | None = None  # the one of them that peers are to be told of; None: none

    def knows(self, instance: str) -> bool:
        """Whether this installation wrote the records of that instance."""
        return instance == self.instance or instance in self.instances

    def after(self, instances: Iterable[str]) -> "Identity":
        """Return us, knowing further runs as earlier ones of ours: whoever starts takes over what has our key."""
        return msgspec.structs.replace(self, instances=self.instances | set(instances))

    def owns(self, public_key: PublicKey) -> bool:
        """Whether a public key is of this installation."""
        return public_key == self.public_key or public_key in self.other_keys

    def named(self, record: PeerRecord) -> PeerRecord:
        """Return a record of ours with our present key, and the next one if there is one to be told of."""
        return msgspec.structs.replace(record, public_key=self.public_key, next_public_key=self.next_key)

    def announcing(self, next_key: PublicKey) -> "Identity":
        """Return who we are once we tell what our next key is."""
        return msgspec.structs.replace(self, next_key=next_key, other_keys=self.other_keys | {next_key})

    def succeeded(self) -> "Identity":
        """Return who we are once our next key is our key; as before if there is no next one."""
        if self.next_key is None:
            return self
        keys = self.other_keys | {self.public_key}
        return msgspec.structs.replace(self, public_key=self.next_key, next_key=None, other_keys=keys)


def draw_identity(
    public_key: PublicKey, instances: Set[str], random: Random, *, other_keys: Set[PublicKey] = frozenset()
) -> Identity:
    """Return who we are in a new run, after these."""
    instance = f"{random.getrandbits(64):016x}"
    return Identity(public_key=public_key, instance=instance, instances=instances, other_keys=other_keys)


class ClaimAction(Enum):
    """What to do about the record under our key."""

    WRITE = "write"  # nobody's, or ours but not what it should be: write it at the revision seen
    KEEP = "keep"  # ours, and as it should be
    IN_USE = "in use"  # somebody else's: never overwritten
    CLONED = "cloned"  # our key, written by another installation: a copy of this machine has taken it over


class ClaimDecision(msgspec.Struct, frozen=True):
    """A verdict, with the words for it."""

    action: ClaimAction
    holder: str = ""  # who has the record, for IN_USE and CLONED


def decide_claim(
    entry: Entry | None, wanted: PeerRecord, identity: Identity, *, newcomer: bool, held: bool = False
) -> ClaimDecision:
    """Decide about what the leader holds under our key.

    Args:
        entry: What is there; None or a deletion if nothing is.
        wanted: The record that should be there; its nonce does not matter.
        identity: Who we are.
        newcomer: True at the agent's start: a record with a public key of ours is ours to take over, whoever wrote it.
            Later on, one that no run of ours wrote means that somebody else runs with our key: no fight.
        held: Whether we had this very subnet when we last knew: a newcomer mends it too if it is nobody's.

    """
    if entry is None or entry.value is None:
        return ClaimDecision(ClaimAction.WRITE)
    try:
        found = decode_record(wanted.key, entry.value)
    except RecordError as error:
        return _decide_unreadable(entry.value, identity, newcomer=newcomer, held=held, why=str(error))
    if not identity.owns(found.public_key):
        return ClaimDecision(ClaimAction.IN_USE, f"{found.name!r} (public key {found.public_key})")
    if not newcomer and not identity.knows(found.instance):
        return ClaimDecision(
            ClaimAction.CLONED, f"{found.name!r} ({found.agent or 'Ikto 0.3.0'}, instance {found.instance!r})"
        )
    return ClaimDecision(ClaimAction.KEEP if same_but_nonce(found, wanted) else ClaimAction.WRITE)


def _decide_unreadable(value: bytes, identity: Identity, *, newcomer: bool, held: bool, why: str) -> ClaimDecision:
    """Decide about a record that can't be accepted: whose it is may be legible all the same.

    What names no owner at all is nobody's, and who held the subnet mends it; any other newcomer leaves it alone.
    """
    owner = owner_of(value)
    if owner is None:
        stranger = newcomer and not held
        return (
            ClaimDecision(ClaimAction.IN_USE, f"an unreadable record ({why})")
            if stranger
            else ClaimDecision(ClaimAction.WRITE)
        )
    public_key, instance = owner
    if public_key not in {key.text for key in (identity.public_key, *identity.other_keys)}:
        return ClaimDecision(ClaimAction.IN_USE, f"an unreadable record of another public key ({why})")
    if not newcomer and not identity.knows(instance):
        return ClaimDecision(ClaimAction.CLONED, f"instance {instance!r}, in an unreadable record ({why})")
    return ClaimDecision(ClaimAction.WRITE)


def same_but_nonce(one: PeerRecord, other: PeerRecord) -> bool:
    """Whether two records say the same; each write has a nonce of its own."""
    return msgspec.structs.replace(one, nonce="") == msgspec.structs.replace(other, nonce="")


def elsewhere(
    with_our_key: Iterable[Accepted], record: PeerRecord | None, identity: Identity, *, ours: bool
) -> list[Accepted]:
    """Return which records with our public key stand beside `record`: those that are ours, or those that are not."""
    others = (found for found in with_our_key if record is None or found.key != record.key)
    return [found for found in others if identity.knows(found.record.instance) is ours]
