"""The hooks a plugin may implement. Each is called once, at start, and returns frozen typed records."""

from collections.abc import Iterable

import pluggy

from ikto_core.backend import BackendPlugin
from ikto_core.ipam.contract import IpamPlugin

PROJECT = "ikto"
"""pluggy's project name and the entry-point group that plugins register in."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def ikto_register_backends() -> Iterable[BackendPlugin]:
    """Return the WireGuard backends that this plugin offers."""
    return ()


@hookspec
def ikto_register_ipam_strategies() -> Iterable[IpamPlugin]:
    """Return the IPAM strategies that this plugin offers."""
    return ()
