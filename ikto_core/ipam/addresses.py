"""Which addresses of our own to try to claim, in which order."""

from collections.abc import Iterable, Iterator
from itertools import islice

from ikto_core.values.addressing import Prefix, format_address

PROPOSALS_TRIED = 4096
"""Of a strategy's proposals, so many are tried in a row; each that fails was taken since we last looked.

More than any crowd of nodes that start at once should need: who gives up in a mesh with room is not started again.
"""


def addresses_to_try(configured: str | None, kept: str | None, proposals: Iterable[Prefix]) -> Iterator[str]:
    """Yield the device's possible addresses: the configured one alone, or else the kept one and the strategy's.

    Args:
        configured: `private_address`; None for "auto".
        kept: The address of an earlier claim that may be used again; None if there is none.
        proposals: Subnets, best first; drawn only as far as they are needed.

    """
    if configured is not None:
        yield configured
        return
    if kept is not None:
        yield kept
    for subnet in islice(proposals, PROPOSALS_TRIED):
        yield device_address(subnet)


def device_address(subnet: Prefix) -> str:
    """Return the address that a device takes in a subnet of its own: the one after the network's, if there is one."""
    offset = 0 if subnet.length == subnet.bits else 1
    number = int.from_bytes(subnet.address, "big") + offset
    return format_address(number.to_bytes(len(subnet.address), "big"))
