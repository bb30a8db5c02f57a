"""The steps of each backend method. Every call blocks, and may be repeated."""

from msgspec.structs import replace

from ikto_backend_uapi.conversation import ask, socket_of, wait_until_ended
from ikto_backend_uapi.link import Link, find_link, link_batch
from ikto_backend_uapi.programs import run
from ikto_backend_uapi.protocol import device_of, interface_lines, peer_lines
from ikto_core.plugins import BackendError, DevicePatch, DeviceState, NoSuchDeviceError


def read(ifname: str) -> DeviceState | None:
    """Return the device: keys and peers from its process, addresses and MTU from its link."""
    link = _find(ifname)
    if link is None:
        return None
    try:
        state = device_of(ask(ifname, "get=1"))
    except NoSuchDeviceError:  # deleted between the two reads
        return None
    except ValueError as error:
        raise BackendError(f"{ifname}: can't parse the answer of its process: {error}") from None
    return replace(state, mtu=link.mtu, up=link.up, addresses=link.addresses)


def create(ifname: str) -> None:
    """Start the process that is the device. It goes to the background and outlives the agent."""
    if _find(ifname) is None:
        wait_until_ended(ifname)  # the process of a device that was deleted a moment ago
        run("wireguard-go", ifname)


def apply(ifname: str, patch: DevicePatch) -> None:
    """Apply the patch: first the interface, then its link, then its peers."""
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


def _find(ifname: str) -> Link | None:
    """Return the device's link, None if it is absent; BackendError if it is not userspace WireGuard."""
    link = find_link(ifname)
    if link and not (link.kind == "tun" and socket_of(ifname).exists()):
        raise BackendError(
            f"{ifname} is not a userspace WireGuard device",
            hint="Choose another name for the device (wg_dev_name).",
        )
    return link
