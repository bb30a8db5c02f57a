"""The backend for kernel WireGuard. It uses netlink only and runs no programs."""

from collections.abc import AsyncIterator, Mapping, Set
from contextlib import AsyncExitStack, asynccontextmanager, closing

from msgspec.structs import replace

from ikto_backends.netlink.attributes import Device, attribute
from ikto_backends.netlink.decode import decode, decode_peers
from ikto_backends.netlink.decode_cache import DecodeCache
from ikto_backends.netlink.encode import encode_clear, encode_patch
from ikto_backends.netlink.errors import Operation, backend_errors, no_such_device, wrong_kind
from ikto_backends.netlink.events import watch
from ikto_backends.netlink.generic import GenericNetlink
from ikto_backends.netlink.links import WIREGUARD, Link, Links
from ikto_backends.netlink.namespace import Namespace, open_namespace
from ikto_core.plugins import (
    BackendContext,
    DeviceEvent,
    DevicePatch,
    DeviceState,
    NoSuchDeviceError,
    PeerState,
    PublicKey,
)

_GET_DEVICE, _SET_DEVICE = 0, 1


@asynccontextmanager
async def open_netlink(context: BackendContext) -> AsyncIterator["NetlinkBackend"]:
    """Yield a backend for the devices of one network namespace; the devices stay when it closes.

    A device is created from the agent's own namespace, so its UDP socket stays there (wireguard.com/netns).
    """
    with closing(GenericNetlink(WIREGUARD)) as wireguard:  # closed after the worker thread, which uses it, has ended
        async with open_namespace(context.netns) as namespace, AsyncExitStack() as stack:
            agents = namespace if context.netns is None else await stack.enter_async_context(open_namespace(None))
            yield NetlinkBackend(namespace, Links(namespace, agents), wireguard)


class NetlinkBackend:
    """Backend for kernel WireGuard: links and addresses through pyroute2, peers through a faster codec of its own."""

    def __init__(self, namespace: Namespace, links: Links, wireguard: GenericNetlink) -> None:
        self._namespace = namespace
        self._links = links
        self._wireguard = wireguard
        self._cache = DecodeCache(namespace.scope_name)

    async def read(self, ifname: str) -> DeviceState | None:
        """Return the state of the device; None if it is absent."""
        try:
            with backend_errors(ifname, Operation.READ):
                link, addresses = await self._links.get_with_addresses(ifname)
                link = _require_wireguard(ifname, link)
                state = await self._namespace.run(lambda: decode(self._dump(ifname), self._cache))
        except NoSuchDeviceError:
            return None
        return replace(state, mtu=link.mtu, up=link.up, addresses=addresses)

    async def read_peers(self, ifname: str, keys: Set[PublicKey]) -> Mapping[PublicKey, PeerState]:
        """Return the states of those of these peers that the device has; none if it is absent.

        The kernel always dumps the whole device: what this saves is to decode the other peers, and to look at the link.
        The dump fails if there is none, or if it is of another kind.
        """
        cache = DecodeCache(self._namespace.scope_name)
        try:
            with backend_errors(ifname, Operation.READ):
                return await self._namespace.run(lambda: decode_peers(self._dump(ifname), keys, cache))
        except NoSuchDeviceError:
            return {}

    async def create(self, ifname: str) -> None:
        """Create the device unless it exists; BackendError if a link of another kind has the name."""
        with backend_errors(ifname, Operation.CREATE):
            if not await self._links.create(ifname):
                await self._wireguard_link(ifname)

    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        """Write the values that the patch names, and nothing else."""
        if patch.changes_link:
            await self._write(ifname, replace(patch, peers=(), remove_peers=frozenset()))
            await self._change_link(ifname, patch)
            patch = DevicePatch(peers=patch.peers, remove_peers=patch.remove_peers)
        await self._write(ifname, patch)

    async def delete(self, ifname: str) -> None:
        """Delete the device if it exists; BackendError, and no change, if a link of another kind has the name."""
        with backend_errors(ifname, Operation.DELETE):
            if (link := await self._links.get(ifname)) is None:
                return
            if link.kind != WIREGUARD:
                raise wrong_kind(ifname)
            try:  # remove the peers first: the kernel takes seconds to delete a device with 500 peers
                with backend_errors(ifname, Operation.CONFIGURE):
                    await self._namespace.run(lambda: self._set([encode_clear(ifname)]))
            except NoSuchDeviceError:
                return
            await self._links.delete(link.index)

    def events(self) -> AsyncIterator[DeviceEvent]:
        """Yield links that were created, changed or deleted, this backend's writes included.

        The kernel reports no changes of peers.
        """
        return _events(self._namespace)

    async def _wireguard_link(self, ifname: str) -> Link:
        return _require_wireguard(ifname, await self._links.get(ifname))

    async def _change_link(self, ifname: str, patch: DevicePatch) -> None:
        with backend_errors(ifname, Operation.LINK):
            link = await self._wireguard_link(ifname)
            if patch.mtu is not None:
                await self._links.set_mtu(link.index, patch.mtu)
            with backend_errors(ifname, Operation.ADDRESS):
                await self._links.change_addresses(link.index, patch.add_addresses, patch.remove_addresses)
            if patch.up is not None:
                await self._links.set_up(link.index, up=patch.up)

    async def _write(self, ifname: str, patch: DevicePatch) -> None:
        with backend_errors(ifname, Operation.CONFIGURE):
            await self._namespace.run(lambda: self._set(encode_patch(ifname, patch, scope_id=self._namespace.scope_id)))

    def _set(self, messages: list[bytes]) -> None:
        if messages:
            self._wireguard.send(_SET_DEVICE, messages)

    def _dump(self, ifname: str) -> list[bytes]:
        return self._wireguard.dump(_GET_DEVICE, attribute(Device.IFNAME, ifname.encode() + b"\0"))


def _require_wireguard(ifname: str, link: Link | None) -> Link:
    if link is None:
        raise no_such_device(ifname)
    if link.kind != WIREGUARD:
        raise wrong_kind(ifname)
    return link


async def _events(namespace: Namespace) -> AsyncIterator[DeviceEvent]:
    with backend_errors("the list of links", Operation.WATCH):
        async for event in watch(namespace):
            yield event
