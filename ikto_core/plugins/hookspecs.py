"""The hooks that a plugin may implement. Each is called once, through pluggy, and returns frozen typed records.

An implementation takes those of the arguments that it names. It is a plain function, marked `hookimpl`.
"""

from collections.abc import Iterable

import click
import pluggy

from ikto_core.device.backend import BackendPlugin
from ikto_core.ipam.contract import IpamPlugin
from ikto_core.observers.contract import ObserverPlugin
from ikto_core.plugins.check_contract import CheckPlugin
from ikto_core.plugins.sources import PROJECT

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def ikto_register_backends() -> Iterable[BackendPlugin]:
    """Return the WireGuard backends that this plugin provides."""
    return ()


@hookspec
def ikto_register_ipam_strategies() -> Iterable[IpamPlugin]:
    """Return the IPAM strategies that this plugin provides."""
    return ()


@hookspec
def ikto_register_observers() -> Iterable[ObserverPlugin]:
    """Return the observers that this plugin provides. One runs only if the setting `observers` names it."""
    return ()


@hookspec
def ikto_register_checks() -> Iterable[CheckPlugin]:
    """Return the checks that this plugin adds to `ikto doctor`."""
    return ()


@hookspec
def ikto_register_commands(cli: click.Group) -> None:
    """Add commands to `cli`, an empty group for this plugin alone. `ikto` lists and runs the commands in it.

    It is called to run one of these commands, and not for `ikto --help`, which lists the entry points of the group
    `ikto.commands`. A name consists of lower case letters, digits and '-', and must not be the name of a built-in
    command. A command raises IktoError to end with a one-line message for the user.
    """
