"""Commands that plugins bring. No plugin is imported to find a command of Ikto's own, nor is what imports plugins."""

import os
from functools import cached_property
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ikto_core.plugins.facade import Plugins


class Brought:
    """The commands that plugins of other distributions bring; found when they are first asked for."""

    def rows(self) -> list[tuple[str, str]]:
        """Return the usable commands, sorted, each with its line of help, which ends in who brings it."""
        offers = sorted(self._plugins.commands.usable(), key=lambda offer: offer.record.name) if self._plugins else []
        return [
            (record.name, f"{record.summary} [{source.distribution} {source.version}]".lstrip())
            for record, source in offers
        ]

    def command(self, name: str) -> click.Command | None:
        """Return a command; None: nobody has anything to do with the name. PluginError: it is broken, or blocked."""
        if self._plugins is None or not self._plugins.knows_command(name):
            return None
        return self._plugins.command(name).command

    def provider(self, name: str) -> str:
        """Return who brings a command: a distribution and its version."""
        offers = self._plugins.commands.named(name) if self._plugins else []
        return " and ".join(f"{offer.source.distribution} {offer.source.version}" for offer in offers)

    @cached_property
    def _plugins(self) -> "Plugins | None":
        from ikto_core.plugins.sources import installed_by_others  # noqa: PLC0415 - start-up time

        others = installed_by_others()
        if not others:
            return None
        from ikto_core.config import blocked_plugins  # noqa: PLC0415 - start-up time
        from ikto_core.plugins.loading import load_plugins  # noqa: PLC0415 - as above

        return load_plugins(others, blocked=blocked_plugins(None, environ=os.environ))
