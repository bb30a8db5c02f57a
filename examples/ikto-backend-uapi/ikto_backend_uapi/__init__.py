"""The backend `uapi`: WireGuard outside the kernel, by the socket on which it answers."""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from ikto_backend_uapi.backend import UapiBackend
from ikto_core.plugins import Backend, BackendContext, BackendError, BackendPlugin, hookimpl


@asynccontextmanager
async def open_uapi(context: BackendContext) -> AsyncGenerator[Backend, None]:
    """Yield a backend on this host; when it closes nothing is under way, and its devices stay."""
    if context.netns is not None:
        raise BackendError(
            f"uapi drives no device in another network namespace ({context.netns})",
            hint="run the agent in that namespace: ip netns exec",
        )
    thread = ThreadPoolExecutor(max_workers=1)
    try:
        yield UapiBackend(thread)
    finally:
        await asyncio.to_thread(thread.shutdown)  # waits for what is under way, beside the event loop


@hookimpl
def ikto_register_backends() -> Iterable[BackendPlugin]:
    """Offer the backend."""
    summary = "wireguard-go, by WireGuard's userspace socket protocol"
    return [BackendPlugin(name="uapi", summary=summary, open=open_uapi)]
