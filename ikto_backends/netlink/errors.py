"""The kernel's errors as Ikto's: mapped here, once."""

import os
from enum import Enum
from errno import EACCES, EADDRINUSE, EAFNOSUPPORT, ENODEV, ENOENT, EOPNOTSUPP, EPERM
from pathlib import Path

from pyroute2.netlink.exceptions import NetlinkError

from ikto_core.plugins import BackendError, NoSuchDeviceError


class Operation(Enum):
    """What was being done when the kernel refused: the same number means different things."""

    READ = "be read"
    CREATE = "be created"
    CONFIGURE = "be configured"
    ADDRESS = "be given its addresses"
    LINK = "be set up or down"
    DELETE = "be deleted"
    WATCH = "be watched"


_NO_WIREGUARD = (
    "this kernel has no WireGuard",
    'load it: modprobe wireguard (in Linux since 5.6); or use a userspace WireGuard: "backend": "wgtool"',
)
_NO_IPV6 = (
    "IPv6 is disabled on this host or on this device",
    "enable it: sysctl net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.disable_ipv6=0",
)
_MEANINGS: dict[tuple[Operation, int], tuple[str, str]] = {
    (Operation.CREATE, EOPNOTSUPP): _NO_WIREGUARD,
    (Operation.ADDRESS, EACCES): _NO_IPV6,
    (Operation.ADDRESS, EAFNOSUPPORT): _NO_IPV6,
    (Operation.ADDRESS, EOPNOTSUPP): _NO_IPV6,
}
_PERMISSION = "run as root, or with the capability CAP_NET_ADMIN (systemd: AmbientCapabilities=CAP_NET_ADMIN)"
_PORT = "`ss -ulnp` shows who has it; or choose another `wg_port`"


class backend_errors:  # noqa: N801 - reads as what it does
    """Turn what the kernel says inside the block into a BackendError that names the device and what to do."""

    __slots__ = ("_ifname", "_task")

    def __init__(self, ifname: str, task: Operation) -> None:
        self._ifname = ifname
        self._task = task

    def __enter__(self) -> None:
        """Begin the block."""

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        """End the block; raises BackendError in place of an error of the kernel."""
        if isinstance(error, NetlinkError):
            raise _backend_error(self._ifname, self._task, error.code, str(error.args[1])) from error
        if isinstance(error, OSError):
            text = error.strerror or str(error)
            raise _backend_error(self._ifname, self._task, error.errno or 0, text) from error


def wrong_kind(ifname: str) -> BackendError:
    """Return the error of a device that is there, but is not the kernel's WireGuard."""
    return BackendError(
        f"{ifname} is not a WireGuard device of the kernel",
        hint='choose another name, or "backend": "wgtool" if it is a userspace WireGuard',
    )


def name_taken_outside(ifname: str, netns: Path) -> BackendError:
    """Return the error of a device that can't be made elsewhere because of another one of its name here."""
    return BackendError(
        f"{ifname} can't be created in {netns}: the agent's own network namespace has a device of that name",
        hint="choose another `wg_dev_name`",
    )


def no_such_device(ifname: str) -> NoSuchDeviceError:
    """Return the error of a device that is not there."""
    return NoSuchDeviceError(f"there is no device {ifname!r}")


def _backend_error(ifname: str, task: Operation, code: int, text: str) -> BackendError:
    if code == ENODEV or (task, code) == (Operation.CONFIGURE, ENOENT):  # ENOENT: there is no WireGuard, so no device
        return no_such_device(ifname)
    if code == EPERM:
        return BackendError(f"{ifname} can't {task.value}: no permission", hint=_PERMISSION)
    if code == EADDRINUSE:
        return BackendError(f"{ifname} can't {task.value}: its UDP port is in use", hint=_PORT)
    if meaning := _MEANINGS.get((task, code)):
        return BackendError(f"{ifname} can't {task.value}: {meaning[0]}", hint=meaning[1])
    if code == EOPNOTSUPP:
        return wrong_kind(ifname)
    return BackendError(f"{ifname} can't {task.value}: {text or os.strerror(code)}")
