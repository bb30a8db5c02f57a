"""Pins: a KV key whose record was proved stays its owner's until the owner gives it up, or is gone for a while.

A record that its public key's owner has signed is pinned to its KV key. Something else that the bucket has there later
is refused, and the pinned record counts on, unless it is a later record of the same key or of one that this key has
named. A public key with a pinned record proves its records: one without a proof is refused under any KV key.

A pin ends when its owner proves that it has left; when the owner has a later record under another KV key and none here
any more; or when the bucket has had no record of the owner under the KV key for as long as a pending removal waits. So
nodes that have seen different parts of a history agree after that time. A pin does not end while the record is
rewritten so often that writes are left out (mesh/change_limit.py): the owner's may be among them.

Pure: what is pinned depends on the bucket, the earlier pins and the time, not on the order of the changes of a batch.
"""

from collections.abc import Callable, Iterable, Mapping, Set
from math import inf

import msgspec

from ikto_core.mesh.pin_rules import NO_ENTRY, Found, Pin, rule
from ikto_core.mesh.proofs import Proof, ProofIndex, ProofResult
from ikto_core.mesh.records import PEER_KEYS, allowed_ip_of_key
from ikto_core.mesh.successions import succeeds
from ikto_core.mesh.unproved import FEW, UnprovedRecords
from ikto_core.mesh.view import Entry, MeshRules, Ruling
from ikto_core.values.addressing import Prefix
from ikto_core.values.keys import PublicKey

HOLD_S = 600.0
"""How long a pin outlives its record in the bucket: as long as a pending removal waits (values/removal_brake.py)."""

NOTHING = ProofResult()


