"""The plugins of one kind: names known by entry points, and records that are imported when they are asked for."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Generic, NamedTuple

from msgspec import structs

from ikto_core.errors import IktoError, PluginError
from ikto_core.plugins.kinds import COMMANDS, CommandPlugin, Kind, T
from ikto_core.plugins.names import Claim, conflict, reserved_claims, why_lost, winners
from ikto_core.plugins.offers import ANY_KIND, Fault, Offer, PluginStatus, status_of
from ikto_core.plugins.settings import with_settings
from ikto_core.plugins.sources import Source

if TYPE_CHECKING:
    from ikto_core.plugins.loading import Loader


class _Known(NamedTuple, Generic[T]):
    """A claim on a name, and what stands behind it; None: a name that no plugin may have."""

    claim: Claim
    behind: EntryPoint | Offer[T] | None


def _of_name(known: Sequence[_Known[T]], name: str) -> list[_Known[T]]:
    return [each for each in known if each.claim.name == name]


class Offers(Generic[T]):
    """The plugins of one kind. Those with entry points of their own are known without importing anything."""

    def __init__(self, kind: Kind[T], loader: "Loader", settings: Mapping[str, Mapping[str, object]]) -> None:
        self.kind: Kind[T] = kind
        self._settings = settings
        self._ready: dict[str, Offer[T]] = {}
        self._loader = loader
        self._loaded: dict[EntryPoint, Offer[T] | Fault] = {}
        self._named: list[_Known[T]] = [
            _Known(Claim(entry_point.name, Source.of(entry_point), is_named=True), entry_point)
            for entry_point in loader.named(kind)
        ]
        if kind.name == COMMANDS.name:
            self._named += [_Known(claim, None) for claim in reserved_claims()]

    def pick(self, name: str) -> T:
        """Return the record with this name. Raises PluginError if it is unknown, broken, blocked or in conflict."""
        return self.offer(name).record

    def offer(self, name: str) -> Offer[T]:
        """Return the record with this name, and who provides it. Raises PluginError as `pick` does.

        Imports only the plugin whose entry point has the name. If there is none: all plugins of the group `ikto`. The
        record is called with the plugin's settings. Raises ConfigError if they are wrong.
        """
        if name not in self._ready:
            found = self.described(name)
            self._ready[name] = found._replace(record=self._with_settings(found))
        return self._ready[name]

    def described(self, name: str) -> Offer[T]:
        """Return the record with this name as the plugin provides it, without settings."""
        known = _of_name(self._named, name) or _of_name(self._all(), name)
        if not known:
            raise self._missing(name)
        won = winners(each.claim for each in known)
        if len(won) > 1:
            hint = "uninstall all but one of these distributions, or add the others to `blocked_plugins`"
            raise PluginError(f"{self.kind.name} {name!r}: {conflict(won)}", hint=hint)
        found = self._load(next(each for each in known if each.claim == won[0]))
        if isinstance(found, Fault):
            raise found.as_error()
        return found

    def usable(self) -> Iterator[Offer[T]]:
        """Yield the offers that can be used, which are imported."""
        for name in dict.fromkeys(each.claim.name for each in self._all() if each.behind is not None):
            try:
                yield self.offer(name)
            except IktoError:
                continue

    def knows(self, name: str) -> bool:
        """Whether a plugin has this name, or might if it were not broken or blocked. Imports as `offer` does."""
        if _of_name(self._named, name) or self._faults(name):
            return True
        return bool(_of_name(self._all(), name) or self._faults(name))

    def statuses(self, *, imported_only: bool = False) -> Iterator[PluginStatus]:
        """Yield the status of each offer; of those not yet imported only a conflict, if `imported_only` is set."""
        every = self._named if imported_only and not self._loader.has_read_unnamed else self._all()
        for each in every:
            if each.behind is None:
                continue
            claim = each.claim
            won = winners(known.claim for known in _of_name(every, claim.name))
            if reason := why_lost(self.kind.name, claim, won):
                yield status_of(self.kind.name, claim.name, claim.source, "conflict", reason)
            elif not imported_only or isinstance(each.behind, Offer) or each.behind in self._loaded:
                found = self._load(each)
                if isinstance(found, Fault):
                    yield found.row()
                else:
                    row = status_of(self.kind.name, claim.name, claim.source, "ok")
                    yield structs.replace(row, deprecated=tuple(found.uses))

    def _with_settings(self, offer: Offer[T]) -> T:
        record = offer.record
        if isinstance(record, CommandPlugin) or record.settings is None:
            return record
        return with_settings(record, self._settings.get(record.name, {}), str(offer.source))

    def names(self) -> Iterator[str]:
        """Yield the names of the plugins. The group `ikto` is imported for it."""
        return (each.claim.name for each in self._all() if each.behind is not None)

    def _all(self) -> list[_Known[T]]:
        """Return what is known after importing the group `ikto`, too; not what a distribution offers in both ways."""
        named = {(each.claim.name, each.claim.source.distribution) for each in self._named}
        unnamed: Sequence[Offer[T]] = self._loader.unnamed[self.kind.name]
        return self._named + [
            _Known(Claim(offer.record.name, offer.source, is_named=False), offer)
            for offer in unnamed
            if (offer.record.name, offer.source.distribution) not in named
        ]

    def _load(self, known: _Known[T]) -> Offer[T] | Fault:
        if known.behind is None:
            reason = f"it is the name of a built-in {self.kind.name}"
            return Fault(self.kind.name, known.claim.name, known.claim.source, "failed", reason)
        if isinstance(known.behind, Offer):
            return known.behind
        if known.behind not in self._loaded:
            self._loaded[known.behind] = self._loader.load(self.kind, known.behind)
        return self._loaded[known.behind]

    def _faults(self, name: str = "") -> list[Fault]:
        """Return the faults that may be the reason why a plugin of this kind is missing."""
        faults = [fault for fault in self._loader.faults if fault.kind in {self.kind.name, ANY_KIND}]
        return [fault for fault in faults if not name or fault.name == name]

    def _missing(self, name: str) -> PluginError:
        if faults := self._faults(name):
            return faults[0]._replace(kind=self.kind.name).as_error()
        names = sorted({each.claim.name for each in self._all() if each.behind is not None})
        nearest = get_close_matches(name, names, n=1)
        hints = [f"did you mean {nearest[0]!r}?"] if nearest else []
        if others := ", ".join(sorted({repr(fault.name) for fault in self._faults()})):
            hints.append(f"run `ikto plugins` to see why {others} can't be used")
        available = ", ".join(names) or "none"
        return PluginError(f"there is no {self.kind.name} {name!r}; available: {available}", hint="; ".join(hints))
