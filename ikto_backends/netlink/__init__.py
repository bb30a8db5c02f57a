"""The backend `netlink`: configures WireGuard in the Linux kernel over netlink."""

from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager

from ikto_core.plugins import Backend, BackendContext, BackendPlugin, hookimpl

__all__ = ["open_netlink"]


def open_netlink(context: BackendContext) -> AbstractAsyncContextManager[Backend]:
    """Open a backend for kernel WireGuard devices in the network namespace that the context names."""
    from ikto_backends.netlink.backend import open_netlink  # noqa: PLC0415 - start-up time: pyroute2 is large

    return open_netlink(context)


@hookimpl
def ikto_register_backends() -> Iterable[BackendPlugin]:
    """Register the backend `netlink`."""
    summary = "kernel WireGuard over netlink; needs root or CAP_NET_ADMIN"
    return (BackendPlugin(name="netlink", summary=summary, open=open_netlink),)
