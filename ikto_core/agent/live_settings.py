"""The settings of running agents that may change without a restart."""

import asyncio

from ikto_core.config import Config


class LiveSettings:
    """Hands the running agent a configuration in which live settings have changed (config/live.py)."""

    def __init__(self) -> None:
        self.config: Config | None = None  # the last one that was applied; None: the one that the agents began with
        self._changed = asyncio.Event()

    def apply(self, config: Config) -> None:
        """Use the live settings of `config` from now on; its others are those that the agents run with."""
        self.config = config
        self._changed.set()

    async def changed(self) -> Config:
        """Wait until there is a configuration that this method has not returned yet, and return it."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            if self.config:
                return self.config
