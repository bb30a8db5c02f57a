"""Where the devices live: a thread in their network namespace does what blocks, and opens sockets there."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from errno import EINVAL, EPERM
from functools import partial
from pathlib import Path
from socket import AF_NETLINK, SOCK_CLOEXEC, SOCK_DGRAM, socket
from typing import Any, TypeVar

from pyroute2 import AsyncIPRoute
from pyroute2.netns import setns

from ikto_core.errors import BackendError

T = TypeVar("T")

_ROUTE = 0  # NETLINK_ROUTE
_NAMED = Path("/var/run/netns")  # where `ip netns` keeps them


class Namespace:
    """A thread inside one network namespace. One: what a cancelled call began is over before the next call begins."""

    def __init__(self, executor: ThreadPoolExecutor, path: Path | None) -> None:
        self.path = path  # None: the agent's own namespace
        self._executor = executor

    async def run(self, call: Callable[[], T]) -> T:
        """Run what blocks where it stops nobody else, inside the namespace."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, call)

    async def route(self, **options: int) -> AsyncIPRoute:
        """Return a socket of pyroute2 that belongs to the namespace: to enter it by pyroute2 forks a process."""
        if self.path is None:
            return AsyncIPRoute(**options)
        return AsyncIPRoute(fileno=await self.run(_route_socket), **options)

    def born_here(self) -> dict[str, Any]:
        """Return what to add to a link's creation, asked of the agent's own namespace, to have it in this one."""
        return {"net_ns_fd": str(self.path)} if self.path else {}


@asynccontextmanager
async def inside(netns: str | None) -> AsyncIterator[Namespace]:
    """Yield a thread in a network namespace, by its name or path; None: the one of this process.

    Raises BackendError if there is none such, or if it may not be entered.
    """
    path = None if netns is None else _NAMED / netns  # an absolute path stays what it is
    executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="wireguard")
    try:
        namespace = Namespace(executor, path)
        if path is not None:
            await namespace.run(partial(_enter, path))
        yield namespace
    finally:
        await asyncio.to_thread(executor.shutdown, cancel_futures=True)


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
