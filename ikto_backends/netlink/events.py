"""Watches WireGuard links through the kernel's rtnetlink notifications."""

from collections.abc import AsyncIterator
from contextlib import closing
from errno import ENOBUFS
from typing import Any

from pyroute2 import AsyncIPRoute
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.rtnl import RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR, RTMGRP_LINK

from ikto_backends.netlink.links import WIREGUARD, Link
from ikto_backends.netlink.namespace import Namespace
from ikto_core.plugins import DeviceEvent, DeviceEventKind

_GROUPS = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR


async def watch(namespace: Namespace, *, receive_bytes: int | None = None) -> AsyncIterator[DeviceEvent]:
    """Yield changes of WireGuard links and their addresses, without end. The kernel reports no changes of peers.

    This process's own writes are included: the kernel names the sender only for IPv4 addresses, not for IPv6
    addresses or an MTU. If the receive buffer overflows, every device is reported as changed.

    Args:
        namespace: The network namespace of the links.
        receive_bytes: Size of the socket's receive buffer; None: pyroute2's default.

    """
    names = _LinkNames()
    while True:
        options = {} if receive_bytes is None else {"rcvbuf": receive_bytes}
        with closing(await namespace.route(**options)) as route:
            await route.bind(groups=_GROUPS)
            for event in names.resync(await namespace.run_route(_links)):
                yield event
            try:
                async for event in _events(route, names):
                    yield event
            except (OSError, NetlinkError) as error:
                # pyroute2 can't use a socket after an overflow: open another one and list the links again.
                if getattr(error, "code", None) != ENOBUFS and getattr(error, "errno", None) != ENOBUFS:
                    raise


async def _links(route: AsyncIPRoute) -> list[Any]:
    return [message async for message in await route.get_links()]


async def _events(route: AsyncIPRoute, names: "_LinkNames") -> AsyncIterator[DeviceEvent]:
    while True:
        async for message in route.get():  # ends after each datagram
            for event in names.events(message):
                yield event


class _LinkNames:
    """The names of the WireGuard links by index: messages about addresses contain only the index."""

    def __init__(self) -> None:
        self._names: dict[int, str] | None = None  # None: not listed yet

    def resync(self, links: list[Any]) -> list[DeviceEvent]:
        """Replace the known links by this list. After the first time, return an event for every old and new link."""
        before = self._names
        self._names = {m["index"]: str(m.get("ifname")) for m in links if Link.of(m).kind == WIREGUARD}
        if before is None:
            return []
        gone = set(before.values()) - set(self._names.values())
        return [DeviceEvent(name, DeviceEventKind.GONE) for name in sorted(gone)] + [
            DeviceEvent(name, DeviceEventKind.CHANGED) for name in sorted(self._names.values())
        ]

    def events(self, message: Any) -> list[DeviceEvent]:  # noqa: ANN401 - pyroute2 has no types
        """Return the events of a message. A renamed link is one that is gone and one that changed."""
        names = self._names if self._names is not None else {}
        index, event = message["index"], message.get("event")
        before = names.get(index)
        if event == "RTM_DELLINK":
            names.pop(index, None)
            return [DeviceEvent(before, DeviceEventKind.GONE)] if before else []
        if event == "RTM_NEWLINK" and Link.of(message).kind == WIREGUARD:
            names[index] = str(message.get("ifname"))
        name = names.get(index)
        gone = [DeviceEvent(before, DeviceEventKind.GONE)] if before and before != name else []
        return gone + ([DeviceEvent(name, DeviceEventKind.CHANGED)] if name else [])
