"""Implements `ikto_core.plugins.Backend` with the programs `wg` and `ip`."""

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence, Set

from ikto_backends.wgtool.commands import (
    Command,
    applicable,
    interface_commands,
    peer_commands,
    removal_commands,
)
from ikto_core.plugins import (
    DeviceEvent,
    DevicePatch,
    DeviceState,
    NoSuchDeviceError,
    PeerPatch,
    PeerState,
    PublicKey,
    check_patch,
    create_wireguard,
    delete_wireguard,
    has_wireguard,
    read_wireguard,
    read_wireguard_peers,
    run_program,
    watch_links,
    wireguard_keys,
    write_link,
)


class WgToolBackend:
    """Backend for the WireGuard devices of this network namespace, in the kernel or in userspace."""

    async def read(self, ifname: str) -> DeviceState | None:
        """Return the state of the device; None if it is absent."""
        return await read_wireguard(ifname)

    async def read_peers(self, ifname: str, keys: Set[PublicKey]) -> Mapping[PublicKey, PeerState]:
        """Return the states of those of these peers that the device has; none if it is absent."""
        return await read_wireguard_peers(ifname, keys)

    async def create(self, ifname: str) -> None:
        """Create the device unless it exists: a kernel device, or a userspace one if the kernel has no WireGuard."""
        await create_wireguard(ifname)

    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        """Write the values that the patch names, and nothing else."""
        check_patch(ifname, patch)
        if not await has_wireguard(ifname):
            raise NoSuchDeviceError(f"there is no device {ifname!r}")
        await _run_all(ifname, interface_commands(ifname, patch))
        await write_link(ifname, patch)
        await _run_all(ifname, peer_commands(ifname, await _applicable(ifname, patch.peers)))
        await _run_all(ifname, removal_commands(ifname, patch.remove_peers))

    async def delete(self, ifname: str) -> None:
        """Delete the device if it exists, and wait until the process of a userspace device has ended."""
        await delete_wireguard(ifname)

    def events(self) -> AsyncGenerator[DeviceEvent, None]:
        """Yield the changes of links and addresses, this backend's writes included. Nothing reports changes of peers.

        Raises BackendError if `ip monitor` ends.
        """
        return watch_links()


async def _applicable(ifname: str, patches: Sequence[PeerPatch]) -> Sequence[PeerPatch]:
    """Return the patches without updates of absent peers: `wg` can't update a peer without creating it."""
    if all(patch.create for patch in patches):
        return patches
    return applicable(patches, await wireguard_keys(ifname))


async def _run_all(ifname: str, commands: Iterable[Command]) -> None:
    for command in commands:
        await run_program(command.argv, command.stdin, ifname=ifname)
