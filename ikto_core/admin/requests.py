"""What the admin server reads of a request: its parameters, and who sent it."""

import os
from collections.abc import Mapping
from contextlib import suppress

from ikto_core.admin.trusted_socket import peer_user
from ikto_core.admin.web import Request
from ikto_core.disk.access import user_name
from ikto_core.errors import IktoError

READING = ("GET", "HEAD")
"""The methods that change nothing."""


def changes_for_owner(request: Request) -> None:
    """Raise IktoError for a change unless root or the agent's own user asks: the socket may be open to readers."""
    if request.method in READING:
        return
    try:
        uid = peer_user(request.client)[1] if request.client else -1
    except OSError:
        uid = -1
    if uid not in (0, os.geteuid()):
        who = user_name(uid) if uid >= 0 else "a client that has gone"
        raise IktoError(f"{request.path} is not for {who}", hint="run the command as root, or as the agent's user")


def read_leave(query: Mapping[str, str]) -> tuple[float, bool]:
    """Return the seconds of the drain, and whether to forget the claim. Raises IktoError."""
    texts = query.get("drain_s", "0"), query.get("forget", "0")
    with suppress(ValueError):
        return float(texts[0]), bool(int(texts[1]))
    raise IktoError(f"drain_s is seconds, and forget 0 or 1, not {texts[0]!r} and {texts[1]!r}")
