"""The backend `wgtool`: runs the `wg` and `ip` programs, for WireGuard in the kernel or in userspace."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from ikto_backends.wgtool.backend import WgToolBackend
from ikto_core.plugins import Backend, BackendContext, BackendError, BackendPlugin, hookimpl

__all__ = ["WgToolBackend", "open_wgtool"]


@asynccontextmanager
async def open_wgtool(context: BackendContext) -> AsyncIterator[Backend]:
    """Yield a backend for devices of this network namespace; they stay when it closes, userspace ones too."""
    if context.netns is not None:
        raise BackendError(
            f"wgtool does not support devices in another network namespace ({context.netns})",
            hint='use "backend": "netlink", or run the agent in that namespace: ip netns exec',
        )
    yield WgToolBackend()


@hookimpl
def ikto_register_backends() -> Iterable[BackendPlugin]:
    """Register the backend `wgtool`."""
    summary = "runs wg and ip, for kernel WireGuard or a userspace one such as wireguard-go"
    return (BackendPlugin(name="wgtool", summary=summary, open=open_wgtool),)
