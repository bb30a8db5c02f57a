"""The backend `uapi`: drives wireguard-go through its userspace socket."""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from ikto_backend_uapi.backend import UapiBackend
from ikto_core.plugins import Backend, BackendContext, BackendError, BackendPlugin, hookimpl


@asynccontextmanager
async def open_uapi(context: BackendContext) -> AsyncGenerator[Backend, None]:
    """Yield a backend for this host; when it closes no call is running, and its devices stay."""
    if context.netns is not None:
        raise BackendError(
            f"uapi does not support devices in another network namespace ({context.netns})",
            hint="run the agent in that namespace: ip netns exec",
        )
    thread = ThreadPoolExecutor(max_workers=1)
    try:
        yield UapiBackend(thread)
    finally:
        await asyncio.to_thread(thread.shutdown)  # waits for the running call without blocking the event loop


@hookimpl
def ikto_register_backends() -> Iterable[BackendPlugin]:
    """Register the backend `uapi`."""
    summary = "drives wireguard-go through WireGuard's userspace socket protocol"
    return [BackendPlugin(name="uapi", summary=summary, open=open_uapi)]
