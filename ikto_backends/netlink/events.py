"""What happens to WireGuard links, as the kernel tells it."""

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
    """Tell of WireGuard links and their addresses, for ever; the kernel tells nothing of peers.

    What we do ourselves is told too: the kernel says whose hand it was of IPv4 addresses, but neither of IPv6 ones nor
    of an MTU. Events that overran the buffer are made up for: each device is told to be changed.

    Args:
        namespace: Where the links are.
        receive_bytes: How much the kernel may hold for us; None: what pyroute2 asks for.

    """
    names = _Names()
    while True:
        options = {} if receive_bytes is None else {"rcvbuf": receive_bytes}
        with closing(await namespace.route(**options)) as route:
            await route.bind(groups=_GROUPS)
            for event in names.started_anew([message async for message in await route.get_links()]):
                yield event
            try:
                async for event in _events(route, names):
                    yield event
            except (OSError, NetlinkError) as error:
                # A socket of pyroute2 is dead after that: another one, and a look at what there is.
                if getattr(error, "code", None) != ENOBUFS and getattr(error, "errno", None) != ENOBUFS:
                    raise


async def _events(route: AsyncIPRoute, names: "_Names") -> AsyncIterator[DeviceEvent]:
    while True:
        async for message in route.get():  # it ends after each datagram
            for event in names.events(message):
                yield event


class _Names:
    """The names of the WireGuard links by index: messages about addresses have only that."""

    def __init__(self) -> None:
        self._names: dict[int, str] | None = None  # None: not looked yet

    def started_anew(self, links: list[Any]) -> list[DeviceEvent]:
        """Take all links there are; after the first time, tell of all that may have happened unseen."""
        before = self._names
        self._names = {m["index"]: str(m.get("ifname")) for m in links if Link.of(m).kind == WIREGUARD}
        if before is None:
            return []
        gone = set(before.values()) - set(self._names.values())
        return [DeviceEvent(name, DeviceEventKind.GONE) for name in sorted(gone)] + [
            DeviceEvent(name, DeviceEventKind.CHANGED) for name in sorted(self._names.values())
        ]

    def events(self, message: Any) -> list[DeviceEvent]:  # noqa: ANN401 - pyroute2 has no types
        """Return what a message tells: a renamed link is gone, and another one is there."""
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
