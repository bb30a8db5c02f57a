"""The observers that come with Ikto; like those of others, each is off unless the configuration names it."""

from collections.abc import Iterable

from ikto_core.builtin.observers.hosts import open_hosts
from ikto_core.builtin.observers.program import open_exec
from ikto_core.plugins import ObserverPlugin, hookimpl


@hookimpl
def ikto_register_observers() -> Iterable[ObserverPlugin]:
    """Offer the observers `hosts` and `exec`."""
    return (
        ObserverPlugin(name="hosts", summary="a block with the peers' names in /etc/hosts, or =PATH", open=open_hosts),
        ObserverPlugin(name="exec", summary="=PROGRAM is run for each event, which it reads as JSON", open=open_exec),
    )
