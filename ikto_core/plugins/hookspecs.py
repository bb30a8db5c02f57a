"""The hooks a plugin may implement. Each is called once, at start, and returns frozen typed records."""

from collections.abc import Iterable

import click
import pluggy

from ikto_core.device.backend import BackendPlugin
from ikto_core.ipam.contract import IpamPlugin
from ikto_core.observers.contract import ObserverPlugin
from ikto_core.plugins.sources import PROJECT

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


@hookspec
def ikto_register_observers() -> Iterable[ObserverPlugin]:
    """Return the observers that this plugin offers; one runs only where `observers` of the configuration names it."""
    return ()


@hookspec
def ikto_register_commands(cli: click.Group) -> None:
    """Add commands to `cli`, an empty group of this plugin's own: `ikto` lists and runs what is in it afterwards.

    The only hook that `ikto --help` needs: a module that implements it should import little at its top. A name is lower
    case letters, digits and '-', and none of Ikto's own commands. A command raises IktoError for what its user should
    know in one line.
    """
