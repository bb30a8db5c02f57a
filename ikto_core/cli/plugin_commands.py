"""Commands added by plugins. Neither plugins nor the plugin loader are imported to run a built-in command."""

import os
from functools import cached_property
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ikto_core.plugins.facade import Plugins


class PluginCommands:
    """The commands of plugins from other distributions. The plugins are loaded on first use."""

    def rows(self) -> list[tuple[str, str]]:
        """Return the usable commands, sorted by name, each with its line of help, which ends with its distribution."""
        offers = sorted(self._plugins.commands.usable(), key=lambda offer: offer.record.name) if self._plugins else []
        return [
            (record.name, f"{record.summary} [{source.distribution} {source.version}]".lstrip())
            for record, source in offers
        ]

    def command(self, name: str) -> click.Command | None:
        """Return a command; None if no plugin offers that name. Raises PluginError if it is broken or blocked."""
        if self._plugins is None or not self._plugins.knows_command(name):
            return None
        return self._plugins.command(name).command

    def provider(self, name: str) -> str:
        """Return the distribution and version that provide a command."""
        offers = self._plugins.commands.named(name) if self._plugins else []
        return " and ".join(f"{offer.source.distribution} {offer.source.version}" for offer in offers)

    @cached_property
    def _plugins(self) -> "Plugins | None":
        from ikto_core.plugins.sources import third_party_entry_points  # noqa: PLC0415 - start-up time

        others = third_party_entry_points()
        if not others:
            return None
        from ikto_core.config import blocked_plugins  # noqa: PLC0415 - start-up time
        from ikto_core.plugins.loading import load_plugins  # noqa: PLC0415 - as above

        return load_plugins(others, blocked=blocked_plugins(None, environ=os.environ))
