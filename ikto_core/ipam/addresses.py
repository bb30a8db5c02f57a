"""The device addresses that a node tries to claim, in order."""

from collections.abc import Iterable, Iterator
from itertools import islice

from ikto_core.values.addressing import Prefix, format_address

MAX_PROPOSALS = 4096
"""The most proposals of a strategy that a node tries in a row.

A proposal fails only if another node claimed it since the bucket was last read. The limit is more than any number of
nodes that start at once should need: a node that gives up although the mesh has room is not started again.
"""


def addresses_to_try(configured: str | None, saved: str | None, proposals: Iterable[Prefix]) -> Iterator[str]:
    """Yield the configured address alone; without one, the saved address and then those of the proposals.

    Args:
        configured: `private_address`; None for "auto".
        saved: The address of an earlier claim, if it may be used again; None otherwise.
        proposals: Subnets, best first; consumed only as far as needed.

    """
    if configured is not None:
        yield configured
        return
    if saved is not None:
        yield saved
    for subnet in islice(proposals, MAX_PROPOSALS):
        yield device_address(subnet)


def device_address(subnet: Prefix) -> str:
    """Return a device's address in its subnet: the first after the network address; in a /32 or /128, the only one."""
    offset = 0 if subnet.length == subnet.bits else 1
    number = int.from_bytes(subnet.address, "big") + offset
    return format_address(number.to_bytes(len(subnet.address), "big"))
