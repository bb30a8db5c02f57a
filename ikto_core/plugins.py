"""Plugins: loaded one by one, each asked once. Nothing else touches pluggy's manager."""

import inspect
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from importlib.metadata import EntryPoint
from importlib.metadata import entry_points as installed_entry_points
from typing import Generic, Literal, NamedTuple, TypeVar

import msgspec
import pluggy

from ikto_core import hookspecs
from ikto_core.backend import BackendPlugin
from ikto_core.errors import PluginError
from ikto_core.hookspecs import PROJECT
from ikto_core.ipam.contract import IpamPlugin

T = TypeVar("T", BackendPlugin, IpamPlugin)
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")


class PluginStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one thing that a plugin offers, or of a plugin that could offer nothing."""

    kind: str  # "backend" or "ipam"; "plugin": it failed before it was asked what it offers
    name: str  # of what is offered; of the entry point, if it failed
    distribution: str
    version: str
    status: Literal["ok", "failed", "conflict"]
    reason: str = ""  # why it is not "ok", on one line; others wrote it: escape it before you print it


class _Kind(NamedTuple, Generic[T]):
    name: str
    hook: str
    record: type[T]
    maker: str  # the record's member that is called


_BACKENDS = _Kind("backend", hookspecs.ikto_register_backends.__name__, BackendPlugin, "open")
_IPAM = _Kind("ipam", hookspecs.ikto_register_ipam_strategies.__name__, IpamPlugin, "make")


class _Source(NamedTuple):
    """Who provides a plugin."""

    entry_point: str
    distribution: str
    version: str

    @classmethod
    def of(cls, entry_point: EntryPoint) -> "_Source":
        dist = entry_point.dist
        return cls(entry_point.name, dist.name if dist else "unknown", dist.version if dist else "unknown")

    def __str__(self) -> str:
        return f"{self.distribution} {self.version} (entry point {self.entry_point!r})"


class _Offer(NamedTuple, Generic[T]):
    record: T
    source: _Source


class _Failure(NamedTuple):
    kind: str
    source: _Source
    reason: str


class _NotUsableError(Exception):
    """A plugin breaks the rules; the message says which."""


class Plugins:
    """What the installed plugins offer, and what is wrong with those that can't."""

    def __init__(
        self,
        backends: Sequence[_Offer[BackendPlugin]],
        ipam: Sequence[_Offer[IpamPlugin]],
        failures: Sequence[_Failure],
    ) -> None:
        self._backends = backends
        self._ipam = ipam
        self._failures = failures

    def backend(self, name: str) -> BackendPlugin:
        """Return the backend of that name; PluginError if there is none, it is broken, or there are two."""
        return self._pick(_BACKENDS, self._backends, name)

    def ipam(self, name: str) -> IpamPlugin:
        """Return the IPAM strategy of that name; PluginError as for `backend`."""
        return self._pick(_IPAM, self._ipam, name)

    def listing(self) -> tuple[PluginStatus, ...]:
        """Return one status for each offer and each failure, sorted by kind and name."""
        offers = [*_statuses(_BACKENDS, self._backends), *_statuses(_IPAM, self._ipam)]
        failures = [_status(kind, source.entry_point, source, "failed", why) for kind, source, why in self._failures]
        return tuple(sorted(offers + failures, key=lambda row: (row.kind, row.name, row.distribution)))

    def _pick(self, kind: _Kind[T], offers: Sequence[_Offer[T]], name: str) -> T:
        named = [offer for offer in offers if offer.record.name == name]
        if len(named) == 1:
            return named[0].record
        if named:
            raise PluginError(f"{kind.name} {name!r}: {_conflict(named)}", hint="uninstall all of them but one")
        for failure in self._failures:
            if failure.source.entry_point == name and failure.kind in {kind.name, "plugin"}:
                raise PluginError(f"{kind.name} {name!r} of {failure.source} is broken: {failure.reason}")
        raise self._unknown(kind, sorted({offer.record.name for offer in offers}), name)

    def _unknown(self, kind: _Kind[T], names: Sequence[str], name: str) -> PluginError:
        nearest = get_close_matches(name, names, n=1)
        hints = [f"did you mean {nearest[0]!r}?"] if nearest else []
        if self._failures:
            broken = ", ".join(sorted({repr(failure.source.entry_point) for failure in self._failures}))
            hints.append(f"`ikto plugins` says what is wrong with {broken}")
        on_offer = ", ".join(names) or "none"
        return PluginError(f"there is no {kind.name} {name!r}; on offer: {on_offer}", hint="; ".join(hints))


