"""Userspace WireGuard: a process that serves one tun device and answers `wg` on a unix socket.

The process is the device: it outlives the agent and ends only when the device is deleted. The agent stores nothing
about it: the next agent finds it by its socket, as `wg` does.
"""

import asyncio
import os
import shutil
import socket
from contextlib import suppress
from pathlib import Path

from ikto_core.errors import BackendError
from ikto_core.linux.programs import run_daemon

SOCKETS = Path("/var/run/wireguard")
EXIT_TIMEOUT_S = 60.0  # with ten thousand peers, on a busy host

_FOREGROUND = "WG_PROCESS_FOREGROUND"


def socket_of(ifname: str) -> Path:
    """Return the path of a userspace device's socket (WireGuard's cross-platform interface)."""
    return SOCKETS / f"{ifname}.sock"


def is_userspace(ifname: str) -> bool:
    """Return whether `wg` takes a device of this name for a userspace one."""
    return socket_of(ifname).exists()


ELSEWHERE = (
    "It may belong to another network namespace: namespaces share /var/run/wireguard. "
    "Choose another name for the device (wg_dev_name)."
)


async def is_served(ifname: str) -> bool:
    """Return whether a process serves a userspace device of this name, in this or another network namespace."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(connection, str(socket_of(ifname)))
        except OSError:  # absent, or left behind by a process
            return False
        return True


async def start_userspace(ifname: str, *, why: str = "") -> None:
    """Create a device by starting its process: wireguard-go, or the program in WG_QUICK_USERSPACE_IMPLEMENTATION.

    `why` begins the error of a program that is not installed: why it is needed.
    """
    program = _find_program(ifname, why)
    await wait_until_ended(ifname)  # the process of a device that was deleted a moment ago
    settings = {name: value for name, value in os.environ.items() if name.startswith("WG_") and name != _FOREGROUND}
    await run_daemon(program, ifname, settings)


def _find_program(ifname: str, why: str) -> str:
    name = os.environ.get("WG_QUICK_USERSPACE_IMPLEMENTATION") or "wireguard-go"
    path = shutil.which(name)
    if path is None:
        raise BackendError(
            f"{ifname}: {why}the userspace program {name!r} is not installed",
            hint="Load the kernel module (modprobe wireguard), or install the package wireguard-go, or name another "
            "userspace WireGuard program in WG_QUICK_USERSPACE_IMPLEMENTATION.",
        )
    return str(Path(path).absolute())


async def wait_until_ended(ifname: str) -> None:
    """Return once no process answers on the device's socket; BackendError after EXIT_TIMEOUT_S.

    A process closes its connections when it ends, so neither polling nor its process id is needed.
    """
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX) as connection, suppress(OSError):  # refused, absent, or reset: no process
        connection.setblocking(False)
        try:
            async with asyncio.timeout(EXIT_TIMEOUT_S):
                await loop.sock_connect(connection, str(socket_of(ifname)))
                await loop.sock_recv(connection, 1)
        except TimeoutError:
            raise BackendError(
                f"{ifname}: a userspace WireGuard process answers for this name but has no device here",
                hint=ELSEWHERE,
            ) from None
