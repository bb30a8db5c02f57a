"""Parts of the public doors that are to be removed: each use is a warning that names the plugin."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class IktoDeprecationWarning(DeprecationWarning):
    """A program or a plugin uses a part of Ikto that is to be removed."""


class Provider:
    """Whose code runs: the name for errors and warnings, and the deprecated parts that it has used.

    Args:
        name: Kind, name, distribution, version and entry point, as far as they are known.
        uses: Where each use is noted once; it may be shared by what one module provides.

    """

    def __init__(self, name: str, uses: list[str] | None = None) -> None:
        self.name = name
        self.uses = [] if uses is None else uses

    @contextmanager
    def running(self) -> Iterator[None]:
        """Let the code of the block be this provider's. Never yield to a caller inside the block."""
        token = _RUNNING.set(self)
        try:
            yield
        finally:
            _RUNNING.reset(token)

    def warning(self, use: str) -> IktoDeprecationWarning:
        """Note a use, and return the warning that names the provider."""
        if use not in self.uses:
            self.uses.append(use)
        return IktoDeprecationWarning(f"{self.name}: {use}")


_RUNNING: ContextVar[Provider | None] = ContextVar("_RUNNING", default=None)


def deprecated(what: str, *, since: str, instead: str) -> IktoDeprecationWarning:
    """Return the warning about a part that is deprecated since a minor version of Ikto, with what to do instead."""
    return IktoDeprecationWarning(f"{what} is deprecated since Ikto {since}: {instead}")


def warn(use: IktoDeprecationWarning, *, frames: int = 1) -> None:
    """Warn of a use in the function that calls this one, and name the plugin whose code runs.

    Args:
        use: What `deprecated` returned.
        frames: How many callers above that function the user is.

    """
    provider = _RUNNING.get()
    warnings.warn(provider.warning(str(use)) if provider else use, stacklevel=frames + 2)
