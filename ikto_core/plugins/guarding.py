"""What a plugin's own code raises when it is called later on: told as its fault, with who brings it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

from ikto_core.errors import IktoError, PluginError, described

P = ParamSpec("P")
R = TypeVar("R")


def guarded_make(make: Callable[P, R], whose: str) -> Callable[P, R]:
    """Return a maker that raises PluginError where this one raises anything but an IktoError, an exit too."""

    @wraps(make)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        with _blamed(whose):
            return make(*args, **kwargs)

    return guarded


def guarded_open(
    open_: Callable[P, AbstractAsyncContextManager[R]], whose: str
) -> Callable[P, AbstractAsyncContextManager[R]]:
    """Return an opener that raises PluginError if this one can't be entered; what its block raises comes as it is."""

    @asynccontextmanager
    async def guarded(*args: P.args, **kwargs: P.kwargs) -> AsyncIterator[R]:
        async with AsyncExitStack() as stack:
            with _blamed(whose):
                opened = await stack.enter_async_context(open_(*args, **kwargs))
            yield opened

    return guarded


@contextmanager
def _blamed(whose: str) -> Iterator[None]:
    try:
        yield
    except (IktoError, asyncio.CancelledError, GeneratorExit, KeyboardInterrupt):
        raise
    except BaseException as error:  # an exit, too: the agent would end, and nobody know why
        raise PluginError(f"{whose} failed: {described(error)}", hint="this is a mistake in that plugin") from error
