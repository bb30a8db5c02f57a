"""Serves the metrics, and nothing else, on a TCP port of the loopback, for scrapers that can't use a unix socket."""

import ipaddress
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from ikto_core.admin.connections import HttpServer
from ikto_core.admin.web import Handler, HttpError, Request, get
from ikto_core.errors import IktoError
from ikto_core.values.addressing import Endpoint

BACKLOG = 16

SHUTDOWN_TIMEOUT_S = 0.5


@asynccontextmanager
async def serve_metrics(metrics: Handler, listen: str) -> AsyncIterator[None]:
    """Answer `GET /metrics` on this address (HOST:PORT) while the context lasts; "": nowhere.

    Raises IktoError if the address can't be used.
    """
    if not listen:
        yield
        return
    server = HttpServer({"/metrics": get(metrics)}, _refuse_names, shutdown_timeout_s=SHUTDOWN_TIMEOUT_S)
    with _listener(Endpoint.parse(listen)) as listener:
        try:
            async with server.accepting(listener):
                yield
        finally:
            await server.close()


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


def _refuse_names(request: Request) -> None:
    """Refuse a request for a host name: a page in a browser on this host can make its own name mean the loopback."""
    try:
        name = urlsplit(f"//{request.host}").hostname or ""
        if name != "localhost":
            ipaddress.ip_address(name)
    except ValueError:
        raise HttpError(403, "ask for an address, or for localhost") from None
