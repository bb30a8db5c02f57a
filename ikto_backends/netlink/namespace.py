"""A worker thread inside the devices' network namespace: it runs blocking calls and opens sockets there."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, closing
from errno import EINVAL, ENODEV, EPERM
from fcntl import ioctl
from functools import partial
from pathlib import Path
from socket import AF_INET, AF_NETLINK, SOCK_CLOEXEC, SOCK_DGRAM, socket
from struct import Struct
from typing import Any, TypeVar

from pyroute2 import AsyncIPRoute
from pyroute2.netns import setns

from ikto_core.plugins import BackendError, Worker, open_worker

T = TypeVar("T")

_ROUTE = 0  # NETLINK_ROUTE
_SIOCGIFNAME, _SIOCGIFINDEX = 0x8910, 0x8933
_LINK_REQUEST = Struct("16sI20x")  # struct ifreq
_NAME_BYTES = 16  # IFNAMSIZ, which includes the terminating zero
_NAMED_NAMESPACES = Path("/var/run/netns")  # the directory of `ip netns`


class Namespace:
    """One thread inside one network namespace. A cancelled call that has started ends before the next one starts."""

    def __init__(self, worker: Worker, path: Path | None, agent_socket: socket) -> None:
        self.path = path  # None: the agent's own namespace
        self._worker = worker
        self._agent_socket = agent_socket  # a socket in the agent's own namespace

    def run(self, call: Callable[[], T]) -> Awaitable[T]:
        """Run a blocking call in the thread inside the namespace, and return its result."""
        return self._worker.run(call)

    async def route(self, **options: int) -> AsyncIPRoute:
        """Return a pyroute2 socket in the namespace, opened by the thread: pyroute2 itself would fork a process."""
        if self.path is None:
            return AsyncIPRoute(**options)
        return AsyncIPRoute(fileno=await self.run(_route_socket), **options)

    def run_route(self, use: Callable[[AsyncIPRoute], Coroutine[Any, Any, T]]) -> Awaitable[T]:
        """Use a pyroute2 socket in the thread, in an event loop there: the kernel may block the sender."""
        return self.run(lambda: asyncio.run(_use_route(use)))

    def creation_attributes(self) -> dict[str, Any]:
        """Return the attributes that make a link created from the agent's own namespace appear in this one."""
        return {"net_ns_fd": str(self.path)} if self.path else {}

    def scope_id(self, ifname: str) -> int:
        """Return the index of the link that the scope of an endpoint names; OSError if there is none.

        Looked up in the agent's own namespace, where the device's UDP socket is, from any thread: `if_nametoindex`
        would use the namespace of the calling thread.
        """
        name = ifname.encode()
        if len(name) >= _NAME_BYTES:
            raise OSError(ENODEV, f"the name of a link has at most {_NAME_BYTES - 1} bytes")
        number: int = _LINK_REQUEST.unpack(ioctl(self._agent_socket, _SIOCGIFINDEX, _LINK_REQUEST.pack(name, 0)))[1]
        return number

    def scope_name(self, number: int) -> str:
        """Return the name of the link with this index, the reverse of `scope_id`; OSError if there is none."""
        found = _LINK_REQUEST.unpack(ioctl(self._agent_socket, _SIOCGIFNAME, _LINK_REQUEST.pack(b"", number)))[0]
        return bytes(found).rstrip(b"\0").decode()


@asynccontextmanager
async def open_namespace(netns: str | None) -> AsyncIterator[Namespace]:
    """Yield a thread in the network namespace with this name or path; None: the namespace of this process.

    Raises BackendError if the namespace does not exist or can't be entered.
    """
    path = None if netns is None else _NAMED_NAMESPACES / netns  # an absolute path stays as it is
    with socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC) as agent_socket:
        async with open_worker() as worker:
            namespace = Namespace(worker, path, agent_socket)
            if path is not None:
                await namespace.run(partial(_enter, path))
            yield namespace


def _enter(path: Path) -> None:
    """Move the calling thread, and no other, into a namespace."""
    try:
        with path.open("rb") as file:
            setns(file.fileno())
    except FileNotFoundError:
        raise BackendError(
            f"there is no network namespace {path}", hint=f"create it first: ip netns add {path.name}"
        ) from None
    except OSError as error:
        why, hint = _REFUSALS.get(error.errno or 0, (error.strerror, ""))
        raise BackendError(f"can't enter the network namespace {path}: {why}", hint=hint) from None


_REFUSALS = {
    EPERM: ("no permission", "run as root, or with the capability CAP_SYS_ADMIN besides CAP_NET_ADMIN"),
    EINVAL: ("it is not a network namespace", "use a name that `ip netns` lists, or a path such as /proc/PID/ns/net"),
}


async def _use_route(use: Callable[[AsyncIPRoute], Coroutine[Any, Any, T]]) -> T:
    with closing(AsyncIPRoute()) as route:
        await route.bind()
        return await use(route)


def _route_socket() -> int:
    return socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, _ROUTE).detach()
