"""What tests of Ikto and of its plugins build on: contract kits and stores in memory."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ikto_core.testing.backend_contract import BackendContract
    from ikto_core.testing.devices import private_key_of
    from ikto_core.testing.ipam_contract import IpamContract
    from ikto_core.testing.ipam_requests import ask
    from ikto_core.testing.linux_contract import LinuxContract

__all__ = ["BackendContract", "IpamContract", "LinuxContract", "ask", "private_key_of"]

_HOMES = {
    "BackendContract": "backend_contract",
    "IpamContract": "ipam_contract",
    "LinuxContract": "linux_contract",
    "ask": "ipam_requests",
    "private_key_of": "devices",
}

if not TYPE_CHECKING:  # else any name would be fine with a type checker

    def __getattr__(name: str) -> object:
        """Import a kit when it is asked for: it needs pytest, and the demo uses this package without."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
