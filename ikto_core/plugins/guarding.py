"""Wrappers around plugin callables that convert unexpected exceptions into PluginError, naming the provider."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

from ikto_core.errors import IktoError, PluginError, described

P = ParamSpec("P")
R = TypeVar("R")


def guarded_make(make: Callable[P, R], provider: str) -> Callable[P, R]:
    """Return `make`, wrapped to raise PluginError for any exception but IktoError, SystemExit included."""

    @wraps(make)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        with _as_plugin_error(provider):
            return make(*args, **kwargs)

    return guarded


def guarded_open(
    open_: Callable[P, AbstractAsyncContextManager[R]], provider: str
) -> Callable[P, AbstractAsyncContextManager[R]]:
    """Return `open_`, wrapped to raise PluginError if its context can't be entered. The block's errors pass through."""

    @asynccontextmanager
    async def guarded(*args: P.args, **kwargs: P.kwargs) -> AsyncIterator[R]:
        async with AsyncExitStack() as stack:
            with _as_plugin_error(provider):
                opened = await stack.enter_async_context(open_(*args, **kwargs))
            yield opened

    return guarded


@contextmanager
def _as_plugin_error(provider: str) -> Iterator[None]:
    try:
        yield
    except (IktoError, asyncio.CancelledError, GeneratorExit, KeyboardInterrupt):
        raise
    except BaseException as error:  # SystemExit, too: it would end the agent without an explanation
        hint = "this is a bug in the plugin: report it to its author"
        raise PluginError(f"{provider} failed: {described(error)}", hint=hint) from error
