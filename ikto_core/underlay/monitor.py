"""Watches this host's routes and addresses, and says what to advertise, which MTU fits, and when the host has moved."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from contextlib import aclosing
from ipaddress import ip_address

import structlog
from msgspec.structs import replace

from ikto_core.errors import ConfigError, NatsError
from ikto_core.underlay.events import underlay_events
from ikto_core.underlay.paths import Address, Link, Route, Underlay, choose_addresses, choose_mtu, outer_sources
from ikto_core.underlay.routes import DEFAULT_ROUTES, LinkReader, Target, route_to, source_to, targets_of
from ikto_core.values.addressing import Endpoint, Prefix

log = structlog.get_logger(__name__)


class UnderlayMonitor:
    """Looks at the routes to the NATS server and the default routes, at each session with NATS and after each change.

    `found` is what the last look found; an address or MTU that is missing now is the last one that there was.

    Args:
        advertised: The configured address to advertise; None: find one for each family.
        mesh: The mesh's network; no address inside it is advertised.
        ifname: The WireGuard device's name.
        fwmark: The firewall mark of the device's packets, which may have routes of their own; 0: none.

    """

    def __init__(self, advertised: str | None, mesh: Prefix, ifname: str, *, fwmark: int = 0) -> None:
        self.found = Underlay(addresses=(advertised,) if advertised else ())
        self.on_change: Callable[[Underlay], None] = lambda _: None  # called when a look found something else
        self.on_look: Callable[[], None] = lambda: None  # called at each look: routes may be different
        self.on_move: Callable[[], None] = lambda: None
        """Called when this host sends from another address than before, or has a network again: peers know it by the
        old address, or what was sent to them did not leave the host."""
        self._advertised = advertised
        self._mesh = mesh
        self._ifname = ifname
        self._fwmark = fwmark
        self._server: tuple[Target, ...] = ()  # the addresses of the NATS server of the last session
        self._last_sources: dict[str, str] = {}  # the last source address of each route, by the route's name
        self._failure: ConfigError | None = None  # why the last look found no address
        self._peer_sources: set[Address] = set()  # from which this host has sent to peers; a few
        self._new_peer_source = asyncio.Event()  # one has come that the last look did not know
        self._links = LinkReader(fwmark)
        self._look_lock = asyncio.Lock()

    def set_advertised(self, address: str | None) -> None:
        """Advertise this address, or one that is found (None), from the next look on."""
        self._advertised = address

    def reaches(self, endpoint: Endpoint) -> bool:
        """Return whether this host has a route to an endpoint; while it has no network at all, each may have one."""
        if not self.found.sources:
            return True
        source = source_to(endpoint, self._fwmark)
        if source and source not in self._peer_sources:
            self._peer_sources.add(source)
            self._new_peer_source.set()
        return source is not None

    async def connected(self, server: str, *, keep_trying: bool) -> None:
        """Look at the path to the NATS server of a new session, given its URL; `found` has an address then.

        Args:
            server: The URL of the NATS server.
            keep_trying: Whether a missing address is a temporary failure, as at boot, when routes may come later.

        Raises:
            NatsError: No address was ever found, and `keep_trying` is set: the connection is retried.
            ConfigError: No address was ever found, and `keep_trying` is not set.

        """
        self._server = await targets_of(server)
        await self.look()
        if self._failure and not self.found.addresses:
            raise NatsError(str(self._failure), hint=self._failure.hint) if keep_trying else self._failure

    async def watch(self) -> None:
        """Look at once and after each change of links, addresses or routes, until cancelled. NATS is not needed."""
        async with aclosing(underlay_events()) as events:
            async for _ in events:
                await self.look()

    async def follow_peers(self) -> None:
        """Look again whenever a peer is reached from another address than those before, until cancelled.

        Its link may have a smaller MTU than those of the other routes.
        """
        while True:
            await self._new_peer_source.wait()
            self._new_peer_source.clear()
            await self.look()

    async def look(self) -> None:
        """Look at the routes, and call `on_change` and `on_move` if they are different from before."""
        async with self._look_lock:
            routes = [*map(route_to, self._server), *(route_to(target, self._fwmark) for target in DEFAULT_ROUTES)]
            found, before = await self._find(routes), self.found
            self.found = found
        self.on_look()
        if found != before:
            log.info("underlay", advertise=found.addresses, mtu=found.mtu, sources=sorted(found.sources))
            self.on_change(found)
        if self._has_moved(routes) or (found.sources and not before.sources):
            self.on_move()

    async def _find(self, routes: Sequence[Route]) -> Underlay:
        sources = frozenset(outer_sources(routes, self._mesh).values())
        wanted = {route.source for route in routes if route.source} | set(map(ip_address, self.found.addresses))
        wanted |= self._peer_sources
        try:
            links = await self._links.read(wanted)
        except ConfigError as error:
            self._note_failure(error)
            configured = (self._advertised,) if self._advertised else None
            return replace(self.found, addresses=configured or self.found.addresses, sources=sources)
        addresses = self._addresses(routes, links)
        seen_by_peers = (*addresses, *map(str, self._peer_sources))
        mtu = choose_mtu(routes, links, self._mesh, self._ifname, seen_by_peers)
        return Underlay(addresses, mtu or self.found.mtu, sources)

    def _addresses(self, routes: Sequence[Route], links: Collection[Link]) -> tuple[str, ...]:
        """Return the addresses to advertise; the last ones if there are none at present."""
        if self._advertised:
            return (self._advertised,)
        try:
            found = choose_addresses(routes, links, self._mesh, self._ifname)
        except ConfigError as error:
            self._note_failure(error)
            return self.found.addresses
        self._failure = None
        return found

    def _note_failure(self, error: ConfigError) -> None:
        if self.found.addresses and not self._failure:
            addresses = self.found.addresses
            log.warning("no usable address now, advertising the previous one", addresses=addresses, error=str(error))
        self._failure = error

    def _has_moved(self, routes: Sequence[Route]) -> bool:
        """Return whether a route has another source than when it last had one."""
        sources = outer_sources(routes, self._mesh)
        moved = any(self._last_sources.get(name, source) != source for name, source in sources.items())
        self._last_sources |= sources
        return moved