class Pins:
    """The pins of a bucket, and what counts under each of its KV keys.

    Args:
        proofs: What the bucket's values prove.
        rules: Returns the rules of the mesh at this moment.
        hold_deleted_s: How long a pin outlives the deletion of its record.

    Times are seconds of any clock that never goes back.
    """

    def __init__(self, proofs: ProofIndex, rules: Callable[[], MeshRules], *, hold_deleted_s: float = HOLD_S) -> None:
        self.pins: dict[str, Pin] = {}  # by KV key
        self._proofs = proofs
        self._rules = rules
        self._hold_deleted_s = hold_deleted_s
        self._bucket: dict[str, Found] = {}  # the records that the bucket has, by KV key
        self._gone: set[str] = set()  # KV keys of the pins whose record the bucket has not
        self._pinned: dict[PublicKey, set[str]] = {}  # KV keys of the pins
        self._unproved = UnprovedRecords()

    def update(self, changes: Mapping[str, Entry], now: float) -> dict[str, Ruling]:
        """Apply changes of the bucket; return what counts now under every KV key for which that may be different."""
        concerned = {
            key: entry
            for key, entry in changes.items()
            if key.startswith(PEER_KEYS) or entry.unreadable or key in self._bucket
        }
        for key, entry in concerned.items():  # all before any is decided: one may end the pin of another's KV key
            self._note(key, entry)
        affected = set(concerned)
        for key, entry in concerned.items():
            if others := self._put(key, entry, now):
                affected |= self._unproved.now_or_later(others, now)
        return {key: self._rule(key) for key in affected}

    def replace(self, table: Mapping[str, Entry], now: float) -> dict[str, Ruling]:
        """Apply a whole bucket; return what counts now, as `update`. What it has as before is not looked at again."""
        missing = {key: Entry(found.entry.revision, None) for key, found in self._bucket.items() if key not in table}
        absent = {key: Entry(pin.entry.revision, None) for key, pin in self.pins.items() if key not in table}
        different = {key: entry for key, entry in table.items() if self._is_different(key, entry)}
        rulings = self.update(missing | absent | different, now)
        return rulings | {key: self._rule(key) for key in self._unproved.take_later(inf)}

    def rulings(self) -> dict[str, Ruling]:
        """Return what counts under every KV key."""
        return {key: self._rule(key) for key in self._bucket.keys() | self.pins.keys()}

    def restore(self, pins: Mapping[str, Pin]) -> None:
        """Begin with the pins of an earlier run."""
        for key, pin in pins.items():
            self._pin(key, pin)

    def expire(self, now: float, *, unless: Set[str] = frozenset()) -> dict[str, Ruling]:
        """End the pins whose owner has been gone for long enough; return what counts now, as `update`.

        `unless`: KV keys of which not every write was applied. Their owners may have written meanwhile.
        """
        since = {key: self.pins[key].gone_since for key in self._gone - unless}
        ended = self._end([key for key, at in since.items() if at is not None and now - at >= self._hold_s(key)], now)
        return ended | {key: self._rule(key) for key in self._unproved.take_later(now)}

    def followed_again(self, after_s: float, now: float) -> None:
        """Note that the bucket was not followed for some seconds until now: owners may have written meanwhile."""
        for key in self._gone:
            pin = self.pins[key]
            since = now if pin.gone_since is None else min(pin.gone_since + after_s, now)
            self.pins[key] = msgspec.structs.replace(pin, gone_since=since)

    def end_rights(self, now: float) -> dict[str, Ruling]:
        """End the pins whose right has ended; return what counts now, as `update`."""
        if self._proofs.authority is None:
            return {}  # no record needs a right
        return self._end([key for key, pin in self.pins.items() if self._proofs.right_fault(pin.proof)], now)

    def release(self, now: float) -> dict[str, Ruling]:
        """End the pins whose record was deleted; return what counts now, as `update`."""
        return self._end(self.deleted(), now)

    def accept_history(self, now: float) -> dict[str, Ruling]:
        """End the pins that a bucket with another history has given to others; return what counts now, as `update`.

        NATS has lost acknowledged writes, so the owner may have lost its record through no fault of another node's.
        """
        return self._end([key for key in self._gone if key in self._bucket], now)

    def deleted(self) -> list[str]:
        """Return the KV keys of the pins whose record was deleted."""
        return [key for key in self._gone if key not in self._bucket]

    def entry(self, key: str) -> Entry:
        """Return the entry that counts under a KV key with an accepted record."""
        return self.pins[key].entry if key in self.pins else self._bucket[key].entry

    def _is_different(self, key: str, entry: Entry) -> bool:
        """Return whether the bucket has not had this entry yet; a deletion counts if there was something before."""
        found = self._bucket.get(key)
        return found.entry != entry if found else entry.value is not None or key in self.pins

    def _note(self, key: str, entry: Entry) -> None:
        """Note what the bucket has under a KV key, and what that proves."""
        before, result = self._bucket.get(key), NOTHING
        if entry.value is None:
            self._bucket.pop(key, None)
            self._proofs.forget(key)
        else:
            result = NOTHING if entry.unreadable else self._proofs.verified(key, entry.value)
            self._bucket[key] = Found(entry, result)
        self._unproved.note(key, before.result.public_key if before else None, result.public_key)

    def _result(self, key: str) -> ProofResult:
        """Return what the bucket's value under a KV key proves at this moment."""
        found = self._bucket.get(key)
        return self._proofs.now(found.result) if found else NOTHING

    def _put(self, key: str, entry: Entry, now: float) -> set[str]:
        """Decide on what the bucket has under a KV key; return the other KV keys for which something else may count."""
        result = self._result(key)
        if result.proof is None and key not in self.pins:
            return set()
        affected = self._settle(key, entry, result, now)
        for left in self._left_behind(key):
            affected |= {left, *self._unpin(left)}
            affected |= self._put(left, self._entry_in_bucket(left, entry.revision), now)
        return affected

    def _entry_in_bucket(self, key: str, revision: int) -> Entry:
        """Return what the bucket has under a KV key; `revision`: of the deletion if it has nothing."""
        found = self._bucket.get(key)
        return found.entry if found else Entry(revision, None)

    def _left_behind(self, key: str) -> list[str]:
        """Return which pins of the owner of a KV key it has moved away from: it has a later record, and none there.

        A node that was away when another one moved has not seen that it left. Nobody honest has more than a few pins.
        """
        pinned = self._pinned[self.pins[key].proof.public_key] if key in self.pins else set[str]()
        if len(pinned) > FEW:
            return []
        latest = max((self.pins[other].proof.serial for other in pinned), default=0)
        for other in pinned:
            if self.pins[other].proof.serial < latest:
                self.pins[other] = msgspec.structs.replace(self.pins[other], superseded=True)
        return [other for other in pinned if other in self._gone and self.pins[other].superseded]

    def _settle(self, key: str, entry: Entry, result: ProofResult, now: float) -> set[str]:
        """Set, keep or end the pin of a KV key; return the KV keys of records that are judged anew for that."""
        pin, proof = self.pins.get(key), result.proof
        if proof and self._rules().is_own(proof.public_key) and (pin is None or proof.serial > pin.proof.serial):
            return self._unpin(key)  # an older one is a replay of what this node wrote before the subnet was another's
        if proof and (pin is None or self._follows(key, proof, pin.proof)):
            return self._unpin(key) if proof.left or self._is_outside(key) else self._pin(key, Pin(entry, proof))
        if pin is None:
            return set()
        if entry.value is None and not self._hold_deleted_s:
            return self._unpin(key)
        replayed = proof is not None and proof.public_key == pin.proof.public_key
        self._proofs.stats.replays += replayed
        self._proofs.stats.overwrites += entry.value is not None and not replayed
        if pin.gone_since is None:
            self._pin(key, msgspec.structs.replace(pin, gone_since=now))
        return set()

    def _follows(self, key: str, later: Proof, earlier: Proof) -> bool:
        """Return whether a proved record may take the place of a pinned one."""
        if later.public_key == earlier.public_key:
            return later.serial >= earlier.serial
        return later.serial > earlier.serial and succeeds(later, earlier, self._proofs.bucket, key)

    def _is_outside(self, key: str) -> bool:
        return not self._rules().cidr.covers(Prefix.parse(allowed_ip_of_key(key)))

    def _pin(self, key: str, pin: Pin) -> set[str]:
        freed = self._unpin(key)
        self.pins[key] = pin
        if pin.gone_since is not None:
            self._gone.add(key)
        public_key = pin.proof.public_key
        pinned = self._pinned.setdefault(public_key, set())
        pinned.add(key)
        return freed ^ (self._unproved.naming(public_key) if len(pinned) == 1 else set())

    def _unpin(self, key: str) -> set[str]:
        """End a pin, if there is one; return the KV keys of records without a proof that may count again."""
        self._gone.discard(key)
        pin = self.pins.pop(key, None)
        if pin is None:
            return set()
        public_key = pin.proof.public_key
        self._pinned[public_key].discard(key)
        if self._pinned[public_key]:
            return set()
        del self._pinned[public_key]
        return self._unproved.naming(public_key)

    def _end(self, keys: Iterable[str], now: float) -> dict[str, Ruling]:
        affected: set[str] = set()
        for key, pinned in {key: self.pins[key].entry for key in keys}.items():
            if key in self.pins and self.pins[key].entry == pinned:  # not ended by what counts instead of another one
                entry = self._entry_in_bucket(key, pinned.revision)
                affected |= {key, *self._unproved.now_or_later(self._unpin(key) | self._put(key, entry, now), now)}
        return {key: self._rule(key) for key in affected}

    def _hold_s(self, key: str) -> float:
        return HOLD_S if key in self._bucket else self._hold_deleted_s

    def _rule(self, key: str) -> Ruling:
        found, pin = self._bucket.get(key), self.pins.get(key)
        if found is None and pin is None:
            return NO_ENTRY
        entry = found.entry if found else None
        return rule(key, entry, pin, result=self._result(key), rules=self._rules(), pinned=self._pinned)
