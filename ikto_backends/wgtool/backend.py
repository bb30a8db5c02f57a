"""Drive WireGuard devices by `wg` and `ip`: the contract of `ikto_core.device.backend.Backend`."""

from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import suppress
from socket import if_indextoname, if_nametoindex

from msgspec.structs import replace

from ikto_backends.wgtool.commands import applicable, check_patch, interface_commands, peer_commands, removal_commands
from ikto_backends.wgtool.dump import parse_dump, parse_keys
from ikto_backends.wgtool.link import KERNEL, USERSPACE, Link, check_ifname, link_batch, parse_event, parse_link
from ikto_backends.wgtool.programs import Command, UnsupportedError, run, running_program
from ikto_backends.wgtool.userspace import socket_of, start_userspace, wait_until_ended
from ikto_core.plugins import BackendError, DeviceEvent, DevicePatch, DeviceState, NoSuchDeviceError, PeerPatch


class WgToolBackend:
    """Drive the devices of this network namespace, the kernel's and userspace ones alike."""

    async def read(self, ifname: str) -> DeviceState | None:
        """Return the device as it is, None if it is absent."""
        link = await _find(ifname)
        if link is None:
            return None
        try:
            state = parse_dump(await run(Command(("wg", "show", ifname, "dump")), ifname))
        except BackendError:
            if await _find(ifname) is None:  # gone between the two looks: it can fail in many ways
                return None
            raise
        except ValueError as error:
            raise BackendError(f"{ifname}: can't read what wg shows: {error}") from None
        return replace(state, mtu=link.mtu, up=link.up, addresses=link.addresses)

    async def create(self, ifname: str) -> None:
        """Make sure the device exists: the kernel's WireGuard, or else a userspace one."""
        if await _find(ifname):
            return
        try:
            await run(Command(("ip", "link", "add", "dev", ifname, "type", KERNEL)), ifname)
        except UnsupportedError:
            await start_userspace(ifname)

    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        """Write what the patch names, and nothing else."""
        check_patch(ifname, patch)
        link = await _looked_at(ifname, patch)
        await _run_all(ifname, interface_commands(ifname, patch))
        if link and (batch := link_batch(ifname, patch, link)):
            await run(Command(("ip", "-batch", "-"), [batch]), ifname)
        await _run_all(ifname, peer_commands(ifname, await _effective(ifname, patch.peers)))
        await _run_all(ifname, removal_commands(ifname, patch.remove_peers))

    async def delete(self, ifname: str) -> None:
        """Make sure the device does not exist, nor the process of a userspace one."""
        link = await _find(ifname)
        if link is None:
            return
        with suppress(NoSuchDeviceError):
            await run(Command(("ip", "link", "delete", "dev", ifname)), ifname)
        if link.kind == USERSPACE:
            await wait_until_ended(ifname)
            socket_of(ifname).unlink(missing_ok=True)  # a process that was killed left it

    async def events(self) -> AsyncGenerator[DeviceEvent, None]:
        """Tell what `ip monitor` tells of links and addresses, our own writes too; of peers nobody does."""
        try:
            async with running_program(("ip", "-oneline", "monitor", "link", "address")) as lines:
                async for line in lines:
                    if event := parse_event(line.decode(errors="replace")):
                        yield event
        except BackendError:  # no `ip`: every other call says so
            return
        raise BackendError("ip monitor has ended: events may be lost", hint="the agent starts it again")


async def _looked_at(ifname: str, patch: DevicePatch) -> Link | None:
    """Return the link if `ip` was asked; NoSuchDeviceError if it is not there.

    Asking costs as much as adding a peer. It must be where the patch is about the link, and where there is a socket,
    which may serve another network namespace's device: `wg` would write to it. Else `wg` goes to the kernel, which
    refuses a link that is not WireGuard's.
    """
    link = None
    if patch.changes_link or socket_of(ifname).exists():
        link = await _find(ifname)
        there = link is not None
    else:
        there = _is_a_name(ifname)
    if not there:
        raise NoSuchDeviceError(f"there is no device {ifname!r}")
    return link


def _is_a_name(ifname: str) -> bool:
    """Whether a link has that name, and not as one of its other names."""
    try:
        return if_indextoname(if_nametoindex(ifname)) == ifname
    except OSError:
        return False


async def _find(ifname: str) -> Link | None:
    """Return the link if it is there; BackendError if it is not WireGuard's, so that nobody's else is touched."""
    check_ifname(ifname)
    try:
        text = await run(Command(("ip", "-json", "-details", "address", "show", "dev", ifname)), ifname)
    except NoSuchDeviceError:
        return None
    link = parse_link(text, ifname)
    if link and link.kind != KERNEL and not (link.kind == USERSPACE and socket_of(ifname).exists()):
        raise BackendError(
            f"{ifname} is no WireGuard device but {link.kind or 'another kind of interface'}",
            hint="Choose another name for the device (wg_dev_name).",
        )
    return link


async def _effective(ifname: str, patches: Sequence[PeerPatch]) -> Sequence[PeerPatch]:
    """Return the patches that are to be carried out: `wg` has no way to say "only if the peer is there"."""
    if all(patch.create for patch in patches):
        return patches
    present = parse_keys(await run(Command(("wg", "show", ifname, "peers")), ifname))
    return applicable(patches, present)


async def _run_all(ifname: str, commands: Iterable[Command]) -> None:
    for command in commands:
        await run(command, ifname)
