"""Which values of a patch WireGuard can take. Pure."""

from ikto_core.device.model import DevicePatch
from ikto_core.errors import BackendError
from ikto_core.linux.link import check_ifname

_LIMITS = {"listen_port": 0xFFFF, "fwmark": 0xFFFF_FFFF, "mtu": 0x7FFF_FFFF}


def check_patch(ifname: str, patch: DevicePatch) -> None:
    """Raise BackendError for an invalid interface name or a number out of range: `wg` turns port 70000 into 4464."""
    check_ifname(ifname)
    for name, limit in _LIMITS.items():
        value = getattr(patch, name)
        if value is not None and not 0 <= value <= limit:
            raise BackendError(f"{ifname}: {name} {value} is out of range: 0 to {limit}")
    for peer in patch.peers:
        if (keepalive_s := peer.persistent_keepalive) is not None and not 0 <= keepalive_s <= 0xFFFF:
            raise BackendError(f"{ifname}: persistent_keepalive {keepalive_s} is out of range: 0 to {0xFFFF}")
        if (endpoint := peer.endpoint) is not None and not 1 <= endpoint[1] <= 0xFFFF:
            raise BackendError(f"{ifname}: the port of the endpoint {endpoint} is out of range: 1 to 65535")
