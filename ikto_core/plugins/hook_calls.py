"""Calls the hooks of one plugin, through a pluggy manager of its own: a plugin that fails costs only itself."""

import inspect
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from types import SimpleNamespace
from typing import NamedTuple, TypeVar

import pluggy

from ikto_core.deprecations import IktoDeprecationWarning, Provider
from ikto_core.errors import described
from ikto_core.plugins import hookspecs
from ikto_core.plugins.kinds import NotUsableError
from ikto_core.plugins.sources import PROJECT
from ikto_core.plugins.stdout import stdout_to_stderr

R = TypeVar("R")


class Failure(NamedTuple):
    """Why a plugin, or one hook of it, can't be used: one line."""

    reason: str


def attempt(step: str, call: Callable[[], R]) -> R | Failure:
    """Return what `call`, which runs code of a plugin, returns; a Failure for whatever it raises.

    What the plugin prints meanwhile goes to standard error. Raises KeyboardInterrupt only.
    """
    try:
        with stdout_to_stderr():
            return call()
    except NotUsableError as error:
        reason = str(error)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - a plugin may raise anything, SystemExit included
        reason = f"{step} raised {described(error)}"
    return Failure(" ".join(reason.split()))


class PluginHooks:
    """The hooks that one plugin implements: the functions of a module or an object that are marked `hookimpl`.

    A function that can't be a hook is in `problems`, and costs no other function of the plugin. A hook, or an argument
    of one, that is deprecated (pluggy's `warn_on_impl`, `warn_on_impl_args`) is a warning that names the provider.
    """

    def __init__(self, plugin: object, provider: Provider) -> None:
        self.problems: list[str] = []
        self._provider = provider
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(hookspecs)
        parse = self._manager.parse_hookspec_opts
        self._known = [name for name in dir(hookspecs) if parse(hookspecs, name) is not None]
        for name in dir(plugin):
            if problem := self._register(plugin, name):
                self.problems.append(problem)

    @property
    def implemented(self) -> frozenset[str]:
        """The names of the hooks that can be called."""
        return frozenset(name for name in self._known if getattr(self._manager.hook, name).get_hookimpls())

    def call(self, hook: str, **arguments: object) -> list[object]:
        """Return the results of the functions that implement a hook. pluggy leaves out those that are None.

        Each function gets those of the arguments that it names. Raises whatever a function raises.
        """
        results: list[object] = getattr(self._manager.hook, hook)(**arguments)
        return results

    def _register(self, plugin: object, name: str) -> str | None:
        """Register one function of a plugin if it is a hook. Returns why it should be one and can't."""
        mark = self._manager.parse_hookimpl_opts(plugin, name)
        function = getattr(plugin, name, None)
        hook = (mark["specname"] if mark else None) or name
        if mark is None and not (name.startswith("ikto_") and inspect.isroutine(function)):
            return None
        if hook not in self._known:
            return None if mark and mark["optionalhook"] else self._unknown(hook)
        if mark is None:
            return f"{name} lacks the decorator @hookimpl of ikto_core.plugins"
        if mark["wrapper"] or mark["hookwrapper"] or inspect.iscoroutinefunction(function):
            return f"{name} is a wrapper or async; a hook must be a plain function"
        try:
            with self._naming_the_provider():
                self._manager.register(SimpleNamespace(**{name: function}))
        except pluggy.PluginValidationError as error:  # its last line names the arguments
            return f"{name} does not fit the hook {hook}: {str(error).splitlines()[-1].strip()}"
        return None

    @contextmanager
    def _naming_the_provider(self) -> Iterator[None]:
        """Let the block's warnings about deprecated hooks name the provider. pluggy knows the function only."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield
        for each in caught:
            text = each.message
            if isinstance(text, IktoDeprecationWarning):
                text = self._provider.warning(str(text))
            warnings.warn_explicit(text, each.category, each.filename, each.lineno)

    def _unknown(self, hook: str) -> str:
        nearest = get_close_matches(hook, self._known, n=1)
        suggestion = f"did you mean {nearest[0]}? " if nearest else ""
        return f"{hook} is not one of Ikto's hooks; {suggestion}(optionalhook=True marks one of another version)"