def load_plugins(entry_points: Iterable[EntryPoint] | None = None) -> Plugins:
    """Load plugins one by one: a broken one is listed with the reason, and harms no other.

    Args:
        entry_points: What to load; by default every installed entry point of the group `ikto`. Each names a module
            or an object whose functions marked `hookimpl` are its hooks. A name that starts with `ikto_` is a hook's.

    """
    loader = _Loader()
    for entry_point in installed_entry_points(group=PROJECT) if entry_points is None else entry_points:
        loader.load(entry_point)
    return Plugins(loader.backends, loader.ipam, loader.failures)


class _Loader:
    """The one owner of a plugin manager, for as long as it takes to ask every plugin what it offers."""

    def __init__(self) -> None:
        self.backends: list[_Offer[BackendPlugin]] = []
        self.ipam: list[_Offer[IpamPlugin]] = []
        self.failures: list[_Failure] = []
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(hookspecs)
        parse = self._manager.parse_hookspec_opts
        self._hooks = [name for name in dir(hookspecs) if parse(hookspecs, name) is not None]

    def load(self, entry_point: EntryPoint) -> None:
        source = _Source.of(entry_point)
        with self._isolated("loading it", "plugin", source):
            plugin = entry_point.load()
            for name in dir(plugin):
                self._check_hook_name(plugin, name)
            self._manager.register(plugin, str(source))
            if not self._manager.get_hookcallers(plugin):
                raise _NotUsableError("it is not a plugin: it implements none of Ikto's hooks")
            self.backends += self._ask(_BACKENDS, plugin, source)
            self.ipam += self._ask(_IPAM, plugin, source)

    @contextmanager
    def _isolated(self, doing: str, kind: str, source: _Source) -> Iterator[None]:
        """Turn whatever goes wrong inside into a failure of this plugin."""
        try:
            yield
        except _NotUsableError as error:
            reason = str(error)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin may raise anything, and must harm no other
            reason = f"{doing} raised {type(error).__name__}: {error}"
        else:
            return
        self.failures.append(_Failure(kind, source, " ".join(reason.split())))

    def _check_hook_name(self, plugin: object, name: str) -> None:
        """Refuse what was meant as a hook and is none: pluggy itself would never call it, and never say so."""
        mark = self._manager.parse_hookimpl_opts(plugin, name)
        hook = (mark["specname"] if mark else None) or name
        if mark is None and not (name.startswith("ikto_") and inspect.isroutine(getattr(plugin, name))):
            return
        if hook not in self._hooks and not (mark and mark["optionalhook"]):
            nearest = get_close_matches(hook, self._hooks, n=1)
            raise _NotUsableError(f"{hook} is no hook of Ikto" + (f"; did it mean {nearest[0]}?" if nearest else ""))
        if mark is None:
            raise _NotUsableError(f"{name} lacks the mark @hookimpl of ikto_core.hookspecs")

    def _ask(self, kind: _Kind[T], plugin: object, source: _Source) -> list[_Offer[T]]:
        """Call one hook of one plugin; a mistake in it spoils what this hook offers, nothing else."""
        implementations = getattr(self._manager.hook, kind.hook).get_hookimpls()
        with self._isolated(kind.hook, kind.name, source):
            answers = [found.function() for found in implementations if found.plugin is plugin]
            return [_Offer(record, source) for answer in answers for record in _checked(kind, answer)]
        return []


def _checked(kind: _Kind[T], answer: object) -> Iterator[T]:
    """Yield a hook's records, each of the type and form that the hook's specification asks for."""
    wanted = kind.record.__name__
    if not isinstance(answer, Iterable):
        raise _NotUsableError(f"{kind.hook} returned {type(answer).__name__}, not an iterable of {wanted}")
    for record in answer:
        if not isinstance(record, kind.record):
            raise _NotUsableError(f"{kind.hook} offered a {type(record).__name__}, not a {wanted}")
        if not _is_name(record.name):
            raise _NotUsableError(f"{kind.hook} offered the name {record.name!r}, not lower case letters, digits, '-'")
        if not callable(getattr(record, kind.maker)):
            raise _NotUsableError(f"{kind.hook} offered {record.name!r}, whose `{kind.maker}` can't be called")
        yield record


def _is_name(name: object) -> bool:
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def _statuses(kind: _Kind[T], offers: Sequence[_Offer[T]]) -> Iterator[PluginStatus]:
    for record, source in offers:
        named = [offer for offer in offers if offer.record.name == record.name]
        if len(named) == 1:
            yield _status(kind.name, record.name, source, "ok")
        else:
            yield _status(kind.name, record.name, source, "conflict", _conflict(named))


def _status(
    kind: str, name: str, source: _Source, status: Literal["ok", "failed", "conflict"], reason: str = ""
) -> PluginStatus:
    distribution, version = source.distribution, source.version
    return PluginStatus(kind=kind, name=name, distribution=distribution, version=version, status=status, reason=reason)


def _conflict(offers: Sequence[_Offer[T]]) -> str:
    return "offered more than once, by " + " and ".join(str(offer.source) for offer in offers)
