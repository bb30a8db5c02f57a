"""What a demo calls its things, so that the next one finds what a killed one left."""

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
"""Where userspace WireGuard has its sockets, whatever the network namespace."""

_NAME = re.compile(r"ikto-demo-([0-9]+)-")


def prefix() -> str:
    """Return how the names of this process's namespaces and directories begin."""
    return f"ikto-demo-{os.getpid()}"


def remove_leftovers() -> list[str]:
    """Remove the namespaces and directories of demos that are no more, and return their names."""
    return [*_remove_namespaces(), *_remove_directories()]


def remove_sockets(pid: int) -> None:
    """Remove the sockets of a demo's devices: a device that is told to end while it starts leaves its own behind."""
    for socket in SOCKETS.glob(f"{ifnames_of(pid)}*.sock"):
        socket.unlink(missing_ok=True)


def orphaned(name: str) -> bool:
    """Whether it is a demo's, and that demo's process is gone."""
    found = _NAME.match(name)
    return bool(found) and not Path(f"/proc/{found[1]}").exists() if found else False


def _remove_namespaces() -> Iterator[str]:
    for namespace in filter(orphaned, namespaces() if os.geteuid() == 0 else []):
        with suppress(IktoError):  # another demo may be at it as well
            remove_namespace(namespace)
            remove_sockets(int(namespace.split("-")[2]))
            yield namespace


def _remove_directories() -> Iterator[str]:
    for path in Path(tempfile.gettempdir()).iterdir():
        if orphaned(path.name) and path.lstat().st_uid == os.geteuid() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
            yield str(path)
