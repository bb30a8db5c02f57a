"""The built-in observers. Each is off unless the setting `observers` names it."""

from collections.abc import Iterable

from ikto_core.builtin.observers.hosts import open_hosts
from ikto_core.builtin.observers.program import open_exec
from ikto_core.plugins import ObserverPlugin, hookimpl


@hookimpl
def ikto_register_observers() -> Iterable[ObserverPlugin]:
    """Return the observers `hosts` and `exec`."""
    return (
        ObserverPlugin(name="hosts", summary="write the peers' names to /etc/hosts, or to =PATH", open=open_hosts),
        ObserverPlugin(
            name="exec", summary="run =PROGRAM for each event, with the event as JSON on stdin", open=open_exec
        ),
    )
