"""How observers fare, as the agent's socket shows it."""

from collections.abc import Iterable

import msgspec

from ikto_core.admin.views import ObserverView
from ikto_core.observers.runner import ObserverRun


def observer_views(observers: Iterable[ObserverRun]) -> tuple[ObserverView, ...]:
    """Return what there is to say of each observer."""
    return tuple(
        ObserverView(
            name=observer.asked,
            failure=observer.failure or None,
            waiting=observer.waiting,
            counters=msgspec.structs.replace(observer.stats),
        )
        for observer in observers
    )
