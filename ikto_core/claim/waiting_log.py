"""Logs how many records have to wait, because of the limits on changed keys and on frequent changes."""

from collections.abc import Set

import structlog

from ikto_core.mesh.change_limit import ChangeLimit
from ikto_core.mesh.key_changes import KeyChanges
from ikto_core.mesh.records import subnet_of_key

log = structlog.get_logger(__name__)


class WaitingLog:
    """Logs a number only when it is another one than before: changes that come without end must not fill the log."""

    def __init__(self, key_changes: KeyChanges, change_limit: ChangeLimit) -> None:
        self._key_changes = key_changes
        self._change_limit = change_limit
        self._logged: dict[str, int] = {}  # the last logged number of each event

    def report(self, *, only_first: bool = False) -> None:
        """Log the numbers that have changed; `only_first`: those that were 0."""
        self._log("changes of public keys pending", self._key_changes.waiting.keys(), only_first=only_first)
        self._log("records change too often", self._change_limit.frequent, only_first=only_first)

    def _log(self, event: str, keys: Set[str], *, only_first: bool) -> None:
        before = self._logged.get(event, 0)
        if len(keys) != before and not (only_first and before):
            log.warning(event, records=len(keys), first=subnet_of_key(min(keys)) if keys else None)
            self._logged[event] = len(keys)
