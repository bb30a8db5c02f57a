"""What an entry point refers to, a module or an object, and the records that its hooks provide."""

from functools import cached_property
from importlib.metadata import EntryPoint
from typing import Any, cast

import click

from ikto_core.deprecations import Provider
from ikto_core.plugins.hook_calls import Failure, PluginHooks, attempt
from ikto_core.plugins.kinds import COMMANDS, Kind, NotUsableError, T, checked_records, command_record
from ikto_core.plugins.sources import PROJECT


class Target:
    """The module or object of one or several entry points of a distribution: imported once, each hook called once."""

    def __init__(self, entry_point: EntryPoint, provider: Provider) -> None:
        self.provider = provider
        self._entry_point = entry_point
        self._found: dict[str, list[tuple[str, Any]]] = {}

    @property
    def problems(self) -> list[str]:
        """Why some of its functions can't be called as hooks. It is imported, if that is not yet done."""
        return [] if isinstance(self._hooks, Failure) else self._hooks.problems

    @property
    def failure(self) -> str:
        """Why it provides nothing at all, unless `problems` says it; empty: it implements a hook."""
        if isinstance(self._hooks, Failure):
            return self._hooks.reason
        return "" if self._hooks.implemented or self.problems else "it implements none of Ikto's hooks"

    def found(self, kind: Kind[T]) -> list[tuple[str, T | Failure]]:
        """Return the records of one kind by name. A Failure without a name is one of the import, or of the hook."""
        if kind.name not in self._found:
            with self.provider.running():
                found = attempt(
                    kind.hook, lambda: self._commands() if kind.name == COMMANDS.name else self._records(kind)
                )
            self._found[kind.name] = [("", found)] if isinstance(found, Failure) else found
        return cast("list[tuple[str, T | Failure]]", self._found[kind.name])

    @cached_property
    def _hooks(self) -> PluginHooks | Failure:
        with self.provider.running():
            return attempt("import", lambda: PluginHooks(self._entry_point.load(), self.provider))

    def _records(self, kind: Kind[T]) -> list[tuple[str, Any]]:
        if isinstance(self._hooks, Failure):
            return [("", self._hooks)]
        results = self._hooks.call(kind.hook)
        if not results and kind.hook in self._hooks.implemented:
            raise NotUsableError(f"{kind.hook} returned None, not an iterable of {kind.record.__name__}")
        return [(record.name, record) for result in results for record in checked_records(kind, result)]

    def _commands(self) -> list[tuple[str, Any]]:
        """Have the plugin add commands to an empty group. A faulty command does not affect the others."""
        if isinstance(self._hooks, Failure):
            return [("", self._hooks)]
        group = click.Group(PROJECT)
        self._hooks.call(COMMANDS.hook, cli=group)
        return [(str(name), _command(name, command)) for name, command in dict(group.commands).items()]


def _command(name: object, command: object) -> object:
    return attempt(COMMANDS.hook, lambda: command_record(name, command))
