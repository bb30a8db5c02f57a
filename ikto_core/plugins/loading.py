"""Plugin loader: imports what is asked for, in isolation, so that a broken plugin does not affect the others."""

from collections.abc import Collection, Iterable, Mapping
from functools import cached_property
from importlib.metadata import EntryPoint
from types import MappingProxyType
from typing import Any

from msgspec import structs

from ikto_core.deprecations import Provider
from ikto_core.plugins.facade import Plugins
from ikto_core.plugins.hook_calls import Failure
from ikto_core.plugins.kinds import KINDS, Kind, T
from ikto_core.plugins.names import is_plugin_name
from ikto_core.plugins.offers import ANY_KIND, Fault, Offer
from ikto_core.plugins.sources import PROJECT, Source, UnreadableMetadata, installed_entry_points
from ikto_core.plugins.targets import Target


def load_plugins(
    entry_points: Iterable[EntryPoint] | None = None,
    *,
    blocked: Collection[str] = (),
    settings: Mapping[str, Mapping[str, object]] = MappingProxyType({}),
) -> Plugins:
    """Return the installed plugins. One is imported when it is asked for; a broken one does not affect the others.

    Args:
        entry_points: The plugins; by default every installed entry point of the groups `ikto.backends`, `ikto.ipam`,
            `ikto.observers`, `ikto.checks`, `ikto.commands`, and of the group `ikto`. Each refers to a module or an
            object whose functions marked `hookimpl` are its hooks. In a group of one kind, its name is the plugin's.
            Names that start with `ikto_` are reserved for hooks.
        blocked: Names of distributions, entry points and offers. A blocked distribution or entry point is not
            imported.
        settings: The settings of plugins by their names, as in the configuration's `plugins`.

    """
    return Plugins(Loader(installed_entry_points() if entry_points is None else entry_points, blocked), settings)


class Loader:
    """The entry points that are not blocked, and what was imported of them so far."""

    def __init__(self, entry_points: Iterable[EntryPoint | UnreadableMetadata], blocked: Collection[str]) -> None:
        self.faults: list[Fault] = []
        self._blocked = blocked
        self._targets: dict[tuple[str, str], Target] = {}
        self._entries: dict[str, list[EntryPoint]] = {}
        kinds = {kind.group: kind.name for kind in KINDS}
        for found in entry_points:
            if isinstance(found, UnreadableMetadata):
                self._fail(ANY_KIND, found.source.entry_point, found.source, found.reason)
            else:
                self._sort_in(found, kinds.get(found.group, ANY_KIND))

    def named(self, kind: Kind[T]) -> list[EntryPoint]:
        """Return the entry points of a kind's own group."""
        return self._entries.get(kind.group, [])

    def load(self, kind: Kind[T], entry_point: EntryPoint) -> Offer[T] | Fault:
        """Return what an entry point of a kind's own group names. It is imported at the first call."""
        source, name = Source.of(entry_point), entry_point.name
        target: Target = self._target(entry_point, source)
        found = target.found(kind)
        records = [what for found_name, what in found if found_name == name and not isinstance(what, Failure)]
        if len(records) == 1:
            return _guarded(kind, records[0], source, target)
        failures = [what.reason for found_name, what in found if isinstance(what, Failure) and found_name in {"", name}]
        if failures:
            reason = failures[0]
        elif records:
            reason = f"{kind.hook} provides {name!r} more than once"
        elif names := ", ".join(repr(found_name) for found_name, _ in found):
            reason = f"{kind.hook} provides {names}, not {name!r}, which is the name of the entry point"
        else:
            reason = "; ".join([f"it has no hook {kind.hook} that provides {name!r}", *target.problems])
        return Fault(kind.name, name, source, "failed", reason)

    @property
    def has_read_unnamed(self) -> bool:
        """Whether the entry points of the group `ikto` have been imported."""
        return "unnamed" in vars(self)

    @cached_property
    def unnamed(self) -> dict[str, list[Offer[Any]]]:
        """What the entry points of the group `ikto` offer, by kind. All of them are imported at the first use."""
        offers: dict[str, list[Offer[Any]]] = {kind.name: [] for kind in KINDS}
        for entry_point in self._entries.get(PROJECT, []):
            source = Source.of(entry_point)
            target: Target = self._target(entry_point, source)
            if target.failure:
                self._fail(ANY_KIND, entry_point.name, source, target.failure)
                continue
            for kind in KINDS:
                offers[kind.name] += self._offers(kind, target, source)
        return offers

    def _offers(self, kind: Kind[T], target: Target, source: Source) -> list[Offer[T]]:
        """Return the valid records of one kind; the others are recorded as faults."""
        offers = []
        for name, what in target.found(kind):
            if isinstance(what, Failure):
                self._fail(kind.name, name or source.entry_point, source, what.reason)
            elif name in self._blocked:
                self._block(kind.name, name, source, name)
            else:
                offers.append(_guarded(kind, what, source, target))
        return offers

    def _sort_in(self, entry_point: EntryPoint, kind: str) -> None:
        source = Source.of(entry_point)
        if name := source.blocked_by(self._blocked):
            self._block(kind, entry_point.name, source, name)
        elif kind != ANY_KIND and not is_plugin_name(entry_point.name):
            reason = "the name of its entry point is not lower case letters, digits and '-'"
            self._fail(kind, entry_point.name, source, reason)
        else:
            self._entries.setdefault(entry_point.group, []).append(entry_point)

    def _target(self, entry_point: EntryPoint, source: Source) -> Target:
        """Return what an entry point refers to; hooks of it that can't be called are recorded once."""
        key = (source.distribution, entry_point.value)
        if key not in self._targets:
            self._targets[key] = Target(entry_point, Provider(str(source)))
            for problem in self._targets[key].problems:
                self._fail(ANY_KIND, entry_point.name, source, problem)
        return self._targets[key]

    def _fail(self, kind: str, name: str, source: Source, reason: str) -> None:
        self.faults.append(Fault(kind, name, source, "failed", reason))

    def _block(self, kind: str, name: str, source: Source, by: str) -> None:
        self.faults.append(Fault(kind, name, source, "blocked", f"`blocked_plugins` names {by!r}"))


def _guarded(kind: Kind[T], record: T, source: Source, target: Target) -> Offer[T]:
    provider = Provider(f"{kind.name} {record.name!r} of {source}", target.provider.uses)
    guarded = kind.guard(getattr(record, kind.factory), provider)
    return Offer(structs.replace(record, **{kind.factory: guarded}), source, provider.uses)
