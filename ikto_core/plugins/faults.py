"""Turns what a plugin's own code raises into PluginError, which names the plugin."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from ikto_core.deprecations import Provider
from ikto_core.errors import IktoError, PluginError, described

AUTHOR_HINT = "this is a bug in the plugin: report it to its author"


@contextmanager
def as_plugin_error(provider: Provider, method: str = "") -> Iterator[None]:
    """Raise PluginError for any exception of the block but IktoError and cancellation, SystemExit included.

    The block is the provider's code. It must not yield to a caller.
    """
    try:
        with provider.running():
            yield
    except (IktoError, asyncio.CancelledError, GeneratorExit, KeyboardInterrupt):
        raise
    except BaseException as error:  # SystemExit, too: it would end the agent without an explanation
        where = f" in `{method}`" if method else ""
        raise PluginError(f"{provider.name} failed{where}: {described(error)}", hint=AUTHOR_HINT) from error
