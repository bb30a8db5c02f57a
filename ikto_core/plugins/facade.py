"""Typed access to installed plugins: look one up by name, list all with their status."""

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import msgspec

from ikto_core.device.backend import BackendPlugin
from ikto_core.errors import ConfigError, IktoError, PluginError
from ikto_core.ipam.contract import IpamPlugin
from ikto_core.observers.contract import ObserverPlugin
from ikto_core.plugins.check_contract import CheckPlugin
from ikto_core.plugins.kinds import BACKENDS, CHECKS, COMMANDS, IPAM, OBSERVERS, CommandPlugin
from ikto_core.plugins.lookup import Offers
from ikto_core.plugins.offers import PluginStatus

if TYPE_CHECKING:
    from ikto_core.plugins.loading import Loader


class Plugins:
    """The installed plugins, each of which is imported when it is asked for, and the faults of those that can't be."""

    def __init__(self, loader: "Loader", settings: Mapping[str, Mapping[str, object]]) -> None:
        self._loader = loader
        self._settings = settings
        self.backends: Offers[BackendPlugin] = Offers(BACKENDS, loader, settings)
        self.strategies: Offers[IpamPlugin] = Offers(IPAM, loader, settings)
        self.observers: Offers[ObserverPlugin] = Offers(OBSERVERS, loader, settings)
        self.checks: Offers[CheckPlugin] = Offers(CHECKS, loader, settings)
        self.commands: Offers[CommandPlugin] = Offers(COMMANDS, loader, settings)

    def backend(self, name: str) -> BackendPlugin:
        """Return the backend with this name. Raises PluginError if it is unknown, broken, blocked or in conflict."""
        return self.backends.pick(name)

    def ipam(self, name: str) -> IpamPlugin:
        """Return the IPAM strategy with this name. Raises PluginError as `backend` does."""
        return self.strategies.pick(name)

    def observer(self, name: str) -> ObserverPlugin:
        """Return the observer with this name. Raises PluginError as `backend` does."""
        return self.observers.pick(name)

    def command(self, name: str) -> CommandPlugin:
        """Return the plugin command with this name. Raises PluginError as `backend` does."""
        return self.commands.pick(name)

    def knows_command(self, name: str) -> bool:
        """Whether a plugin provides a command with this name, or might if it were not broken or blocked."""
        return self.commands.knows(name)

    def listing(self) -> tuple[PluginStatus, ...]:
        """Return the status of each offer and each fault, sorted by kind and name. Every plugin is imported."""
        return self._listing(imported_only=False)

    def problems(self, *, imported_only: bool = False) -> Iterable[PluginStatus]:
        """Return the entries of `listing` that deserve a warning: "failed" and "conflict".

        With `imported_only` no plugin is imported for it: the conflicts that entry points show, and the faults of those
        that have been asked for.
        """
        return [row for row in self._listing(imported_only=imported_only) if row.status in {"failed", "conflict"}]

    def settings_problems(self) -> list[IktoError]:
        """Return what is wrong with the given settings of plugins. Imports the plugins that they name."""
        return [error for name in self._settings for error in self._problems_of(name)]

    def described_settings(self) -> Iterator[tuple[str, type[msgspec.Struct]]]:
        """Yield the name of each plugin that can be used and has settings, and their record. Imports all plugins."""
        for offers in self._every():
            for name in sorted(set(offers.names())):
                if settings := _settings_of(offers, name):
                    yield name, settings

    def _problems_of(self, name: str) -> list[IktoError]:
        kinds = self._every()[:-1]  # commands have no settings
        known = [offers for offers in kinds if offers.knows(name)]
        if not known:
            every = sorted({each for offers in kinds for each in offers.names()})
            near = get_close_matches(name, every, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "`ikto plugins` lists them"
            kinds_named = "backend, strategy, observer or check"
            return [ConfigError(f"plugins.{name}: there is no {kinds_named} of this name", hint=hint)]
        problems: list[IktoError] = []
        for offers in known:
            try:
                offers.offer(name)
            except IktoError as error:
                problems.append(error)
        if self._settings[name] and not problems and not any(_settings_of(offers, name) for offers in known):
            problems = [ConfigError(f"plugins.{name}: this {known[0].kind.name} takes no settings", hint="remove them")]
        return problems

    def _every(self) -> "tuple[Offers[Any], ...]":
        return self.backends, self.strategies, self.observers, self.checks, self.commands

    def _listing(self, *, imported_only: bool) -> tuple[PluginStatus, ...]:
        rows = [row for offers in self._every() for row in offers.statuses(imported_only=imported_only)]
        rows += [fault.row() for fault in self._loader.faults]  # last: listing the offers finds faults
        return tuple(sorted(rows, key=lambda row: (row.kind, row.name, row.distribution)))


def _settings_of(offers: Offers[Any], name: str) -> type[msgspec.Struct] | None:
    """Return the record that describes the settings of a plugin; None if it has none, or can't be used."""
    try:
        settings: type[msgspec.Struct] | None = getattr(offers.described(name).record, "settings", None)
    except PluginError:
        return None
    return settings
