"""`ikto agent` that ends as by kill -9 in the middle of a rotation: `python -m tests.e2e.dying_rotation STEP agent …`.

STEP is `before` or `after` and a function that a rotation calls, such as `after:promote_next_key`.
"""

import inspect
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from ikto_core.agent import key_rotation as rotation
from ikto_core.agent.key_rotation import KeyRotation
from ikto_core.claim.saved_claim import SavedClaim
from ikto_core.cli.main import main
from tests.impatient import shorten_waits

PLACES: dict[str, Any] = {
    "ensure_next_key": rotation,
    "add_next_key": SavedClaim,  # into the state file
    "_wait_for_peers": KeyRotation,  # for the announcement in the own record, and then for peers to see it
    "promote_next_key": rotation,
    "_use": KeyRotation,  # onto the device
    "_publish": KeyRotation,  # into the own record
}
STEPS = [f"{when}:{function}" for function in PLACES for when in ("before", "after")]


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("dead")


def dying(function: Callable[..., Any], when: str) -> Callable[..., Any]:
    """Return a function that ends the process, before or after it is carried out."""

    async def coroutine(*given: Any) -> NoReturn:
        if when == "after":
            await function(*given)
        die()

    def plain(*given: Any) -> NoReturn:
        if when == "after":
            function(*given)
        die()

    return coroutine if inspect.iscoroutinefunction(function) else plain


if __name__ == "__main__":
    when, name = sys.argv.pop(1).split(":")
    shorten_waits(0.1)
    setattr(PLACES[name], name, dying(getattr(PLACES[name], name), when))
    main()
