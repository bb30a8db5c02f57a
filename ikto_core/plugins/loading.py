"""Loading: each entry point by itself, so that a broken one harms no other."""

import inspect
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from difflib import get_close_matches
from importlib.metadata import EntryPoint

import click
import pluggy
from msgspec import structs

from ikto_core.errors import described
from ikto_core.plugins import hookspecs
from ikto_core.plugins.facade import ANY_KIND, Fault, Offer, Plugins, Shelf
from ikto_core.plugins.kinds import COMMANDS, NotUsableError, T, checked, command_of
from ikto_core.plugins.sources import PROJECT, Source, Unreadable, installed


def load_plugins(entry_points: Iterable[EntryPoint] | None = None, *, blocked: Collection[str] = ()) -> Plugins:
    """Load plugins one by one: a broken one is listed with the reason, and harms no other.

    Args:
        entry_points: What to load; by default every installed entry point of the group `ikto`. Each names a module
            or an object whose functions marked `hookimpl` are its hooks. A name that starts with `ikto_` is a hook's.
        blocked: Names of distributions and entry points, which are not even imported, and of what plugins offer.

    """
    loader = _Loader(blocked)
    for found in installed() if entry_points is None else entry_points:
        if isinstance(found, Unreadable):
            loader.plugins.faults.append(
                Fault(ANY_KIND, found.source.entry_point, found.source, "failed", found.reason)
            )
        else:
            loader.load(found)
    return loader.plugins


class _Loader:
    """The one owner of a plugin manager, for as long as it takes to ask every plugin what it offers."""

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
        with self._isolated("loading it", ANY_KIND, source):
            plugin = entry_point.load()
            for name in dir(plugin):
                self._check_hook_name(plugin, name)
            self._manager.register(plugin, str(source))
            if not self._manager.get_hookcallers(plugin):
                raise NotUsableError("it is not a plugin: it implements none of Ikto's hooks")
            self._ask(self.plugins.backends, plugin, source)
            self._ask(self.plugins.strategies, plugin, source)
            self._ask(self.plugins.observers, plugin, source)
            self._ask_for_commands(plugin, source)

    @contextmanager
    def _isolated(self, doing: str, kind: str, source: Source, name: str = "") -> Iterator[None]:
        """Turn whatever goes wrong inside into a fault of this plugin; what it prints goes to stderr."""
        try:
            with redirect_stdout(sys.stderr):
                yield
        except NotUsableError as error:
            reason = str(error)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - a plugin may raise anything, even an exit, and must harm no other
            reason = f"{doing} raised {described(error)}"
        else:
            return
        self.plugins.faults.append(Fault(kind, name or source.entry_point, source, "failed", " ".join(reason.split())))

    def _block(self, kind: str, name: str, source: Source, by: str) -> None:
        self.plugins.faults.append(Fault(kind, name, source, "blocked", f"`blocked_plugins` names {by!r}"))

    def _check_hook_name(self, plugin: object, name: str) -> None:
        """Refuse what was meant as a hook and is none: pluggy itself would never call it, and never say so."""
        mark = self._manager.parse_hookimpl_opts(plugin, name)
        hook = (mark["specname"] if mark else None) or name
        if mark is None and not (name.startswith("ikto_") and inspect.isroutine(getattr(plugin, name))):
            return
        if hook not in self._hooks and not (mark and mark["optionalhook"]):
            nearest = get_close_matches(hook, self._hooks, n=1)
            raise NotUsableError(f"{hook} is no hook of Ikto" + (f"; did it mean {nearest[0]}?" if nearest else ""))
        if mark is None:
            raise NotUsableError(f"{name} lacks the mark @hookimpl of ikto_core.plugins.hookspecs")
        if mark["wrapper"] or mark["hookwrapper"] or inspect.iscoroutinefunction(getattr(plugin, name)):
            raise NotUsableError(f"{name} is a wrapper or async; a hook of Ikto is a plain function")

    def _ask(self, shelf: Shelf[T], plugin: object, source: Source) -> None:
        """Call one hook of one plugin; a mistake in it spoils what this hook offers, nothing else."""
        kind = shelf.kind
        with self._isolated(kind.hook, kind.name, source):
            records = [record for hook in self._hooks_of(plugin, kind.hook) for record in checked(kind, hook())]
            for record in records:
                guarded = kind.guard(getattr(record, kind.maker), f"{kind.name} {record.name!r} of {source}")
                self._offer(shelf, structs.replace(record, **{kind.maker: guarded}), source)

    def _ask_for_commands(self, plugin: object, source: Source) -> None:
        """Have a plugin add its commands to a group of its own; one that can't be used spoils no other."""
        group = click.Group(PROJECT)
        with self._isolated(COMMANDS.hook, COMMANDS.name, source):
            for hook in self._hooks_of(plugin, COMMANDS.hook):
                hook(group)
            for name, command in dict(group.commands).items():
                with self._isolated(COMMANDS.hook, COMMANDS.name, source, str(name)):
                    self._offer(self.plugins.commands, command_of(name, command), source)

    def _hooks_of(self, plugin: object, name: str) -> Iterator[Callable[..., object]]:
        """Yield the functions by which one plugin implements a hook."""
        caller = getattr(self._manager.hook, name)
        return (found.function for found in caller.get_hookimpls() if found.plugin is plugin)

    def _offer(self, shelf: Shelf[T], record: T, source: Source) -> None:
        if record.name in self._blocked:
            self._block(shelf.kind.name, record.name, source, record.name)
        else:
            shelf.append(Offer(record, source))
