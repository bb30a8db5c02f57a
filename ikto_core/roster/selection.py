"""Which records of the bucket an operator means. Pure."""

from collections.abc import Iterable, Sequence

from ikto_core.errors import IktoError
from ikto_core.mesh.records import PEER_KEYS
from ikto_core.mesh.selector import Handles, prefix_of, select
from ikto_core.roster.listing import NodeRecord

MOST_NAMED = 5
"""So many records are named where several nodes are meant."""


def records_meant(records: Iterable[NodeRecord], text: str) -> list[NodeRecord]:
    """Return the records that a text means, by the rule of `select`: all of a name, or of the beginning of a key.

    Raises IktoError if there is none. They may be of several nodes: see `require_one_node`.
    """
    _, found = select(text, ((_handles(record), record) for record in records))
    if found:
        return list(found)
    wanted = "KV key" if text.startswith(PEER_KEYS) else "name, subnet, address, endpoint or public key"
    hint = "`ikto node list` shows them; letters count as they are written"
    raise IktoError(f"no record in the bucket has the {wanted} {text!r}", hint=hint)


def _handles(record: NodeRecord) -> Handles:
    subnet = prefix_of(record.allowed_ip or "")
    subnets = (subnet,) if subnet else ()
    return Handles(record.public_key or "", record.name or "", subnets, record.endpoints, record.key)


def require_one_node(records: Sequence[NodeRecord], text: str) -> None:
    """Raise IktoError, which names them, if these records are of several nodes."""
    nodes = {record.public_key or record.key for record in records}
    if len(nodes) > 1:
        named = "; ".join(f"{each.public_key or each.key} has {each.allowed_ip}" for each in records[:MOST_NAMED])
        more = f"; and {len(records) - MOST_NAMED} more" if len(records) > MOST_NAMED else ""
        message = f"{text!r} is {len(nodes)} nodes, so nothing was done: {named}{more}"
        raise IktoError(message, hint="give the public key or the subnet of one of them")
