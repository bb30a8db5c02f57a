"""WireGuard devices of this network namespace, in the kernel or in userspace, by the programs `ip` and `wg`."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Set
from contextlib import suppress
from functools import partial
from socket import if_indextoname, if_nametoindex
from typing import TypeVar

from msgspec.structs import replace

from ikto_core.device.backend import DeviceEvent
from ikto_core.device.model import DevicePatch, DeviceState, PeerState
from ikto_core.errors import BackendError, NoSuchDeviceError
from ikto_core.linux.dump import parse_dump, parse_keys, parse_peers
from ikto_core.linux.ethtool import driver_of
from ikto_core.linux.link import KERNEL, USERSPACE, LinkState, check_ifname, link_batch, parse_event, parse_link
from ikto_core.linux.programs import OTHER_WG, UnsupportedError, run_program, running_program
from ikto_core.linux.userspace import ELSEWHERE, is_served, is_userspace, socket_of, start_userspace, wait_until_ended
from ikto_core.linux.userspace_peers import userspace_keys, userspace_peers
from ikto_core.linux.worker import open_worker
from ikto_core.values.keys import PublicKey

T = TypeVar("T")


async def find_wireguard(ifname: str) -> LinkState | None:
    """Return the link of a WireGuard device, None if it is absent. Raises BackendError.

    A link of another kind is an error, so that no backend changes it. Userspace WireGuard has a link of the kind `tun`
    and a socket in /var/run/wireguard; a process that serves such a socket beside a kernel device is an error, too.
    """
    check_ifname(ifname)
    try:
        text = await run_program(("ip", "-json", "-details", "address", "show", "dev", ifname), ifname=ifname)
    except NoSuchDeviceError:
        return None
    link = parse_link(text, ifname)
    if link and link.kind != KERNEL and not (link.kind == USERSPACE and is_userspace(ifname)):
        raise BackendError(
            f"{ifname} is not a WireGuard device (kind: {link.kind or 'unknown'})",
            hint="Choose another name for the device (wg_dev_name).",
        )
    if link and link.kind == KERNEL and await is_served(ifname):
        raise BackendError(
            f"{ifname} is a device of the kernel, and `wg` would use a userspace one of the same name", hint=ELSEWHERE
        )
    return link


async def has_wireguard(ifname: str) -> bool:
    """Whether there is a device that `wg` may write to: the same as `find_wireguard`, mostly without running `ip`.

    Running `ip` costs as much as adding a peer. It is needed if a userspace socket of this name exists and the link is
    no tun device: `wg` would write to that socket, which may serve a device of another network namespace. Without a
    socket `wg` uses the kernel, which refuses a link that is not a WireGuard device.
    """
    check_ifname(ifname)
    try:
        if if_indextoname(if_nametoindex(ifname)) != ifname:  # an alternative name
            return False
    except OSError:
        return False
    if is_userspace(ifname) and driver_of(ifname) != USERSPACE:
        return await find_wireguard(ifname) is not None
    return True


async def read_wireguard(ifname: str) -> DeviceState | None:
    """Return the whole state of a device, None if it is absent. Raises BackendError."""
    link = await find_wireguard(ifname)
    if link is None:
        return None
    state = await _dump(ifname, parse_dump)
    return state and replace(state, mtu=link.mtu, up=link.up, addresses=link.addresses)


async def read_wireguard_peers(ifname: str, keys: Set[PublicKey]) -> Mapping[PublicKey, PeerState]:
    """Return the states of those of these peers that the device has; none if it is absent. Raises BackendError.

    Every WireGuard shows the whole device: what this saves is to parse the other peers. No program is run for a
    userspace device.
    """
    if not await has_wireguard(ifname):
        return {}
    if is_userspace(ifname):
        with suppress(NoSuchDeviceError):  # a process left the socket behind: `wg` asks the kernel then
            return await userspace_peers(ifname, keys)
    return await _dump(ifname, partial(parse_peers, keys=keys)) or {}


async def wireguard_keys(ifname: str) -> Set[PublicKey]:
    """Return the public keys of the peers of a device; none if it is absent. Raises BackendError.

    No program is run for a userspace device.
    """
    if is_userspace(ifname):
        with suppress(NoSuchDeviceError):  # as above
            return await userspace_keys(ifname)
    return parse_keys(await _unless_absent(ifname, run_program(("wg", "show", ifname, "peers"), ifname=ifname)) or "")


async def create_wireguard(ifname: str, *, in_userspace: bool = False) -> None:
    """Create a device unless it exists: in the kernel, or in userspace if the kernel has no WireGuard, or if asked to.

    Raises BackendError. Userspace WireGuard is wireguard-go, or the program in WG_QUICK_USERSPACE_IMPLEMENTATION.
    """
    if await find_wireguard(ifname):
        return
    if in_userspace:
        await start_userspace(ifname)
        return
    try:
        await run_program(("ip", "link", "add", "dev", ifname, "type", KERNEL), ifname=ifname)
    except UnsupportedError:
        await start_userspace(ifname, why="this kernel has no WireGuard, and ")


async def write_link(ifname: str, patch: DevicePatch) -> None:
    """Write what a patch says of MTU, addresses, up and down, and nothing else. Raises BackendError.

    Addresses that stay are there at the end, also those that Linux removes together with others. Raises
    NoSuchDeviceError if the device is absent, unless the patch does not change the link.
    """
    if not patch.changes_link:
        return
    link = await find_wireguard(ifname)
    if link is None:
        raise NoSuchDeviceError(f"there is no device {ifname!r}")
    if batch := link_batch(ifname, patch, link):
        await run_program(("ip", "-batch", "-"), [batch], ifname=ifname)


async def delete_wireguard(ifname: str) -> None:
    """Delete a device if it exists, and wait until the process of a userspace device has ended. Raises BackendError."""
    link = await find_wireguard(ifname)
    if link is None:
        return
    with suppress(NoSuchDeviceError):
        await run_program(("ip", "link", "delete", "dev", ifname), ifname=ifname)
    if link.kind == USERSPACE:
        await wait_until_ended(ifname)
        socket_of(ifname).unlink(missing_ok=True)  # a process that was killed leaves it behind


async def watch_links() -> AsyncGenerator[DeviceEvent, None]:
    """Yield the changes of links and addresses that `ip monitor` reports, a backend's own writes included.

    Nothing reports changes of peers. Raises BackendError if `ip monitor` ends; ends at once if there is no `ip`.
    """
    try:
        async with running_program(("ip", "-oneline", "monitor", "link", "address")) as lines:
            async for line in lines:
                if event := parse_event(line.decode(errors="replace")):
                    yield event
    except BackendError:  # `ip` is not installed: every other call reports that
        return
    raise BackendError("ip monitor has ended: events may be lost", hint="the agent starts it again")


async def _dump(ifname: str, parse: Callable[[str], T]) -> T | None:
    """Return what `parse` makes of `wg show IFNAME dump`; None if the device is absent."""
    try:
        text = await _unless_absent(ifname, run_program(("wg", "show", ifname, "dump"), ifname=ifname))
        if text is None:
            return None
        async with open_worker() as worker:  # ten thousand peers take a tenth of a second
            return await worker.run(partial(parse, text))
    except ValueError as error:
        raise BackendError(f"{ifname}: can't parse the output of wg show: {error}", hint=OTHER_WG) from None


async def _unless_absent(ifname: str, call: Awaitable[T]) -> T | None:
    """Return the result of a call; None if it fails because the device was deleted a moment ago."""
    try:
        return await call
    except BackendError:  # various ones
        if await find_wireguard(ifname) is None:
            return None
        raise
