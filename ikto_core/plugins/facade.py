"""Typed access to installed plugins: look one up by name, list all with their status."""

from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from typing import Generic, Literal, NamedTuple

import msgspec

from ikto_core.device.backend import BackendPlugin
from ikto_core.errors import PluginError
from ikto_core.ipam.contract import IpamPlugin
from ikto_core.observers.contract import ObserverPlugin
from ikto_core.plugins.check_contract import CheckPlugin
from ikto_core.plugins.kinds import BACKENDS, CHECKS, COMMANDS, IPAM, OBSERVERS, CommandPlugin, Kind, T
from ikto_core.plugins.sources import Source

ANY_KIND = "plugin"
"""The kind of a plugin that failed, or is blocked, before any of its hooks was called."""


class PluginStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The status of one offer of a plugin, or of a plugin whose hooks could not be called."""

    kind: str  # "backend", "ipam", "observer", "check" or "command"; "plugin": none of its hooks was called
    name: str  # the offer's name; if it is not known, the entry point's
    distribution: str
    version: str
    status: Literal["ok", "failed", "conflict", "blocked"]
    reason: str = ""  # why it is not "ok", on one line; third-party text: escape it before printing


class Offer(NamedTuple, Generic[T]):
    """A valid plugin record and the distribution that provides it."""

    record: T
    source: Source


class Fault(NamedTuple):
    """An offer, or a whole plugin, that can't be used, with the reason."""

    kind: str
    name: str
    source: Source
    status: Literal["failed", "blocked"]
    reason: str

    def __str__(self) -> str:
        what = "broken" if self.status == "failed" else "blocked"
        return f"{self.name!r} of {self.source} is {what}: {self.reason}"


class Offers(list[Offer[T]], Generic[T]):
    """All valid offers of one kind."""

    def __init__(self, kind: Kind[T]) -> None:
        super().__init__()
        self.kind: Kind[T] = kind

    def named(self, name: str) -> list[Offer[T]]:
        """Return the offers with this name; more than one is a conflict."""
        return [offer for offer in self if offer.record.name == name]

    def usable(self) -> Iterator[Offer[T]]:
        """Yield the offers without a conflict."""
        return (offer for offer in self if len(self.named(offer.record.name)) == 1)

    def statuses(self) -> Iterator[PluginStatus]:
        """Yield the status of each offer."""
        for record, source in self:
            named = self.named(record.name)
            if len(named) == 1:
                yield _status(self.kind.name, record.name, source, "ok")
            else:
                yield _status(self.kind.name, record.name, source, "conflict", _conflict(named))

    def pick(self, name: str, faults: Sequence[Fault]) -> T:
        """Return the record with this name. Raises PluginError if it is unknown, broken, blocked or in conflict."""
        named = self.named(name)
        if len(named) == 1:
            return named[0].record
        if named:
            hint = "uninstall all but one of these distributions, or add the others to `blocked_plugins`"
            raise PluginError(f"{self.kind.name} {name!r}: {_conflict(named)}", hint=hint)
        relevant = [fault for fault in faults if fault.kind in {self.kind.name, ANY_KIND}]
        for fault in relevant:
            if fault.name == name:
                raise PluginError(f"{self.kind.name} {fault}", hint=_hint(fault))
        raise self._unknown(name, relevant)

    def _unknown(self, name: str, faults: Sequence[Fault]) -> PluginError:
        names = sorted({offer.record.name for offer in self})
        nearest = get_close_matches(name, names, n=1)
        hints = [f"did you mean {nearest[0]!r}?"] if nearest else []
        if faults:
            others = ", ".join(sorted({repr(fault.name) for fault in faults}))
            hints.append(f"run `ikto plugins` to see why {others} can't be used")
        available = ", ".join(names) or "none"
        return PluginError(f"there is no {self.kind.name} {name!r}; available: {available}", hint="; ".join(hints))


class Plugins:
    """The offers of all loaded plugins, and the faults of those that can't be used."""

    def __init__(self) -> None:
        self.backends: Offers[BackendPlugin] = Offers(BACKENDS)
        self.strategies: Offers[IpamPlugin] = Offers(IPAM)
        self.observers: Offers[ObserverPlugin] = Offers(OBSERVERS)
        self.checks: Offers[CheckPlugin] = Offers(CHECKS)
        self.commands: Offers[CommandPlugin] = Offers(COMMANDS)
        self.faults: list[Fault] = []

    def backend(self, name: str) -> BackendPlugin:
        """Return the backend with this name. Raises PluginError if it is unknown, broken, blocked or in conflict."""
        return self.backends.pick(name, self.faults)

    def ipam(self, name: str) -> IpamPlugin:
        """Return the IPAM strategy with this name. Raises PluginError as `backend` does."""
        return self.strategies.pick(name, self.faults)

    def observer(self, name: str) -> ObserverPlugin:
        """Return the observer with this name. Raises PluginError as `backend` does."""
        return self.observers.pick(name, self.faults)

    def command(self, name: str) -> CommandPlugin:
        """Return the plugin command with this name. Raises PluginError as `backend` does."""
        return self.commands.pick(name, self.faults)

    def knows_command(self, name: str) -> bool:
        """Whether a plugin provides a command with this name, or might if it were not broken or blocked."""
        suspects = {fault.name for fault in self.faults if fault.kind in {COMMANDS.name, ANY_KIND}}
        return name in suspects or bool(self.commands.named(name))

    def listing(self) -> tuple[PluginStatus, ...]:
        """Return the status of each offer and each fault, sorted by kind and name."""
        rows = [_status(fault.kind, fault.name, fault.source, fault.status, fault.reason) for fault in self.faults]
        for offers in (self.backends, self.strategies, self.observers, self.checks, self.commands):
            rows += offers.statuses()
        return tuple(sorted(rows, key=lambda row: (row.kind, row.name, row.distribution)))

    def problems(self) -> Iterable[PluginStatus]:
        """Return the entries of `listing` that deserve a warning: "failed" and "conflict"."""
        return [row for row in self.listing() if row.status in {"failed", "conflict"}]


def _hint(fault: Fault) -> str:
    return "" if fault.status == "failed" else "remove it from `blocked_plugins` to use it"


def _status(
    kind: str, name: str, source: Source, status: Literal["ok", "failed", "conflict", "blocked"], reason: str = ""
) -> PluginStatus:
    distribution, version = source.distribution, source.version
    return PluginStatus(kind=kind, name=name, distribution=distribution, version=version, status=status, reason=reason)


def _conflict(offers: Sequence[Offer[T]]) -> str:
    return "provided more than once, by " + " and ".join(str(offer.source) for offer in offers)
