"""Which records without a proof name a public key: they are judged anew when that key begins or ceases to be proved.

Somebody may write thousands of records that name one public key, and then prove and withdraw that key again and again.
So many records are judged later, once for all that has changed meanwhile. Pure.
"""

from math import inf

from ikto_core.values.keys import PublicKey

FEW, LATER_S = 16, 15.0
"""More records than FEW are judged LATER_S later."""


class UnprovedRecords:
    """The records without a proof, by KV key. Times are seconds of any clock that never goes back."""

    def __init__(self) -> None:
        self._keys_of: dict[PublicKey, str | set[str]] = {}  # almost always one: a set of it would take 200 bytes
        self._later: set[str] = set()
        self._later_at = inf

    def note(self, key: str, before: PublicKey | None, public_key: PublicKey | None) -> None:
        """Note which public key the record under a KV key names without a proof, and which it named `before`.

        None: there is no such record.
        """
        if before == public_key:
            return
        if before:
            known = self._keys_of[before]
            if isinstance(known, set):
                known.discard(key)
            if not known or known == key:
                del self._keys_of[before]
        if public_key:
            known = self._keys_of.setdefault(public_key, key)
            if isinstance(known, set):
                known.add(key)
            elif known != key:
                self._keys_of[public_key] = {known, key}

    def naming(self, public_key: PublicKey) -> set[str]:
        """Return the KV keys of the records that name a public key."""
        found = self._keys_of.get(public_key, set[str]())
        return {found} if isinstance(found, str) else set(found)

    def now_or_later(self, keys: set[str], now: float) -> set[str]:
        """Return which of the records that must be judged anew are judged now: all, or none if they are many."""
        if len(keys) <= FEW:
            return keys
        self._later |= keys
        self._later_at = min(self._later_at, now + LATER_S)
        return set()

    def take_later(self, now: float) -> set[str]:
        """Return the KV keys that were left for later, if they are due."""
        if now < self._later_at:
            return set()
        taken, self._later, self._later_at = self._later, set(), inf
        return taken
