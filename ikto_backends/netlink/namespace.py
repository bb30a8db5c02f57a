"""Where the devices live: a thread in their network namespace does what blocks, and opens sockets there."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from errno import EINVAL, ENODEV, EPERM
from fcntl import ioctl
from functools import partial
from pathlib import Path
from socket import AF_INET, AF_NETLINK, SOCK_CLOEXEC, SOCK_DGRAM, socket
from struct import Struct
from typing import Any, TypeVar

from pyroute2 import AsyncIPRoute
from pyroute2.netns import setns

from ikto_backends.netlink.worker import Worker, open_worker
from ikto_core.plugins import BackendError

T = TypeVar("T")

_ROUTE = 0  # NETLINK_ROUTE
_SIOCGIFNAME, _SIOCGIFINDEX = 0x8910, 0x8933
_LINK_REQUEST = Struct("16sI20x")  # struct ifreq
_NAME_BYTES = 16  # with its end
_NAMED = Path("/var/run/netns")  # where `ip netns` keeps them


class Namespace:
    """A thread inside one network namespace. One: what a cancelled call began is over before the next call begins."""

    def __init__(self, worker: Worker, path: Path | None, outside: socket) -> None:
        self.path = path  # None: the agent's own namespace
        self._worker = worker
        self._outside = outside  # a socket of the agent's own namespace

    def run(self, call: Callable[[], T]) -> Awaitable[T]:
        """Run what blocks where it stops nobody else, inside the namespace."""
        return self._worker.run(call)

    async def route(self, **options: int) -> AsyncIPRoute:
        """Return a socket of pyroute2 that belongs to the namespace: to enter it by pyroute2 forks a process."""
        if self.path is None:
            return AsyncIPRoute(**options)
        return AsyncIPRoute(fileno=await self.run(_route_socket), **options)

    def born_here(self) -> dict[str, Any]:
        """Return what to add to a link's creation, asked of the agent's own namespace, to have it in this one."""
        return {"net_ns_fd": str(self.path)} if self.path else {}

    def scope_id(self, ifname: str) -> int:
        """Return the number of a link beside the UDP socket, which the scope of an endpoint names; OSError if absent.

        That is in the agent's own namespace, whichever thread asks: `if_nametoindex` would look in the thread's.
        """
        name = ifname.encode()
        if len(name) >= _NAME_BYTES:
            raise OSError(ENODEV, "no link has so long a name")
        number: int = _LINK_REQUEST.unpack(ioctl(self._outside, _SIOCGIFINDEX, _LINK_REQUEST.pack(name, 0)))[1]
        return number

    def scope_name(self, number: int) -> str:
        """Return the name of the link that `scope_id` gives this number for; OSError if there is none."""
        found = _LINK_REQUEST.unpack(ioctl(self._outside, _SIOCGIFNAME, _LINK_REQUEST.pack(b"", number)))[0]
        return bytes(found).rstrip(b"\0").decode()


@asynccontextmanager
async def open_namespace(netns: str | None) -> AsyncIterator[Namespace]:
    """Yield a thread in a network namespace, by its name or path; None: the one of this process.

    Raises BackendError if there is none such, or if it may not be entered.
    """
    path = None if netns is None else _NAMED / netns  # an absolute path stays what it is
    with socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC) as outside:
        async with open_worker() as worker:
            namespace = Namespace(worker, path, outside)
            if path is not None:
                await namespace.run(partial(_enter, path))
            yield namespace


def _enter(path: Path) -> None:
    """Move this thread, and no other, into a namespace."""
    try:
        with path.open("rb") as file:
            setns(file.fileno())
    except FileNotFoundError:
        raise BackendError(
            f"there is no network namespace {path}", hint=f"make it first, such as by: ip netns add {path.name}"
        ) from None
    except OSError as error:
        why, hint = _REFUSALS.get(error.errno or 0, (error.strerror, ""))
        raise BackendError(f"the network namespace {path} can't be entered: {why}", hint=hint) from None


_REFUSALS = {
    EPERM: ("no permission", "run as root, or with the capability CAP_SYS_ADMIN besides CAP_NET_ADMIN"),
    EINVAL: ("it is no network namespace", "give one that `ip netns` lists, or a path such as /proc/PID/ns/net"),
}


def _route_socket() -> int:
    return socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, _ROUTE).detach()
