"""Which node an operator means: by name, public key or the beginning of one, subnet, address or endpoint. Pure."""

from collections.abc import Iterable, Sequence
from contextlib import suppress

import msgspec

from ikto_core.diagnosis.facts import RecordFacts, RecordStatus
from ikto_core.values.addressing import Endpoint, Prefix, normalise_host, parse_address
from ikto_core.values.text import clipped

SHORTEST_KEY = 4
"""Characters of the beginning of a public key that name a node, if no other key begins so."""


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

    A whole key comes before a subnet or an address of the mesh, an endpoint, a name, and the beginning of a key: a node
    may call itself by another one's address or key. Of several records of one node the first one counts; list accepted
    records first.
    """
    text = target.strip().rstrip("…")
    for how, matches in _ways(text, known):
        if matches:
            return _one(how, matches)
    if (wanted := _prefix(text)) and not mesh.overlaps(wanted):
        reason = f"{text} is outside the mesh {mesh}, and no endpoint of a peer"
        return RecordFacts(status=RecordStatus.OUTSIDE_MESH, reason=reason)
    return RecordFacts(status=RecordStatus.ABSENT)


def _ways(text: str, known: Sequence[Known]) -> Iterable[tuple[str, list[Known]]]:
    wanted, host = _prefix(text), _host(text)
    yield "public key", [one for one in known if one.facts.public_key == text]
    if wanted:
        equal = [one for one in known if wanted in one.subnets]
        yield "subnet", equal
        yield "address", [one for one in known if any(subnet.covers(wanted) for subnet in one.subnets)]
    if host:
        yield "endpoint", [one for one in known if any(host in {e, _host_of(e)} for e in one.endpoints)]
    yield "name", [one for one in known if one.facts.name == text]
    if len(text) >= SHORTEST_KEY:
        yield "public key", [one for one in known if one.facts.public_key.startswith(text)]


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


def _prefix(text: str) -> Prefix | None:
    with suppress(ValueError):
        if "/" in text:
            return Prefix.parse(text)
        packed = parse_address(text)
        return Prefix.of(packed, len(packed) * 8)
    return None


def _host(text: str) -> str | None:
    """Return an endpoint, or the host of one, in the form that `Endpoint` prints."""
    with suppress(ValueError):
        return str(Endpoint.parse(text))
    with suppress(ValueError):
        return normalise_host(text)
    return None


def _host_of(endpoint: str) -> str:
    return Endpoint.parse(endpoint).host
