"""Where agents listen, and where clients look for them."""

import os
from collections.abc import Mapping
from pathlib import Path

from ikto_core.disk.runtime_dir import SYSTEM_RUNTIME_DIR, runtime_dir

DEFAULT_SOCKET = Path("/tmp/ikto.sock")  # noqa: S108 - as in 0.3.0; the agent makes it with mode 0600
SOCKET_VARIABLE = "IKTO_SOCKET"
NAME = "ikto.sock"


def fallback_socket(*, environ: Mapping[str, str] = os.environ, uid: int | None = None) -> Path:
    """Return the socket that an agent serves if another user's file is at the default path."""
    return runtime_dir(environ=environ, uid=uid) / NAME


def searched_sockets(*, environ: Mapping[str, str] = os.environ, uid: int | None = None) -> tuple[Path, ...]:
    """Return where a client looks for an agent if it is given no path, in this order."""
    paths = (fallback_socket(environ=environ, uid=uid), SYSTEM_RUNTIME_DIR / NAME, DEFAULT_SOCKET)
    return tuple(dict.fromkeys(paths))
