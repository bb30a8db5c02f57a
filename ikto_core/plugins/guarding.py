"""Wrappers around what plugins provide: their code runs as the provider's, and their own errors are PluginErrors."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

from ikto_core.deprecations import Provider
from ikto_core.device.backend import Backend, BackendContext
from ikto_core.errors import PluginError
from ikto_core.ipam.contract import IpamRequest, IpamStrategy
from ikto_core.observers.contract import MeshEvent, Observer, ObserverContext
from ikto_core.plugins.faults import AUTHOR_HINT, as_plugin_error
from ikto_core.plugins.guarded_backend import guarded_backend
from ikto_core.values.addressing import Prefix

P = ParamSpec("P")
R = TypeVar("R")


def guarded_call(call: Callable[P, R], provider: Provider) -> Callable[P, R]:
    """Return a function that runs as the provider's. Its errors stay as they are."""

    @wraps(call)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        with provider.running():
            return call(*args, **kwargs)

    return guarded


def guarded_make(make: Callable[[], IpamStrategy], provider: Provider) -> Callable[[], IpamStrategy]:
    """Return `make`, wrapped to raise PluginError for any exception but IktoError, SystemExit included.

    The same holds for the strategy that it makes.
    """

    @wraps(make)
    def guarded() -> IpamStrategy:
        with as_plugin_error(provider):
            return _GuardedStrategy(make(), provider)

    return guarded


class _GuardedStrategy:
    def __init__(self, strategy: IpamStrategy, provider: Provider) -> None:
        self._strategy, self._provider = strategy, provider

    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        with as_plugin_error(self._provider):
            found = iter(self._strategy.candidates(request))
        while True:
            with as_plugin_error(self._provider):
                candidate = next(found, None)
            if candidate is None:
                return
            yield candidate


def guarded_open(
    open_: Callable[P, AbstractAsyncContextManager[R]], provider: Provider
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
                raise PluginError(f"{provider.name} failed: `open` yielded None", hint=AUTHOR_HINT)
            yield opened
            with as_plugin_error(provider, "open"):  # not reached if the block raised: its error passes through
                await stack.aclose()

    return guarded


def guarded_open_observer(
    open_: Callable[[ObserverContext], AbstractAsyncContextManager[Observer]], provider: Provider
) -> Callable[[ObserverContext], AbstractAsyncContextManager[Observer]]:
    """Return the same for an observer. What `see` raises stays as it is: whoever runs the observer logs it."""
    open_guarded = guarded_open(open_, provider)

    @asynccontextmanager
    @wraps(open_)
    async def guarded(context: ObserverContext) -> AsyncIterator[Observer]:
        async with open_guarded(context) as observer:
            yield _GuardedObserver(observer, provider)

    return guarded


class _GuardedObserver:
    def __init__(self, observer: Observer, provider: Provider) -> None:
        self._observer, self._provider = observer, provider

    async def see(self, events: Sequence[MeshEvent]) -> None:
        with self._provider.running():
            await self._observer.see(events)


def guarded_open_backend(
    open_: Callable[[BackendContext], AbstractAsyncContextManager[Backend]], provider: Provider
) -> Callable[[BackendContext], AbstractAsyncContextManager[Backend]]:
    """Return the same for a backend, whose methods are wrapped, too."""
    open_guarded = guarded_open(open_, provider)

    @asynccontextmanager
    @wraps(open_)
    async def guarded(context: BackendContext) -> AsyncIterator[Backend]:
        async with open_guarded(context) as backend:
            yield guarded_backend(backend, provider)

    return guarded
