"""Which of several plugins with one name is used, decided without importing any. Pure, and cheap to import."""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ikto_core.plugins.reserved_commands import COMMANDS as BUILTIN_COMMANDS
from ikto_core.plugins.sources import PROJECT, Source

_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")


def is_plugin_name(name: object) -> bool:
    """Whether a plugin may have this name."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


class Claim(NamedTuple):
    """One distribution's claim on a name, known without importing it; or an offer of the group `ikto`."""

    name: str
    source: Source
    is_named: bool  # an entry point of the kind's own group has the name

    @property
    def rank(self) -> int:
        """Which claim wins, the lowest first: built-in names, then those of entry points, then those of hooks."""
        return 0 if self.source.distribution == PROJECT else 1 if self.is_named else 2


def winners(claims: Iterable[Claim]) -> list[Claim]:
    """Return the claims of the best rank; more than one is a conflict, in which neither can be used."""
    claims = list(claims)
    best = min((claim.rank for claim in claims), default=0)
    return [claim for claim in claims if claim.rank == best]


def why_lost(kind: str, claim: Claim, winning: Sequence[Claim]) -> str:
    """Return why a claim is not used; empty if it is."""
    if winning == [claim]:
        return ""
    if claim in winning:
        return conflict(winning)
    if winning[0].rank == 0:
        return f"{claim.name!r} is the name of a built-in {kind}, which is used"
    return f"{kind} {claim.name!r} of {winning[0].source} is used, whose entry point has this name"


def conflict(claims: Sequence[Claim]) -> str:
    """Return the line that names the providers of one name."""
    return "provided more than once, by " + " and ".join(str(claim.source) for claim in claims)


def reserved_claims() -> list[Claim]:
    """Return the claims of the built-in commands, which are no plugins."""
    return [Claim(name, Source(name, PROJECT, ""), is_named=True) for name in BUILTIN_COMMANDS]
