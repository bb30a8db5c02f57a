"""The backend `uapi`: drives wireguard-go through its userspace socket."""

from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager

from ikto_backend_uapi.backend import UapiBackend
from ikto_core.plugins import Backend, BackendContext, BackendError, BackendPlugin, hookimpl, open_worker


@asynccontextmanager
async def open_uapi(context: BackendContext) -> AsyncGenerator[Backend, None]:
    """Yield a backend for this host; when it closes no call is running, and its devices stay."""
    if context.netns is not None:
        raise BackendError(
            f"uapi does not support devices in another network namespace ({context.netns})",
            hint="run the agent in that namespace: ip netns exec",
        )
    async with open_worker() as worker:
        yield UapiBackend(worker)


@hookimpl
def ikto_register_backends() -> Iterable[BackendPlugin]:
    """Register the backend `uapi`."""
    summary = "drives wireguard-go through WireGuard's userspace socket protocol"
    return [BackendPlugin(name="uapi", summary=summary, open=open_uapi)]
