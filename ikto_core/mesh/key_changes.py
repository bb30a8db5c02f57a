"""Limits how many records get another public key at once: many at one moment are an attack or a mistake.

The records beyond the limit count on as they were, until they are released or a delay has passed. A record that has
been deleted is remembered for as long, so that deleting it first does not evade the limit.

Not limited are changes that the pins have admitted (mesh/pins.py): a record that was proved is followed only by one
that its owner has named, or after the owner has been gone for as long. An announcement without a proof is no exception:
whoever can write the record can write that too. This node's own keys are the claim's business.
"""

from collections.abc import Callable, Mapping

import msgspec

from ikto_core.mesh.view import Entry, MeshRules, QuarantinedRecord, Ruling
from ikto_core.values.keys import PublicKey
from ikto_core.values.removal_brake import Brake

WAITS = "its public key has changed, like that of many records at that moment: it waits, see `ikto peers release`"


class _Holder(msgspec.Struct, frozen=True, gc=False):
    """Who has a KV key: the owner in the ruling."""

    ruling: Ruling  # the last one in favour of this holder
    gone_since: float | None = None  # since when nobody's record counts there; None: the holder's does


class KeyChanges:
    """The holder of each KV key, and the changes of holders that wait.

    Args:
        brake: Limits the changes, by KV key.
        rules: Returns the rules of the mesh at this moment.
        remember_s: How long the holder of a deleted record is remembered.

    Times are seconds of any clock that never goes back.
    """

    def __init__(self, brake: Brake[str], rules: Callable[[], MeshRules], *, remember_s: float) -> None:
        self.waiting: dict[str, Ruling] = {}  # what will count, by KV key
        self._brake = brake
        self._rules = rules
        self._remember_s = remember_s
        self._holders: dict[str, _Holder] = {}
        self._gone: set[str] = set()  # the KV keys of holders that are gone

    def update(self, rulings: Mapping[str, Ruling], now: float) -> dict[str, Ruling]:
        """Apply rulings of the pins; return what counts now under every KV key for which that may be different."""
        before = {key for key in rulings if self.waiting.pop(key, None)}
        for key, ruling in rulings.items():
            if ruling.owner and self._must_wait(self._holders.get(key), ruling.owner, now):
                self.waiting[key] = ruling
            else:
                self._settle(key, ruling, now)
        concerned = before or not self.waiting.keys().isdisjoint(rulings)  # or the others need not be looked at
        admitted = self._admit(now) if concerned else {}
        return {**rulings, **admitted, **{key: self._held(key) for key in rulings if key in self.waiting}}

    def expire(self, now: float) -> dict[str, Ruling]:
        """Forget holders that are gone for long, and admit what has waited for long; return as `update`."""
        rulings = self._admit(now)
        forgotten = {key for key in self._gone if self._is_forgotten(self._holders[key], now)} - self.waiting.keys()
        for key in forgotten:
            del self._holders[key]
        self._gone -= forgotten
        return rulings

    def release(self, now: float) -> dict[str, Ruling]:
        """Admit every change that waits; return as `update`."""
        self._brake.release()
        return self._admit(now)

    def counting(self, key: str) -> Entry | None:
        """Return the entry that counts under a KV key whose change waits; None: none waits there."""
        return self._holders[key].ruling.entry if key in self.waiting else None

    def _must_wait(self, holder: _Holder | None, owner: PublicKey, now: float) -> bool:
        """Return whether an owner may become the holder only within the limit."""
        former = holder.ruling.owner if holder else None
        if holder is None or former is None or former == owner or self._is_forgotten(holder, now):
            return False
        is_own = self._rules().is_own
        return not (holder.ruling.proved or is_own(owner) or is_own(former))

    def _is_forgotten(self, holder: _Holder, now: float) -> bool:
        return holder.gone_since is not None and now - holder.gone_since >= self._remember_s

    def _settle(self, key: str, ruling: Ruling, now: float) -> None:
        """Note what counts under a KV key."""
        if ruling.owner:
            self._holders[key] = _Holder(ruling)
            self._gone.discard(key)
        elif (holder := self._holders.get(key)) and holder.gone_since is None:
            self._holders[key] = msgspec.structs.replace(holder, gone_since=now)
            self._gone.add(key)

    def _admit(self, now: float) -> dict[str, Ruling]:
        """Return the changes that need not wait any longer."""
        if not (self.waiting or self._brake.pending):
            return {}
        present = len(self._holders) - self._brake.passed(now)  # the brake adds those that passed
        admitted = self._brake.admit(self.waiting.keys(), present=present, now=now)
        self._brake.applied()
        rulings = {key: self.waiting.pop(key) for key in admitted}
        for key, ruling in rulings.items():
            self._settle(key, ruling, now)
        return rulings

    def _held(self, key: str) -> Ruling:
        """Return what counts under a KV key while a change waits."""
        holder, entry = self._holders[key], self.waiting[key].entry
        refused = QuarantinedRecord(key, entry.revision, WAITS)
        if holder.gone_since is not None:
            return Ruling(Entry(entry.revision, None), refused=refused)
        return msgspec.structs.replace(holder.ruling, refused=refused)
