"""What the admin server reads of a request: its parameters, and who sent it."""

import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

from aiohttp import web

from ikto_core.admin.trusted_socket import peer_user
from ikto_core.disk.access import user_name
from ikto_core.errors import IktoError

READING = ("GET", "HEAD")
"""The methods that change nothing."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def changes_for_owner(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse what changes something to all but root and the agent's user: the socket may be open to readers."""
    if request.method not in READING and request.match_info.http_exception is None:
        require_owner(request)
    return await handler(request)


def require_owner(request: web.Request) -> None:
    """Raise IktoError unless root or the agent's own user has sent a request: the socket may be open to others."""
    socket = request.transport.get_extra_info("socket") if request.transport else None
    uid = peer_user(socket)[1] if socket else -1
    if uid not in (0, os.geteuid()):
        who = user_name(uid) if uid >= 0 else "a client that has gone"
        raise IktoError(f"{request.path} is not for {who}", hint="run the command as root, or as the agent's user")


def read_leave(query: Mapping[str, str]) -> tuple[float, bool]:
    """Return the seconds of the drain, and whether to forget the claim. Raises IktoError."""
    texts = query.get("drain_s", "0"), query.get("forget", "0")
    with suppress(ValueError):
        return float(texts[0]), bool(int(texts[1]))
    raise IktoError(f"drain_s is seconds, and forget 0 or 1, not {texts[0]!r} and {texts[1]!r}")
