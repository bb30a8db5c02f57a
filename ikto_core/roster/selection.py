"""Which records an operator means by a name, a subnet or a key. Pure."""

from collections.abc import Iterable, Sequence
from contextlib import suppress

from ikto_core.errors import IktoError
from ikto_core.mesh.records import PEER_KEYS
from ikto_core.roster.listing import NodeRecord
from ikto_core.values.addressing import Prefix, parse_address

SHORTEST_KEY = 4
"""Characters of the beginning of a public key, as for `ikto why`."""

MOST_NAMED = 5
"""So many records are named where several nodes are meant."""


def records_meant(records: Iterable[NodeRecord], text: str) -> list[NodeRecord]:
    """Return the records that a text means: all of a name or public key, or the ones of a subnet, address or KV key.

    The beginning of a public key will do, as the table of nodes shows it, if it is nothing else. Raises IktoError if
    there is none. A name may be that of several nodes: see `require_one_node`.
    """
    every = list(records)
    found = (
        [record for record in every if text in (record.key, record.public_key)]
        or [record for record in every if record.allowed_ip == text]
        or [record for record in every if _is_in(record, text)]
        or [record for record in every if record.name == text]
        or [record for record in every if _begins(record, text)]
    )
    if found:
        return found
    wanted = "KV key" if text.startswith(PEER_KEYS) else "name, subnet, address or public key"
    hint = "`ikto node list` shows them; letters count as they are written"
    raise IktoError(f"no record in the bucket has the {wanted} {text!r}", hint=hint)


def _begins(record: NodeRecord, text: str) -> bool:
    """Return whether a text is the beginning of a record's public key, with or without an ellipsis."""
    beginning = text.removesuffix("…")
    return len(beginning) >= SHORTEST_KEY and (record.public_key or "").startswith(beginning)


def require_one_node(records: Sequence[NodeRecord], text: str) -> None:
    """Raise IktoError, which names them, if these records are of several nodes."""
    nodes = {record.public_key or record.key for record in records}
    if len(nodes) > 1:
        named = "; ".join(f"{each.public_key or each.key} has {each.allowed_ip}" for each in records[:MOST_NAMED])
        more = f"; and {len(records) - MOST_NAMED} more" if len(records) > MOST_NAMED else ""
        message = f"{text!r} is {len(nodes)} nodes, so nothing was done: {named}{more}"
        raise IktoError(message, hint="give the public key or the subnet of one of them")


def _is_in(record: NodeRecord, text: str) -> bool:
    """Return whether a text is the record's subnet in another form, or an address inside it."""
    with suppress(ValueError):
        subnet = Prefix.parse(record.allowed_ip or "")
        if "/" in text:
            return Prefix.parse(text) == subnet
        address = parse_address(text)
        return subnet.covers(Prefix.of(address, len(address) * 8))
    return False
