"""What plugins offer: records, faults, and the status of each. Pure."""

from collections.abc import Sequence
from typing import Generic, Literal, NamedTuple

import msgspec

from ikto_core.errors import PluginError
from ikto_core.plugins.kinds import T
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
    deprecated: tuple[str, ...] = ()  # what its module uses that a later version of Ikto removes, and what to use then


def status_of(
    kind: str, name: str, source: Source, status: Literal["ok", "failed", "conflict", "blocked"], reason: str = ""
) -> PluginStatus:
    """Return the status of an offer of a distribution."""
    distribution, version = source.distribution, source.version
    return PluginStatus(kind=kind, name=name, distribution=distribution, version=version, status=status, reason=reason)


class Offer(NamedTuple, Generic[T]):
    """A valid plugin record, the distribution that provides it, and what that uses of what is to be removed."""

    record: T
    source: Source
    uses: Sequence[str]  # it grows while the plugin runs


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

    def as_error(self) -> PluginError:
        """Return the error for whoever asks for this plugin."""
        hint = "" if self.status == "failed" else "remove it from `blocked_plugins` to use it"
        return PluginError(f"{self.kind} {self}", hint=hint)

    def row(self) -> PluginStatus:
        """Return the status."""
        return status_of(self.kind, self.name, self.source, self.status, self.reason)
