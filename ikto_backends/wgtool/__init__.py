"""The wgtool backend: WireGuard by the `wg` and `ip` programs, in the kernel or in a userspace implementation."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from ikto_backends.wgtool.backend import WgToolBackend
from ikto_core.plugins import Backend, BackendContext, BackendError, BackendPlugin, hookimpl

__all__ = ["WgToolBackend", "open_wgtool"]


@asynccontextmanager
async def open_wgtool(context: BackendContext) -> AsyncIterator[Backend]:
    """Yield a backend on this host; its devices stay when it closes, userspace ones too."""
    if context.netns is not None:
        raise BackendError(
            f"wgtool drives no device in another network namespace ({context.netns})",
            hint='use "backend": "netlink", or run the agent in that namespace: ip netns exec',
        )
    yield WgToolBackend()


@hookimpl
def ikto_register_backends() -> Iterable[BackendPlugin]:
    """Offer the backend `wgtool`."""
    summary = "the wg and ip programs: kernel WireGuard, or a userspace one such as wireguard-go"
    return (BackendPlugin(name="wgtool", summary=summary, open=open_wgtool),)
