"""Serves the metrics, and nothing else, on a TCP port of the loopback, for scrapers that can't use a unix socket."""

import ipaddress
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from aiohttp import web

from ikto_core.admin.connections import accepting
from ikto_core.errors import IktoError
from ikto_core.values.addressing import Endpoint

BACKLOG = 16

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serve_metrics(metrics: Handler, listen: str) -> AsyncIterator[None]:
    """Answer `GET /metrics` on this address (HOST:PORT) while the context lasts; "": nowhere.

    Raises IktoError if the address can't be used.
    """
    if not listen:
        yield
        return
    application = web.Application(middlewares=[_refuse_names])
    application.add_routes([web.get("/metrics", metrics)])
    runner = web.AppRunner(application, access_log=None, lingering_time=0.0, shutdown_timeout=0.5)
    with _listener(Endpoint.parse(listen)) as listener:
        try:
            await runner.setup()
            async with accepting(runner, listener):
                yield
        finally:
            await runner.cleanup()


def _listener(address: Endpoint) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address.host, address.port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        hint = "choose another port in metrics_listen, or stop the program that uses this one"
        raise IktoError(f"metrics_listen: can't listen on {address}: {error.strerror}", hint=hint) from None
    return listener


@web.middleware
async def _refuse_names(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse a request for a host name: a page in a browser on this host can make its own name mean the loopback."""
    name = urlsplit(f"//{request.host}").hostname or ""
    if name != "localhost":
        try:
            ipaddress.ip_address(name)
        except ValueError:
            raise web.HTTPForbidden(reason="ask for an address, or for localhost") from None
    return await handler(request)
