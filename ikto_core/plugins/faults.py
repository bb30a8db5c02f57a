"""Turns what a plugin's own code raises into PluginError, which names the plugin."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from ikto_core.errors import IktoError, PluginError, described

AUTHOR_HINT = "this is a bug in the plugin: report it to its author"


@contextmanager
def as_plugin_error(provider: str, method: str = "") -> Iterator[None]:
    """Raise PluginError for any exception of the block but IktoError and cancellation, SystemExit included."""
    try:
        yield
    except (IktoError, asyncio.CancelledError, GeneratorExit, KeyboardInterrupt):
        raise
    except BaseException as error:  # SystemExit, too: it would end the agent without an explanation
        where = f" in `{method}`" if method else ""
        raise PluginError(f"{provider} failed{where}: {described(error)}", hint=AUTHOR_HINT) from error
