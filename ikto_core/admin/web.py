"""Requests and answers of the admin interface, by path and method. No bytes of HTTP: those are in `connections`."""

import socket
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec
import structlog

from ikto_core.admin.views import ErrorView
from ikto_core.errors import IktoError

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"

Write = Callable[[bytes], Awaitable[None]]
"""Sends a part of a body; waits for a client that reads slowly. Raises ConnectionError if the client is gone."""

log = structlog.get_logger(__name__)


class Request(msgspec.Struct, frozen=True):
    """What a client asks for."""

    method: str
    path: str  # percent-decoded
    query: Mapping[str, str] = {}  # the first value of each name
    host: str = ""  # as in the header
    client: socket.socket | None = None  # None: the client is gone


class Answer(msgspec.Struct, frozen=True):
    """What it gets: `body`, or else what `stream` sends."""

    body: bytes = b""
    status: int = 200
    kind: str = TEXT  # the content type
    headers: tuple[tuple[str, str], ...] = ()
    stream: Callable[[Write], Awaitable[None]] | None = None


class HttpError(Exception):
    """A request that is refused with this status; the text is for the client."""

    def __init__(self, status: int, text: str = "", headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(text or HTTPStatus(status).phrase)
        self.status = status
        self.headers = headers


Handler = Callable[[Request], Awaitable[Answer]]
Check = Callable[[Request], None]
Routes = Mapping[str, Mapping[str, Handler]]
"""By path and method. GET answers HEAD, too, unless there is only a stream."""


def parse_request(method: str, target: str, host: str, client: socket.socket | None) -> Request:
    """Return the request with this target, which may be a whole URL. Raises HttpError."""
    try:
        url = urlsplit(target)
        found = parse_qsl(url.query, keep_blank_values=True)
    except ValueError as error:
        raise HttpError(400, f"the target can't be read: {error}") from None
    return Request(method, unquote(url.path), dict(reversed(found)), host, client)


async def answer_of(routes: Routes, request: Request, check: Check) -> Answer:
    """Return the answer to a request; every error is one, as JSON. A failing request affects no other.

    `check` raises HttpError or IktoError for a request that is refused though the path and the method exist.
    """
    try:
        handler = _handler(routes, request)
        check(request)
        return await handler(request)
    except HttpError as error:
        return json_answer(ErrorView(error=str(error)), status=error.status, headers=error.headers)
    except IktoError as error:
        return json_answer(ErrorView(error=str(error), hint=error.hint), status=409)
    except Exception as error:
        log.exception("admin request failed", path=request.path)
        return json_answer(ErrorView(error=f"internal error: {type(error).__name__}: {error}"), status=500)


def json_answer(value: object, *, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    """Return a value as an answer in JSON."""
    return Answer(msgspec.json.encode(value) + b"\n", status, JSON, headers)


def _handler(routes: Routes, request: Request) -> Handler:
    methods = routes.get(request.path)
    if methods is None:
        raise HttpError(404, f"there is no path {request.path}")
    handler = methods.get(request.method)
    if handler is None:
        allowed = ", ".join(sorted(methods))
        raise HttpError(405, f"{request.path} allows {allowed}, not {request.method}", (("Allow", allowed),))
    return handler


def get(handler: Handler) -> Mapping[str, Handler]:
    """Return the methods of a path that only reads."""
    return {"GET": handler, "HEAD": handler}
