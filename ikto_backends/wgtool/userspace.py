"""WireGuard outside the kernel: a process that serves one tun device and answers `wg` on a unix socket.

The process *is* the device, so it outlives the agent and is only ever ended by deleting the device. It needs no
bookkeeping of ours: the next agent finds it by its socket, as `wg` does.
"""

import asyncio
import os
import shutil
import socket
from contextlib import suppress
from pathlib import Path

from ikto_backends.wgtool.programs import run_daemon
from ikto_core.plugins import BackendError

SOCKETS = Path("/var/run/wireguard")
ENDS_WITHIN_S = 60.0  # with ten thousand peers, on a busy host

_FOREGROUND = "WG_PROCESS_FOREGROUND"


def socket_of(ifname: str) -> Path:
    """Return the socket on which a userspace WireGuard answers for a device (the cross-platform interface)."""
    return SOCKETS / f"{ifname}.sock"


async def start_userspace(ifname: str) -> None:
    """Make a device by starting its process: wireguard-go, or what wg-quick's variable names."""
    program = _program(ifname)
    await wait_until_ended(ifname)  # the process of a device that somebody deleted a moment ago
    settings = {name: value for name, value in os.environ.items() if name.startswith("WG_") and name != _FOREGROUND}
    await run_daemon(program, ifname, settings)


def _program(ifname: str) -> str:
    wanted = os.environ.get("WG_QUICK_USERSPACE_IMPLEMENTATION") or "wireguard-go"
    found = shutil.which(wanted)
    if found is None:
        raise BackendError(
            f"{ifname}: this kernel has no WireGuard, and there is no program {wanted!r} to do without",
            hint="Load the kernel's module (modprobe wireguard), or install the package wireguard-go, or name another "
            "userspace WireGuard in WG_QUICK_USERSPACE_IMPLEMENTATION.",
        )
    return str(Path(found).absolute())


async def wait_until_ended(ifname: str) -> None:
    """Return once no process answers on a device's socket; BackendError after ENDS_WITHIN_S.

    A process that ends closes its connections: there is nothing to poll, and its process id is not needed.
    """
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX) as connection, suppress(OSError):  # refused, absent, or reset: nobody is there
        connection.setblocking(False)
        try:
            async with asyncio.timeout(ENDS_WITHIN_S):
                await loop.sock_connect(connection, str(socket_of(ifname)))
                await loop.sock_recv(connection, 1)
        except TimeoutError:
            raise BackendError(
                f"{ifname}: a userspace WireGuard answers for it, has no device here, and does not end",
                hint="Perhaps it belongs to another network namespace: they share /var/run/wireguard. "
                "Choose another name for the device.",
            ) from None
