"""Alarms: what others write over this node's record, or in its name. Each is counted, and logged now and then."""

from collections.abc import Callable
from math import inf

import structlog

from ikto_core.values.counters import ProofCounters

LOG_EVERY_S = 60.0
HINT = "if another program runs with this node's key, such as Ikto 0.3.0, stop it or give it a key of its own"

log = structlog.get_logger(__name__)


class Alarms:
    """Counts alarms, and logs one of each event in LOG_EVERY_S: who writes without end must not fill the log.

    Args:
        stats: Counts them.
        clock: Seconds; never goes back.

    """

    def __init__(self, stats: ProofCounters, clock: Callable[[], float]) -> None:
        self._stats = stats
        self._clock = clock
        self._logged_at: dict[str, float] = {}  # by event

    def report(self, event: str, **members: object) -> None:
        """Count an alarm; log the event with its members unless it was logged lately."""
        self._stats.alarms += 1
        now = self._clock()
        if now - self._logged_at.get(event, -inf) >= LOG_EVERY_S:
            self._logged_at[event] = now
            log.error(event, alarms=self._stats.alarms, **({"hint": HINT} | members))
