"""Plugin loader: loads each entry point in isolation, so that a broken plugin does not affect the others."""

import inspect
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from importlib.metadata import EntryPoint

import click
import pluggy
from msgspec import structs

from ikto_core.errors import described
from ikto_core.plugins import hookspecs
from ikto_core.plugins.facade import ANY_KIND, Fault, Offer, Offers, Plugins
from ikto_core.plugins.kinds import COMMANDS, NotUsableError, T, checked_records, command_record
from ikto_core.plugins.sources import PROJECT, Source, UnreadableMetadata, installed_entry_points
from ikto_core.plugins.stdout import stdout_to_stderr


def load_plugins(entry_points: Iterable[EntryPoint] | None = None, *, blocked: Collection[str] = ()) -> Plugins:
    """Load plugins one by one. A broken plugin is listed with the reason, and does not affect the others.

    Args:
        entry_points: What to load; by default every installed entry point of the group `ikto`. Each names a module
            or an object whose functions marked `hookimpl` are its hooks. Names that start with `ikto_` are reserved
            for hooks.
        blocked: Names of distributions, entry points and offers. A blocked distribution or entry point is not
            imported.

    """
    loader = _Loader(blocked)
    for found in installed_entry_points() if entry_points is None else entry_points:
        if isinstance(found, UnreadableMetadata):
            loader.plugins.faults.append(
                Fault(ANY_KIND, found.source.entry_point, found.source, "failed", found.reason)
            )
        else:
            loader.load(found)
    return loader.plugins


class _Loader:
    """Owns the plugin manager while the hooks of every plugin are called."""

    def __init__(self, blocked: Collection[str]) -> None:
        self.plugins = Plugins()
        self._blocked = blocked
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(hookspecs)
        parse = self._manager.parse_hookspec_opts
        self._hooks = [name for name in dir(hookspecs) if parse(hookspecs, name) is not None]

    def load(self, entry_point: EntryPoint) -> None:
        source = Source.of(entry_point)
        if name := source.blocked_by(self._blocked):
            self._block(ANY_KIND, entry_point.name, source, name)
            return
        with self._isolated("import", ANY_KIND, source):
            plugin = entry_point.load()
            for name in dir(plugin):
                self._check_hook_name(plugin, name)
            self._manager.register(plugin, str(source))
            if not self._manager.get_hookcallers(plugin):
                raise NotUsableError("it implements none of Ikto's hooks")
            self._collect(self.plugins.backends, plugin, source)
            self._collect(self.plugins.strategies, plugin, source)
            self._collect(self.plugins.observers, plugin, source)
            self._collect(self.plugins.checks, plugin, source)
            self._collect_commands(plugin, source)

    @contextmanager
    def _isolated(self, step: str, kind: str, source: Source, name: str = "") -> Iterator[None]:
        """Record any exception of the block as a fault of this plugin, and send its standard output to stderr."""
        try:
            with stdout_to_stderr():
                yield
        except NotUsableError as error:
            reason = str(error)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - a plugin may raise anything, SystemExit included
            reason = f"{step} raised {described(error)}"
        else:
            return
        self.plugins.faults.append(Fault(kind, name or source.entry_point, source, "failed", " ".join(reason.split())))

    def _block(self, kind: str, name: str, source: Source, by: str) -> None:
        self.plugins.faults.append(Fault(kind, name, source, "blocked", f"`blocked_plugins` names {by!r}"))

    def _check_hook_name(self, plugin: object, name: str) -> None:
        """Raise NotUsableError for a misspelt or unmarked hook, which pluggy would ignore without a message."""
        mark = self._manager.parse_hookimpl_opts(plugin, name)
        hook = (mark["specname"] if mark else None) or name
        if mark is None and not (name.startswith("ikto_") and inspect.isroutine(getattr(plugin, name))):
            return
        if hook not in self._hooks and not (mark and mark["optionalhook"]):
            nearest = get_close_matches(hook, self._hooks, n=1)
            suggestion = f"; did you mean {nearest[0]}?" if nearest else ""
            raise NotUsableError(f"{hook} is not one of Ikto's hooks{suggestion}")
        if mark is None:
            raise NotUsableError(f"{name} lacks the decorator @hookimpl of ikto_core.plugins")
        if mark["wrapper"] or mark["hookwrapper"] or inspect.iscoroutinefunction(getattr(plugin, name)):
            raise NotUsableError(f"{name} is a wrapper or async; a hook must be a plain function")

    def _collect(self, offers: Offers[T], plugin: object, source: Source) -> None:
        """Call one hook of one plugin and add its records. A fault drops all records of this hook, and no others."""
        kind = offers.kind
        with self._isolated(kind.hook, kind.name, source):
            hooks = self._hooks_of(plugin, kind.hook)
            records = [record for hook in hooks for record in checked_records(kind, hook())]
            for record in records:
                guarded = kind.guard(getattr(record, kind.factory), f"{kind.name} {record.name!r} of {source}")
                self._add(offers, structs.replace(record, **{kind.factory: guarded}), source)

    def _collect_commands(self, plugin: object, source: Source) -> None:
        """Have a plugin add commands to an empty group. A faulty command does not affect the others."""
        group = click.Group(PROJECT)
        with self._isolated(COMMANDS.hook, COMMANDS.name, source):
            for hook in self._hooks_of(plugin, COMMANDS.hook):
                hook(group)
            for name, command in dict(group.commands).items():
                with self._isolated(COMMANDS.hook, COMMANDS.name, source, str(name)):
                    self._add(self.plugins.commands, command_record(name, command), source)

    def _hooks_of(self, plugin: object, name: str) -> Iterator[Callable[..., object]]:
        """Yield the functions with which one plugin implements a hook."""
        caller = getattr(self._manager.hook, name)
        return (found.function for found in caller.get_hookimpls() if found.plugin is plugin)

    def _add(self, offers: Offers[T], record: T, source: Source) -> None:
        if record.name in self._blocked:
            self._block(offers.kind.name, record.name, source, record.name)
        else:
            offers.append(Offer(record, source))
