"""Wrappers around plugin callables that convert unexpected exceptions into PluginError, naming the provider."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

from ikto_core.device.backend import Backend, BackendContext
from ikto_core.errors import PluginError
from ikto_core.plugins.faults import AUTHOR_HINT, as_plugin_error
from ikto_core.plugins.guarded_backend import guarded_backend

P = ParamSpec("P")
R = TypeVar("R")


def guarded_make(make: Callable[P, R], provider: str) -> Callable[P, R]:
    """Return `make`, wrapped to raise PluginError for any exception but IktoError, SystemExit included."""

    @wraps(make)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        with as_plugin_error(provider):
            return make(*args, **kwargs)

    return guarded


def guarded_open(
    open_: Callable[P, AbstractAsyncContextManager[R]], provider: str
) -> Callable[P, AbstractAsyncContextManager[R]]:
    """Return `open_`, wrapped to raise PluginError if its context can't be entered or left, or yields None.

    An error of the block passes through.
    """

    @asynccontextmanager
    @wraps(open_)
    async def guarded(*args: P.args, **kwargs: P.kwargs) -> AsyncIterator[R]:
        async with AsyncExitStack() as stack:
            with as_plugin_error(provider):
                opened = await stack.enter_async_context(open_(*args, **kwargs))
            if opened is None:
                raise PluginError(f"{provider} failed: `open` yielded None", hint=AUTHOR_HINT)
            yield opened
            with as_plugin_error(provider, "open"):  # not reached if the block raised: its error passes through
                await stack.aclose()

    return guarded


def guarded_open_backend(
    open_: Callable[[BackendContext], AbstractAsyncContextManager[Backend]], provider: str
) -> Callable[[BackendContext], AbstractAsyncContextManager[Backend]]:
    """Return the same for a backend, whose methods are wrapped, too."""
    open_guarded = guarded_open(open_, provider)

    @asynccontextmanager
    @wraps(open_)
    async def guarded(context: BackendContext) -> AsyncIterator[Backend]:
        async with open_guarded(context) as backend:
            yield guarded_backend(backend, provider)

    return guarded
