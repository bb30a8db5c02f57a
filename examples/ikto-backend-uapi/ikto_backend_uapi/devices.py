"""What is done to a device, step by step. Everything here blocks, and may be repeated."""

from msgspec.structs import replace

from ikto_backend_uapi.conversation import ask, socket_of, wait_until_ended
from ikto_backend_uapi.link import Connection, find_link, link_batch
from ikto_backend_uapi.programs import run
from ikto_backend_uapi.protocol import device_of, interface_lines, peer_lines
from ikto_core.plugins import BackendError, DevicePatch, DeviceState, NoSuchDeviceError


def read(ifname: str) -> DeviceState | None:
    """Return the device: what its process tells, and what the system tells of its link."""
    link = _find(ifname)
    if link is None:
        return None
    try:
        state = device_of(ask(ifname, "get=1"))
    except NoSuchDeviceError:  # it ended between the two looks
        return None
    except ValueError as error:
        raise BackendError(f"{ifname}: can't read what its process tells: {error}") from None
    return replace(state, mtu=link.mtu, up=link.up, addresses=link.addresses)


def create(ifname: str) -> None:
    """Start the process that is the device. It goes to the background, and outlives us."""
    if _find(ifname) is None:
        wait_until_ended(ifname)  # of a device that was deleted a moment ago
        run("wireguard-go", ifname)


def apply(ifname: str, patch: DevicePatch) -> None:
    """Carry out the patch from top to bottom: the interface, its link, its peers."""
    link = _find(ifname)
    if link is None:
        raise NoSuchDeviceError(f"there is no device {ifname!r}")
    if lines := list(interface_lines(patch)):
        ask(ifname, "set=1", *lines)
    if batch := list(link_batch(ifname, patch, link)):
        run("ip", "-batch", "-", stdin="\n".join(batch))
    if lines := list(peer_lines(patch)):
        ask(ifname, "set=1", *lines)


def delete(ifname: str) -> None:
    """Delete the link, which ends the process."""
    if _find(ifname) is None:
        return
    try:
        run("ip", "link", "delete", "dev", ifname)
    except BackendError:
        if find_link(ifname):
            raise
    wait_until_ended(ifname)


def _find(ifname: str) -> Connection | None:
    """Return the device's link, None if it is absent; BackendError if it is somebody else's, which is left alone."""
    link = find_link(ifname)
    if link and not (link.kind == "tun" and socket_of(ifname).exists()):
        raise BackendError(
            f"{ifname} is no userspace WireGuard device",
            hint="Choose another name for the device (wg_dev_name).",
        )
    return link
