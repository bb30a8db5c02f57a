"""What `ikto agent` does at SIGHUP: it reads its configuration again."""

from collections.abc import Callable

import structlog

from ikto_core.agent.live_settings import LiveSettings
from ikto_core.config import LIVE_SETTINGS, Config, changed_settings, with_live_settings
from ikto_core.config.types import LEVELS
from ikto_core.errors import ConfigError
from ikto_core.values.text import printable

log = structlog.get_logger(__name__)


class Reload:
    """Reads the configuration again, and applies what can change while the agent runs.

    Args:
        running: The configuration that the agent runs with.
        load: Reads it; raises ConfigError.
        live: Where the agent gets live settings from.
        set_log_level: Logs from a level on.

    """

    def __init__(
        self, running: Config, load: Callable[[], Config], live: LiveSettings, set_log_level: Callable[[str], None]
    ) -> None:
        self._running = running
        self._load = load
        self._live = live
        self._set_log_level = set_log_level

    def run(self) -> None:
        """Apply what has changed, and log that and what needs a restart. One that can't be used changes nothing."""
        before = self._running
        try:
            new = self._load()
            merged = with_live_settings(before, new)
        except ConfigError as error:
            problems = [printable(text) for text in error.problems or (str(error),)]
            log.warning("configuration can't be used, nothing changes", problems=problems, hint=error.hint)
            return
        self._running = merged
        self._set_log_level(min(before.log_level, merged.log_level, key=LEVELS.index))  # so that the next line is seen
        applied = [name for name in changed_settings(before, new) if name in LIVE_SETTINGS]
        needed = list(changed_settings(merged, new))
        report = log.warning if needed else log.info
        report("configuration read again", applied=applied, restart_needed_for=needed)
        self._set_log_level(merged.log_level)
        self._live.apply(merged)
