"""The typed façade: what plugins offer, by name, and what became of each of them."""

from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from typing import Generic, Literal, NamedTuple

import msgspec

from ikto_core.device.backend import BackendPlugin
from ikto_core.errors import PluginError
from ikto_core.ipam.contract import IpamPlugin
from ikto_core.observers.contract import ObserverPlugin
from ikto_core.plugins.kinds import BACKENDS, COMMANDS, IPAM, OBSERVERS, CommandPlugin, Kind, T
from ikto_core.plugins.sources import Source

ANY_KIND = "plugin"
"""The kind of a plugin that could not even be asked what it offers."""


class PluginStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one thing that a plugin offers, or of a plugin that could offer nothing."""

    kind: str  # "backend", "ipam", "observer" or "command"; "plugin": it was never asked what it offers
    name: str  # of what is offered; of the entry point, if that is not known
    distribution: str
    version: str
    status: Literal["ok", "failed", "conflict", "blocked"]
    reason: str = ""  # why it is not "ok", on one line; others wrote it: escape it before you print it


class Offer(NamedTuple, Generic[T]):
    """A sound record, and who offers it."""

    record: T
    source: Source


class Fault(NamedTuple):
    """What can't be used, and why."""

    kind: str
    name: str
    source: Source
    status: Literal["failed", "blocked"]
    reason: str

    def __str__(self) -> str:
        what = "broken" if self.status == "failed" else "blocked"
        return f"{self.name!r} of {self.source} is {what}: {self.reason}"


class Shelf(list[Offer[T]], Generic[T]):
    """The offers of one kind."""

    def __init__(self, kind: Kind[T]) -> None:
        super().__init__()
        self.kind: Kind[T] = kind

    def named(self, name: str) -> list[Offer[T]]:
        """Return the offers of that name: more than one are a conflict."""
        return [offer for offer in self if offer.record.name == name]

    def usable(self) -> Iterator[Offer[T]]:
        """Yield the offers that nobody else's conflicts with."""
        return (offer for offer in self if len(self.named(offer.record.name)) == 1)

    def statuses(self) -> Iterator[PluginStatus]:
        """Yield what became of each offer."""
        for record, source in self:
            named = self.named(record.name)
            if len(named) == 1:
                yield _status(self.kind.name, record.name, source, "ok")
            else:
                yield _status(self.kind.name, record.name, source, "conflict", _conflict(named))

    def pick(self, name: str, faults: Sequence[Fault]) -> T:
        """Return the offer of that name; PluginError says why it can't be had."""
        named = self.named(name)
        if len(named) == 1:
            return named[0].record
        if named:
            hint = "uninstall all of them but one, or name its distribution in `blocked_plugins`"
            raise PluginError(f"{self.kind.name} {name!r}: {_conflict(named)}", hint=hint)
        concerned = [fault for fault in faults if fault.kind in {self.kind.name, ANY_KIND}]
        for fault in concerned:
            if fault.name == name:
                raise PluginError(f"{self.kind.name} {fault}", hint=_remedy(fault))
        raise self._unknown(name, concerned)

    def _unknown(self, name: str, faults: Sequence[Fault]) -> PluginError:
        names = sorted({offer.record.name for offer in self})
        nearest = get_close_matches(name, names, n=1)
        hints = [f"did you mean {nearest[0]!r}?"] if nearest else []
        if faults:
            others = ", ".join(sorted({repr(fault.name) for fault in faults}))
            hints.append(f"`ikto plugins` says what is wrong with {others}")
        on_offer = ", ".join(names) or "none"
        return PluginError(f"there is no {self.kind.name} {name!r}; on offer: {on_offer}", hint="; ".join(hints))


class Plugins:
    """What the installed plugins offer, and what is wrong with those that can't."""

    def __init__(self) -> None:
        self.backends: Shelf[BackendPlugin] = Shelf(BACKENDS)
        self.strategies: Shelf[IpamPlugin] = Shelf(IPAM)
        self.observers: Shelf[ObserverPlugin] = Shelf(OBSERVERS)
        self.commands: Shelf[CommandPlugin] = Shelf(COMMANDS)
        self.faults: list[Fault] = []

    def backend(self, name: str) -> BackendPlugin:
        """Return the backend of that name; PluginError if there is none, it is broken or blocked, or there are two."""
        return self.backends.pick(name, self.faults)

    def ipam(self, name: str) -> IpamPlugin:
        """Return the IPAM strategy of that name; PluginError as for `backend`."""
        return self.strategies.pick(name, self.faults)

    def observer(self, name: str) -> ObserverPlugin:
        """Return the observer of that name; PluginError as for `backend`."""
        return self.observers.pick(name, self.faults)

    def command(self, name: str) -> CommandPlugin:
        """Return the command of that name that a plugin brings; PluginError as for `backend`."""
        return self.commands.pick(name, self.faults)

    def knows_command(self, name: str) -> bool:
        """Whether a plugin has, or may have, to do with a command of that name; if not, it is a slip of the hand."""
        suspects = {fault.name for fault in self.faults if fault.kind in {COMMANDS.name, ANY_KIND}}
        return name in suspects or bool(self.commands.named(name))

    def listing(self) -> tuple[PluginStatus, ...]:
        """Return one status for each offer and each that can't be used, sorted by kind and name."""
        rows = [_status(fault.kind, fault.name, fault.source, fault.status, fault.reason) for fault in self.faults]
        for shelf in (self.backends, self.strategies, self.observers, self.commands):
            rows += shelf.statuses()
        return tuple(sorted(rows, key=lambda row: (row.kind, row.name, row.distribution)))

    def troubles(self) -> Iterable[PluginStatus]:
        """Return what of the listing an operator should know of without asking: what failed, and conflicts."""
        return [row for row in self.listing() if row.status in {"failed", "conflict"}]


def _remedy(fault: Fault) -> str:
    return "" if fault.status == "failed" else "take it out of `blocked_plugins` to use it"


def _status(
    kind: str, name: str, source: Source, status: Literal["ok", "failed", "conflict", "blocked"], reason: str = ""
) -> PluginStatus:
    distribution, version = source.distribution, source.version
    return PluginStatus(kind=kind, name=name, distribution=distribution, version=version, status=status, reason=reason)


def _conflict(offers: Sequence[Offer[T]]) -> str:
    return "offered more than once, by " + " and ".join(str(offer.source) for offer in offers)
