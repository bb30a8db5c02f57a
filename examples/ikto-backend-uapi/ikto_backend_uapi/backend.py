"""The five methods of `ikto_core.plugins.Backend`. Every step may be repeated."""

from collections.abc import AsyncIterator, Iterable
from functools import partial

from msgspec.structs import replace

from ikto_backend_uapi.conversation import ask
from ikto_backend_uapi.protocol import Pairs, device_of, interface_lines, peer_lines
from ikto_core.plugins import (
    BackendError,
    DeviceEvent,
    DevicePatch,
    DeviceState,
    LinkState,
    NoSuchDeviceError,
    Worker,
    check_patch,
    create_wireguard,
    delete_wireguard,
    find_wireguard,
    watch_links,
    write_link,
)


class UapiBackend:
    """Drive the userspace WireGuard devices of this network namespace.

    Requests block, so they run in one thread, one after another: a cancelled one ends before the next one starts.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    async def read(self, ifname: str) -> DeviceState | None:
        """Return the device: keys and peers from its process, addresses and MTU from its link. None if it is absent."""
        link = await _find(ifname)
        if link is None:
            return None
        try:
            state = device_of(await self._ask(ifname, ["get=1"]))
        except NoSuchDeviceError:  # deleted between the two reads
            return None
        except ValueError as error:
            raise BackendError(f"{ifname}: can't parse the answer of its process: {error}") from None
        return replace(state, mtu=link.mtu, up=link.up, addresses=link.addresses)

    async def create(self, ifname: str) -> None:
        """Start the process that is the device. It goes to the background and outlives the agent."""
        if await _find(ifname) is None:
            await create_wireguard(ifname, in_userspace=True)

    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        """Write the values that the patch names: first the interface, then its link, then its peers."""
        check_patch(ifname, patch)
        if await _find(ifname) is None:
            raise NoSuchDeviceError(f"there is no device {ifname!r}")
        await self._set(ifname, interface_lines(patch))
        await write_link(ifname, patch)
        await self._set(ifname, peer_lines(patch))

    async def delete(self, ifname: str) -> None:
        """Delete the link, which ends the process."""
        if await _find(ifname):
            await delete_wireguard(ifname)

    def events(self) -> AsyncIterator[DeviceEvent]:
        """Yield changes of links and addresses, this backend's included. Nothing reports changes of peers."""
        return watch_links()

    async def _ask(self, ifname: str, lines: list[str]) -> Pairs:
        return await self._worker.run(partial(ask, ifname, lines))

    async def _set(self, ifname: str, lines: Iterable[str]) -> None:
        if named := list(lines):
            await self._ask(ifname, ["set=1", *named])


async def _find(ifname: str) -> LinkState | None:
    """Return the device's link, None if it is absent; BackendError if it is not userspace WireGuard."""
    link = await find_wireguard(ifname)
    if link and link.kind != "tun":
        raise BackendError(
            f"{ifname} is a device of the kernel, not of userspace WireGuard",
            hint='Use "backend": "netlink", or choose another name for the device (wg_dev_name).',
        )
    return link
