"""A network of a test's own: root only, and nothing outside of it is touched."""

import ctypes
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ikto_core.errors import IktoError
from ikto_core.lab.network import run

_CLONE_NEWNET = 0x40000000  # linux/sched.h
_LOOPBACK = "lo"
_TUN = Path("/dev/net/tun")


def why_no_network(*programs: str) -> str:
    """Return why this host can't give a test a network and these programs; empty: it can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    missing = [program for program in ("ip", *programs) if not shutil.which(program)]
    if missing:
        return f"not installed: {', '.join(missing)}"
    no_tun = "wireguard-go" in programs and not _TUN.exists()
    return f"there is no {_TUN}" if no_tun else ""


@contextmanager
def own_network() -> Iterator[None]:
    """Move this thread into a new network namespace, and with it whatever thread or process it starts meanwhile.

    There is the loopback, up, and nothing else. When the block ends the thread is back, and all links that were made
    are gone; a userspace WireGuard ends with its device. Raises OSError or IktoError if there can't be one.
    """
    with Path("/proc/thread-self/ns/net").open() as before:
        _system_call("unshare", _CLONE_NEWNET)
        try:
            run("ip", "link", "set", _LOOPBACK, "up")
            yield
        finally:
            _delete_links()
            _system_call("setns", before.fileno(), _CLONE_NEWNET)


def _delete_links() -> None:
    for _, name in socket.if_nameindex():
        if name != _LOOPBACK:
            with suppress(IktoError):  # the other end of a pair went with the first
                run("ip", "link", "delete", name)


def _system_call(name: str, *arguments: int) -> None:
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments):
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")
