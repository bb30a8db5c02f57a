"""What tests of Ikto and of its plugins build on: contract kits and stores in memory."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ikto_core.testing.backend_contract import BackendContract

__all__ = ["BackendContract"]


def __getattr__(name: str) -> object:
    """Import the kit when it is asked for: it needs pytest, and the demo uses this package without."""
    if name != "BackendContract":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from ikto_core.testing.backend_contract import BackendContract  # noqa: PLC0415

    return BackendContract
