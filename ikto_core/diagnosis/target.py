"""Which node an operator means: by name, public key or the beginning of one, subnet, address or endpoint. Pure."""

from collections.abc import Sequence

import msgspec

from ikto_core.diagnosis.facts import RecordFacts, RecordStatus
from ikto_core.mesh.selector import Handles, prefix_of, select
from ikto_core.values.addressing import Prefix
from ikto_core.values.text import clipped

MOST_NAMED = 5
"""So many of the nodes that a target may mean are named."""

NAME_SHOWN = 40
"""Characters of a name: it is another node's word, and may be of any length."""


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """A node, or a record, that a target may mean."""

    facts: RecordFacts
    subnets: tuple[Prefix, ...] = ()
    endpoints: tuple[str, ...] = ()  # HOST:PORT


def find(target: str, known: Sequence[Known], mesh: Prefix) -> RecordFacts:
    """Return what is known of the one node that a target means, or why there is none.

    `select` says what comes first. Of several records of one node the first one counts; list accepted records first.
    """
    how, matches = select(target, ((_handles(one), one) for one in known))
    if matches:
        return _one(how, matches)
    if (wanted := prefix_of(target.strip())) and not mesh.overlaps(wanted):
        reason = f"{target.strip()} is outside the mesh {mesh}, and no endpoint of a peer"
        return RecordFacts(status=RecordStatus.OUTSIDE_MESH, reason=reason)
    return RecordFacts(status=RecordStatus.ABSENT)


def _handles(one: Known) -> Handles:
    return Handles(one.facts.public_key, one.facts.name, one.subnets, one.endpoints)


def _one(how: str, matches: Sequence[Known]) -> RecordFacts:
    """Return the only node of these; AMBIGUOUS if they are several."""
    first, *others = (one.facts for one in matches)
    strangers = [one for one in others if one.public_key != first.public_key and _counts(one)]
    if strangers and _counts(first):
        named = ", ".join(_label(one) for one in (first, *strangers[: MOST_NAMED - 1]))
        more = len(strangers) + 1 - MOST_NAMED
        reason = f"{named} and {more} more" if more > 0 else named
        return RecordFacts(status=RecordStatus.AMBIGUOUS, matched=how, reason=reason)
    notes = [f"also {_label(one)}: {one.status.value}, {one.reason}" for one in others if not _counts(one)]
    note = "; ".join(filter(None, (first.note, *notes)))
    return msgspec.structs.replace(first, matched=how, note=note)


def _counts(one: RecordFacts) -> bool:
    return one.status in {
        RecordStatus.ACCEPTED,
        RecordStatus.SHARED_KEY,
        RecordStatus.SELF,
        RecordStatus.DELETED,
    }


def _label(one: RecordFacts) -> str:
    return f"{clipped(one.name, NAME_SHOWN)!r} ({one.public_key[:8]}…, {', '.join(one.allowed_ips)})"
