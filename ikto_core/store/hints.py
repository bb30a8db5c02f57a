"""Following a bucket that does not republish: many hints that something was written become few looks."""

import asyncio
from collections.abc import Callable


class Hints:
    """Leads to a look a moment after a hint, when what was published is stored; all hints until then are one.

    Args:
        look: What to do.
        delay_s: Returns how long that moment is, in seconds: the larger the mesh the longer, as all are hinted at once.

    """

    def __init__(self, look: Callable[[], None], delay_s: Callable[[], float]) -> None:
        self._look = look
        self._delay_s = delay_s
        self._since_look = 0

    def hint(self) -> None:
        """Say that somebody published something."""
        if self._since_look == 0:
            self._look_later()
        self._since_look += 1

    def _look_later(self) -> None:
        asyncio.get_running_loop().call_later(self._delay_s(), self._look_now)

    def _look_now(self) -> None:
        """Look; if there were more hints than the first, once more: the last one may have come a moment ago."""
        self._look()
        again = self._since_look > 1
        self._since_look = int(again)
        if again:
            self._look_later()
