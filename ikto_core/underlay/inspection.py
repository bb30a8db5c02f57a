"""Looks at the way to one peer, beside the tunnel and through it: routes, pings and datagrams. Blocks for seconds."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from socket import AF_INET, AF_INET6, if_nametoindex

import msgspec

from ikto_core.underlay.echo import Echo, Way, echo, knock, largest_answered
from ikto_core.underlay.namespaces import call_within
from ikto_core.underlay.paths import Route
from ikto_core.underlay.routes import Target, route_to
from ikto_core.values.addressing import Endpoint

KNOCK_TIMEOUT_S = 3.5
"""Linux gives an address of the own network up after three requests, one a second (arp(7), mcast_solicit)."""

ECHO_TIMEOUT_S = 1.0
ECHOES = 3
"""The first packet may start a handshake, which takes a round trip or more."""

MOST_ENDPOINTS = 4
"""Further endpoints are not looked at."""

SMALLEST_MTU = 1280
"""Of IPv6 (RFC 8200); smaller packets are not tried."""


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """One endpoint, beside the tunnel."""

    source: str | None = None  # None: no route
    mtu: int = 0  # bytes
    knock: str = ""  # as `echo.knock`; empty: nothing was sent
    echo: Echo | None = None


class Through(msgspec.Struct, frozen=True, kw_only=True):
    """The tunnel."""

    unchecked: str = ""  # why nothing was sent
    small: Echo | None = None
    large: Echo | None = None  # only if the small one was answered
    fits: int | None = None  # the largest size that was answered, if the large one was not


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to look at."""

    endpoints: tuple[Endpoint, ...]  # best first
    ifname: str
    netns: str = ""  # the device's; empty: that of this process
    fwmark: int = 0
    source: str | None = None  # this node's address in the mesh; None: it has none
    address: str | None = None  # the peer's address in the mesh; None: unknown
    mtu: int | None = None  # of the device, in bytes; None: large packets are not tried


def inspect(plan: Plan) -> tuple[tuple[Seen, ...], Through]:
    """Look at the first endpoints, one Seen for each, and at the tunnel; all at once."""
    missing = call_within(plan.netns, lambda: _missing(plan.ifname))
    endpoints = plan.endpoints[:MOST_ENDPOINTS]
    with ThreadPoolExecutor(max_workers=MOST_ENDPOINTS + 1) as threads:
        through = threads.submit(tunnel, plan) if not missing else None
        seen = tuple(threads.map(partial(beside, fwmark=plan.fwmark, send=not missing), endpoints))
        return seen, through.result() if through else Through(unchecked=missing)


def beside(endpoint: Endpoint, *, fwmark: int = 0, send: bool = True) -> Seen:
    """Look at one endpoint; `send` False: at the route only."""
    family = AF_INET6 if ":" in endpoint.host else AF_INET
    route: Route = route_to(Target(str(endpoint), family, tuple(endpoint)), fwmark)
    if route.source is None:
        return Seen()
    if not send:
        return Seen(source=str(route.source), mtu=route.mtu)
    way = Way(fwmark=fwmark)
    with ThreadPoolExecutor(max_workers=1) as thread:
        knocking = thread.submit(knock, endpoint, way=way, timeout_s=KNOCK_TIMEOUT_S)
        answer = _any(endpoint.host, way, ECHOES)
        return Seen(source=str(route.source), mtu=route.mtu, knock=knocking.result(), echo=answer)


def tunnel(plan: Plan) -> Through:
    """Send small packets to the peer's address until one is answered, then one as large as the device's MTU."""
    if plan.address is None or plan.source is None:
        lacking = "this node has no address in the mesh" if plan.source is None else "the peer's address is not known"
        return Through(unchecked=lacking)
    return call_within(plan.netns, partial(_through, plan, plan.address))


def _through(plan: Plan, address: str) -> Through:
    way = Way(ifname=plan.ifname, source=plan.source or "")
    small = _any(address, way, ECHOES)
    if small.rtt_s is None or not plan.mtu:
        return Through(small=small)
    patience_s = max(ECHO_TIMEOUT_S / 4, small.rtt_s * 4)
    large = _any(address, way, ECHOES, size=plan.mtu, timeout_s=patience_s)
    if large.rtt_s is not None or large.failure:
        return Through(small=small, large=large)
    floor = min(SMALLEST_MTU, plan.mtu)
    fits = largest_answered(address, way=way, low=floor, high=plan.mtu, timeout_s=patience_s)
    return Through(small=small, large=large, fits=fits)


def _any(address: str, way: Way, count: int, *, size: int = 0, timeout_s: float = ECHO_TIMEOUT_S) -> Echo:
    """Return the first answered one of some echoes, else the last."""
    result = echo(address, way=way, size=size, timeout_s=timeout_s)
    for _ in range(count - 1):
        if result.rtt_s is not None or result.failure:
            break
        result = echo(address, way=way, size=size, timeout_s=timeout_s)
    return result


def _missing(ifname: str) -> str:
    """Return why nothing can be sent through an interface; empty: it exists."""
    try:
        if_nametoindex(ifname)
    except OSError:
        return f"{ifname} is no network interface of this host"
    return ""
