"""Commands added by plugins. Neither plugins nor the plugin loader are imported to run a built-in command."""

import os
from functools import cached_property
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from ikto_core.plugins.facade import Plugins


class PluginCommands:
    """The commands of plugins from other distributions. A plugin is imported when its command is asked for."""

    def rows(self) -> list[tuple[str, str]]:
        """Return the commands known by their entry points, sorted, each with the summary and name of its distribution.

        No plugin is imported for it. A command that another plugin claims, too, is left out.
        """
        if not self._entry_points:
            return []
        from ikto_core.plugins import names, sources  # noqa: PLC0415 - start-up time

        entries = sources.of_group(self._entry_points, sources.COMMAND_GROUP, self._blocked)
        claims = {entry: names.Claim(entry.name, sources.Source.of(entry), is_named=True) for entry in entries}
        every = [*claims.values(), *names.reserved_claims()]
        return sorted(
            (claim.name, f"{sources.summary_of(entry)} [{claim.source.distribution} {claim.source.version}]".lstrip())
            for entry, claim in claims.items()
            if names.is_plugin_name(claim.name)
            and names.winners(each for each in every if each.name == claim.name) == [claim]
        )

    def unlisted(self) -> list[str]:
        """Return the distributions whose commands, if they have any, are known only after an import."""
        if not self._entry_points:
            return []
        from ikto_core.plugins import sources  # noqa: PLC0415 - start-up time

        entries = sources.of_group(self._entry_points, sources.PROJECT, self._blocked)
        return sorted({sources.Source.of(entry).distribution for entry in entries})

    def command(self, name: str) -> click.Command | None:
        """Return a command; None if no plugin offers that name. Raises PluginError if it is broken or blocked."""
        if self._plugins is None or not self._plugins.knows_command(name):
            return None
        return self._plugins.command(name).command

    def provider(self, name: str) -> str:
        """Return the distribution and version that provide a command that can be used."""
        source = self._plugins.commands.offer(name).source if self._plugins else None
        return f"{source.distribution} {source.version}" if source else ""

    @cached_property
    def _entry_points(self) -> "list[EntryPoint]":
        from ikto_core.plugins.glance import may_bring_commands  # noqa: PLC0415 - as below

        if not may_bring_commands():
            return []
        from ikto_core.plugins.sources import third_party_entry_points  # noqa: PLC0415 - start-up time

        return third_party_entry_points()

    @cached_property
    def _blocked(self) -> tuple[str, ...]:
        if not (self._entry_points and os.environ.get("IKTO_BLOCKED_PLUGINS")):  # what takes no file is read from there
            return ()
        from ikto_core.config import blocked_plugins  # noqa: PLC0415 - start-up time

        return blocked_plugins(None, environ=os.environ)

    @cached_property
    def _plugins(self) -> "Plugins | None":
        if not self._entry_points:
            return None
        from ikto_core.plugins.loading import load_plugins  # noqa: PLC0415 - start-up time

        return load_plugins(self._entry_points, blocked=self._blocked)
