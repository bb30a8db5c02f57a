"""A private network namespace for one test. Root only; nothing outside of it is changed."""

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
    """Return why this host can't run a test that needs a network namespace and these programs; empty if it can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    missing = [program for program in ("ip", *programs) if not shutil.which(program)]
    if missing:
        return f"not installed: {', '.join(missing)}"
    no_tun = "wireguard-go" in programs and not _TUN.exists()
    return f"there is no {_TUN}" if no_tun else ""


@contextmanager
def own_network() -> Iterator[None]:
    """Move this thread, and the threads and processes that it starts, into a new network namespace.

    The namespace has only the loopback interface, which is up. When the block ends, the thread returns to its former
    namespace, and all links created meanwhile are deleted; userspace WireGuard ends with its device. Raises OSError or
    IktoError if no namespace can be created.
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
            with suppress(IktoError):  # deleting one end of a veth pair deletes the other
                run("ip", "link", "delete", name)


def _system_call(name: str, *arguments: int) -> None:
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments):
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")
