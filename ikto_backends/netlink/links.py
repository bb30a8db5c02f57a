"""Network links and their addresses, over rtnetlink (pyroute2)."""

from collections.abc import Mapping, Set
from contextlib import suppress
from errno import EADDRNOTAVAIL, EEXIST, ENODEV
from functools import partial
from ipaddress import ip_interface
from pathlib import Path
from typing import Any

import msgspec
from pyroute2 import AsyncIPRoute
from pyroute2.netlink.exceptions import NetlinkError

from ikto_backends.netlink.errors import name_taken_outside
from ikto_backends.netlink.namespace import Namespace
from ikto_core.plugins import Interface

WIREGUARD = "wireguard"
_IFF_UP = 1


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """A network interface."""

    index: int
    kind: str  # IFLA_INFO_KIND; empty: a hardware device or the loopback
    mtu: int
    up: bool

    @classmethod
    def of(cls, message: Any) -> "Link":  # noqa: ANN401 - pyroute2 has no types
        """Return the link that a message describes."""
        kind = message.get(("linkinfo", "kind")) or ""
        return cls(
            index=message["index"],
            kind=str(kind),
            mtu=message.get("mtu") or 0,
            up=bool(message["flags"] & _IFF_UP),
        )


class Links:
    """The links of one network namespace. Methods raise pyroute2's NetlinkError or OSError."""

    def __init__(self, namespace: Namespace, agents_namespace: Namespace) -> None:
        self._namespace = namespace
        self._agents_namespace = agents_namespace  # where links are created from

    async def get(self, ifname: str) -> Link | None:
        """Return the link, None if it is absent."""
        return await self._namespace.run_route(partial(_get, ifname=ifname))

    async def create(self, ifname: str) -> bool:
        """Add a WireGuard link; False if a link of any kind has the name."""
        attributes = self._namespace.creation_attributes()
        if not await self._agents_namespace.run_route(partial(_add, ifname=ifname, attributes=attributes)):
            if self._namespace.path and await self.get(ifname) is None:  # Linux before 6.15 checks both namespaces
                raise name_taken_outside(ifname, self._namespace.path)
            return False
        await self._namespace.run(partial(_keep_addresses_when_down, ifname))
        return True

    async def delete(self, index: int) -> None:
        """Delete the link if it exists."""
        await self._namespace.run_route(partial(_delete, index=index))

    async def set_mtu(self, index: int, mtu: int) -> None:
        """Set the MTU, in bytes."""
        await self._namespace.run_route(lambda route: route.link("set", index=index, mtu=mtu))

    async def set_up(self, index: int, *, up: bool) -> None:
        """Set the link up or down. Linux removes the IPv6 addresses of a link that goes down; they are added again."""
        await self._namespace.run_route(partial(_set_up, index=index, up=up))

    async def get_with_addresses(self, ifname: str) -> tuple[Link | None, frozenset[Interface]]:
        """Return the link, None if it is absent, and its addresses without the IPv6 link-local ones.

        The kernel manages those. One socket serves both: opening one costs more than asking.
        """
        return await self._namespace.run_route(partial(_get_with_addresses, ifname=ifname))

    async def change_addresses(self, index: int, add: Set[Interface], remove: Set[Interface]) -> None:
        """Add addresses, then remove others; addresses in neither set stay.

        Linux removes an IPv4 subnet's secondary addresses with its primary one (unless promote_secondaries is set):
        those that must stay are added again. An IPv6 address whose prefix length changes is removed before it is
        added.
        """
        await self._namespace.run_route(partial(_change_addresses, index=index, add=add, remove=remove))


# -- in the thread, each with a socket of its own ----------------------------------------------------------------------


async def _get(route: AsyncIPRoute, ifname: str) -> Link | None:
    try:
        (message,) = await route.link("get", ifname=ifname)
    except NetlinkError as error:
        if error.code == ENODEV:
            return None
        raise
    return Link.of(message)


async def _get_with_addresses(route: AsyncIPRoute, ifname: str) -> tuple[Link | None, frozenset[Interface]]:
    link = await _get(route, ifname)
    return link, await _addresses(route, link.index) if link else frozenset()


async def _add(route: AsyncIPRoute, ifname: str, attributes: Mapping[str, Any]) -> bool:
    try:
        await route.link("add", ifname=ifname, kind=WIREGUARD, **attributes)
    except NetlinkError as error:
        if error.code != EEXIST:
            raise
        return False
    return True


async def _delete(route: AsyncIPRoute, index: int) -> None:
    try:
        await route.link("del", index=index)
    except NetlinkError as error:
        if error.code != ENODEV:
            raise


async def _set_up(route: AsyncIPRoute, index: int, *, up: bool) -> None:
    before = frozenset() if up else await _addresses(route, index)
    await route.link("set", index=index, state="up" if up else "down")
    if before:
        await _add_addresses(route, index, before - await _addresses(route, index))


async def _addresses(route: AsyncIPRoute, index: int) -> frozenset[Interface]:
    found = [
        ip_interface((message.get("local") or message.get("address"), message["prefixlen"]))
        async for message in await route.get_addr(index=index)
    ]
    return frozenset(address for address in found if not (address.version == 6 and address.is_link_local))


async def _change_addresses(route: AsyncIPRoute, index: int, add: Set[Interface], remove: Set[Interface]) -> None:
    before = await _addresses(route, index) if remove else frozenset()
    changing = {address.ip for address in add}
    first = {address for address in remove - add if address.ip in changing}
    await _remove_addresses(route, index, first)
    await _add_addresses(route, index, add)
    await _remove_addresses(route, index, remove - first)
    if remove:
        wanted = (before | add) - remove
        await _add_addresses(route, index, wanted - await _addresses(route, index))


async def _add_addresses(route: AsyncIPRoute, index: int, addresses: Set[Interface]) -> None:
    for address in sorted(addresses, key=str):
        await route.addr("replace", index=index, address=str(address.ip), prefixlen=address.network.prefixlen)


async def _remove_addresses(route: AsyncIPRoute, index: int, addresses: Set[Interface]) -> None:
    for address in sorted(addresses, key=str):
        try:
            await route.addr("del", index=index, address=str(address.ip), prefixlen=address.network.prefixlen)
        except NetlinkError as error:
            if error.code != EADDRNOTAVAIL:  # already removed, perhaps with the primary address of its subnet
                raise


def _keep_addresses_when_down(ifname: str) -> None:
    """Ask the kernel to keep IPv6 addresses when the link goes down, as it keeps IPv4 ones; ignore failures."""
    with suppress(OSError):
        Path(f"/proc/sys/net/ipv6/conf/{ifname}/keep_addr_on_down").write_text("1")
