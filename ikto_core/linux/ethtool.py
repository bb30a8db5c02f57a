"""Asks the kernel for the driver of a link, without running a program."""

from array import array
from fcntl import ioctl
from socket import AF_INET, SOCK_CLOEXEC, SOCK_DGRAM, socket
from struct import Struct

_SIOCETHTOOL = 0x8946
_GET_DRIVER = Struct("=I32s160x")  # struct ethtool_drvinfo: the command ETHTOOL_GDRVINFO, and the driver's name
_GDRVINFO = 3
_REQUEST = Struct("@16sP16x")  # struct ifreq with a pointer to it


def driver_of(ifname: str) -> str:
    """Return the driver of a link of this network namespace, `tun` for example; empty: unknown, or no such link."""
    answer = array("B", _GET_DRIVER.pack(_GDRVINFO, b""))
    address, _ = answer.buffer_info()
    with socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC) as kernel:
        try:
            ioctl(kernel, _SIOCETHTOOL, _REQUEST.pack(ifname.encode(), address))
        except OSError:
            return ""
    name: bytes = _GET_DRIVER.unpack(answer)[1]
    return name.partition(b"\0")[0].decode(errors="replace")
