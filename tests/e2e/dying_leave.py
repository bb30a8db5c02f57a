"""`ikto agent` that ends as by kill -9 in the middle of `ikto leave`: `python -m tests.e2e.dying_leave STEP agent …`.

STEP is `before` or `after` and a function that a leave calls, such as `after:withdraw`.
"""

import sys
from typing import Any

from ikto_core.claim.claimant import Claimant
from ikto_core.claim.saved_claim import SavedClaim
from ikto_core.cli.main import main
from ikto_core.device.reconciler import Reconciler
from ikto_core.mesh.view import Entry
from ikto_core.store.interfaces import RecordStore
from tests.e2e.dying_rotation import die, dying
from tests.impatient import shorten_waits

PLACES: dict[str, Any] = {
    "withdraw": Claimant,  # from the bucket
    "release": SavedClaim,  # in the state file
    "delete_device": Reconciler,
}
LEFT = "signed"
STEPS = [LEFT, *(f"{when}:{function}" for function in PLACES for when in ("before", "after"))]


class Dying:
    """The bucket of a node whose process ends when it deletes its record."""

    def __init__(self, store: RecordStore) -> None:
        self._store = store

    async def get(self, key: str) -> Entry | None:
        return await self._store.get(key)

    async def put(self, key: str, value: bytes | None, *, expected: int) -> int:
        return await self._store.put(key, value or die(), expected=expected)


def die_once_left_is_written() -> None:
    """End after the record that says that the node has left, and before the record is deleted."""
    withdraw = Claimant.withdraw

    async def withdrawing(self: Claimant, store: RecordStore, key: str) -> bool:
        return await withdraw(self, Dying(store), key)

    setattr(Claimant, "withdraw", withdrawing)  # noqa: B010 - mypy refuses the assignment


if __name__ == "__main__":
    when, _, name = sys.argv.pop(1).partition(":")
    shorten_waits(0.1)
    if when == LEFT:
        die_once_left_is_written()
    else:
        setattr(PLACES[name], name, dying(getattr(PLACES[name], name), when))
    main()
