"""Contract kits for the authors of plugins: pytest classes that test a backend or an IPAM strategy.

It must never know a particular backend or strategy; the rest of Ikto does not import it.
"""

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

if not TYPE_CHECKING:  # otherwise type checkers would accept any name

    def __getattr__(name: str) -> object:
        """Import a kit at first use: it needs pytest, which is not installed everywhere."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
