"""Maps kernel error numbers to BackendError, in this one place."""

import os
from enum import Enum
from errno import EACCES, EADDRINUSE, EAFNOSUPPORT, ENODEV, ENOENT, EOPNOTSUPP, EPERM
from pathlib import Path

from pyroute2.netlink.exceptions import NetlinkError

from ikto_core.plugins import BackendError, NoSuchDeviceError


class Operation(Enum):
    """What the backend was doing when the kernel refused: the meaning of an error number depends on it."""

    READ = "be read"
    CREATE = "be created"
    CONFIGURE = "be configured"
    ADDRESS = "be given its addresses"
    LINK = "be set up or down"
    DELETE = "be deleted"
    WATCH = "be watched"


_NO_WIREGUARD = (
    "this kernel has no WireGuard",
    'load the module: modprobe wireguard (Linux 5.6 or later); or use userspace WireGuard: "backend": "wgtool"',
)
_NO_IPV6 = (
    "IPv6 is disabled on this host or on this device",
    "enable it: sysctl net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.disable_ipv6=0 (docker run --sysctl …)",
)
_MEANINGS: dict[tuple[Operation, int], tuple[str, str]] = {
    (Operation.CREATE, EOPNOTSUPP): _NO_WIREGUARD,
    (Operation.ADDRESS, EACCES): _NO_IPV6,
    (Operation.ADDRESS, EAFNOSUPPORT): _NO_IPV6,
    (Operation.ADDRESS, EOPNOTSUPP): _NO_IPV6,
}
_PERMISSION = (
    "run as root, or with the capability CAP_NET_ADMIN (systemd: AmbientCapabilities=CAP_NET_ADMIN; "
    "docker run --cap-add NET_ADMIN)"
)
_PORT = "find the process that uses it with `ss -ulnp`, or choose another `wg_port`"


class backend_errors:  # noqa: N801 - a context manager, named like a function
    """Raise kernel errors of the block as BackendError that names the device, with a hint where one is known."""

    __slots__ = ("_ifname", "_operation")

    def __init__(self, ifname: str, operation: Operation) -> None:
        self._ifname = ifname
        self._operation = operation

    def __enter__(self) -> None:
        """Start the block."""

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        """End the block. Raises BackendError in place of a NetlinkError or an OSError."""
        if isinstance(error, NetlinkError):
            raise _backend_error(self._ifname, self._operation, error.code, str(error.args[1])) from error
        if isinstance(error, OSError):
            text = error.strerror or str(error)
            raise _backend_error(self._ifname, self._operation, error.errno or 0, text) from error


def wrong_kind(ifname: str) -> BackendError:
    """Return the error for a link that exists but is not a kernel WireGuard device."""
    return BackendError(
        f"{ifname} is not a WireGuard device of the kernel",
        hint='choose another `wg_dev_name`, or use "backend": "wgtool" if it is a userspace WireGuard device',
    )


def name_taken_outside(ifname: str, netns: Path) -> BackendError:
    """Return the error for a device that can't be created in `netns` because the agent's namespace has its name."""
    return BackendError(
        f"{ifname} can't be created in {netns}: the agent's own network namespace has a device of that name",
        hint="choose another `wg_dev_name`",
    )


def no_such_device(ifname: str) -> NoSuchDeviceError:
    """Return the error for a device that does not exist."""
    return NoSuchDeviceError(f"there is no device {ifname!r}")


def _backend_error(ifname: str, operation: Operation, code: int, text: str) -> BackendError:
    without_wireguard = code == ENOENT and operation in {Operation.CONFIGURE, Operation.READ}  # and thus no device
    if code == ENODEV or without_wireguard:
        return no_such_device(ifname)
    if code == EPERM:
        return BackendError(f"{ifname} can't {operation.value}: no permission", hint=_PERMISSION)
    if code == EADDRINUSE:
        return BackendError(f"{ifname} can't {operation.value}: its UDP port is in use", hint=_PORT)
    if meaning := _MEANINGS.get((operation, code)):
        return BackendError(f"{ifname} can't {operation.value}: {meaning[0]}", hint=meaning[1])
    if code == EOPNOTSUPP:
        return wrong_kind(ifname)
    return BackendError(f"{ifname} can't {operation.value}: {text or os.strerror(code)}")
