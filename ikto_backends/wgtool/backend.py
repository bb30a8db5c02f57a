"""Implements `ikto_core.device.backend.Backend` with the programs `wg` and `ip`."""

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence, Set
from contextlib import suppress
from functools import partial
from socket import if_indextoname, if_nametoindex
from typing import TypeVar

from msgspec.structs import replace

from ikto_backends.wgtool.commands import applicable, check_patch, interface_commands, peer_commands, removal_commands
from ikto_backends.wgtool.dump import parse_dump, parse_keys, parse_peers
from ikto_backends.wgtool.link import KERNEL, USERSPACE, Link, check_ifname, link_batch, parse_event, parse_link
from ikto_backends.wgtool.programs import OTHER_WG, Command, UnsupportedError, run, running_program
from ikto_backends.wgtool.userspace import socket_of, start_userspace, wait_until_ended
from ikto_core.plugins import (
    BackendError,
    DeviceEvent,
    DevicePatch,
    DeviceState,
    NoSuchDeviceError,
    PeerPatch,
    PeerState,
    PublicKey,
)

T = TypeVar("T")


class WgToolBackend:
    """Backend for the WireGuard devices of this network namespace, in the kernel or in userspace."""

    async def read(self, ifname: str) -> DeviceState | None:
        """Return the state of the device; None if it is absent."""
        link = await _find(ifname)
        if link is None:
            return None
        state = await _dump(ifname, parse_dump)
        return state and replace(state, mtu=link.mtu, up=link.up, addresses=link.addresses)

    async def read_peers(self, ifname: str, keys: Set[PublicKey]) -> Mapping[PublicKey, PeerState]:
        """Return the states of those of these peers that the device has; none if it is absent.

        `wg` always prints the whole device: what this saves is to parse the other peers.
        """
        check_ifname(ifname)
        try:
            await _check_exists(ifname, DevicePatch())
        except NoSuchDeviceError:
            return {}
        return await _dump(ifname, partial(parse_peers, keys=keys)) or {}

    async def create(self, ifname: str) -> None:
        """Create the device unless it exists: a kernel device, or a userspace one if the kernel has no WireGuard."""
        if await _find(ifname):
            return
        try:
            await run(Command(("ip", "link", "add", "dev", ifname, "type", KERNEL)), ifname)
        except UnsupportedError:
            await start_userspace(ifname)

    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        """Write the values that the patch names, and nothing else."""
        check_patch(ifname, patch)
        link = await _check_exists(ifname, patch)
        await _run_all(ifname, interface_commands(ifname, patch))
        if link and (batch := link_batch(ifname, patch, link)):
            await run(Command(("ip", "-batch", "-"), [batch]), ifname)
        await _run_all(ifname, peer_commands(ifname, await _applicable(ifname, patch.peers)))
        await _run_all(ifname, removal_commands(ifname, patch.remove_peers))

    async def delete(self, ifname: str) -> None:
        """Delete the device if it exists, and wait until the process of a userspace device has ended."""
        link = await _find(ifname)
        if link is None:
            return
        with suppress(NoSuchDeviceError):
            await run(Command(("ip", "link", "delete", "dev", ifname)), ifname)
        if link.kind == USERSPACE:
            await wait_until_ended(ifname)
            socket_of(ifname).unlink(missing_ok=True)  # a process that was killed leaves it behind

    async def events(self) -> AsyncGenerator[DeviceEvent, None]:
        """Yield the changes of links and addresses that `ip monitor` reports, this backend's writes included.

        Nothing reports changes of peers. Raises BackendError if `ip monitor` ends.
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
        return parse(await run(Command(("wg", "show", ifname, "dump")), ifname))
    except BackendError:
        if await _find(ifname) is None:  # it was deleted a moment ago, which fails with various errors
            return None
        raise
    except ValueError as error:
        raise BackendError(f"{ifname}: can't parse the output of wg show: {error}", hint=OTHER_WG) from None


async def _check_exists(ifname: str, patch: DevicePatch) -> Link | None:
    """Return the link, or None if `ip` was not needed to check that it exists. Raises NoSuchDeviceError.

    Running `ip` costs as much as adding a peer. It is needed if the patch changes the link, and if a userspace socket
    of this name exists: it may serve a device of another network namespace, and `wg` would write to that. Otherwise
    `wg` uses the kernel, which refuses a link that is not a WireGuard device.
    """
    link = None
    if patch.changes_link or socket_of(ifname).exists():
        link = await _find(ifname)
        exists = link is not None
    else:
        exists = _has_link(ifname)
    if not exists:
        raise NoSuchDeviceError(f"there is no device {ifname!r}")
    return link


def _has_link(ifname: str) -> bool:
    """Whether a link has this name as its primary name, not as an alternative name."""
    try:
        return if_indextoname(if_nametoindex(ifname)) == ifname
    except OSError:
        return False


async def _find(ifname: str) -> Link | None:
    """Return the link, None if it is absent; BackendError if it is not a WireGuard device, so that none is changed."""
    check_ifname(ifname)
    try:
        text = await run(Command(("ip", "-json", "-details", "address", "show", "dev", ifname)), ifname)
    except NoSuchDeviceError:
        return None
    link = parse_link(text, ifname)
    if link and link.kind != KERNEL and not (link.kind == USERSPACE and socket_of(ifname).exists()):
        raise BackendError(
            f"{ifname} is not a WireGuard device (kind: {link.kind or 'unknown'})",
            hint="Choose another name for the device (wg_dev_name).",
        )
    return link


async def _applicable(ifname: str, patches: Sequence[PeerPatch]) -> Sequence[PeerPatch]:
    """Return the patches without updates of absent peers: `wg` can't update a peer without creating it."""
    if all(patch.create for patch in patches):
        return patches
    present = parse_keys(await run(Command(("wg", "show", ifname, "peers")), ifname))
    return applicable(patches, present)


async def _run_all(ifname: str, commands: Iterable[Command]) -> None:
    for command in commands:
        await run(command, ifname)
