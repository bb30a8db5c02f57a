"""The names of a demo's namespaces, directories and sockets, and removal of those that a killed demo left."""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ikto_core.errors import IktoError
from ikto_core.lab.hosted import ifnames_of
from ikto_core.lab.network import namespaces, remove_namespace

SOCKETS = Path("/var/run/wireguard")
"""Where userspace WireGuard creates its sockets, shared by all network namespaces."""

_NAME = re.compile(r"ikto-demo-([0-9]+)-")


def prefix() -> str:
    """Return the name prefix of this process's namespaces and directories."""
    return f"ikto-demo-{os.getpid()}"


def remove_leftovers() -> list[str]:
    """Remove the namespaces and directories of demos whose process has ended, and return their names."""
    return [*_remove_namespaces(), *_remove_directories()]


def remove_sockets(pid: int) -> None:
    """Remove the sockets of a demo's devices: wireguard-go leaves its socket if it is stopped while it starts."""
    for socket in SOCKETS.glob(f"{ifnames_of(pid)}*.sock"):
        socket.unlink(missing_ok=True)


def orphaned(name: str) -> bool:
    """Whether a namespace or directory belongs to a demo whose process has ended."""
    found = _NAME.match(name)
    return bool(found) and not Path(f"/proc/{found[1]}").exists() if found else False


def _remove_namespaces() -> Iterator[str]:
    for namespace in filter(orphaned, namespaces() if os.geteuid() == 0 else []):
        with suppress(IktoError):  # another demo may be removing it, too
            remove_namespace(namespace)
            remove_sockets(int(namespace.split("-")[2]))
            yield namespace


def _remove_directories() -> Iterator[str]:
    for path in Path(tempfile.gettempdir()).iterdir():
        if orphaned(path.name) and path.lstat().st_uid == os.geteuid() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
            yield str(path)
