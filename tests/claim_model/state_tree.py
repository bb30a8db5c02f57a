"""The states of a machine as a tree: a state depends only on the events before it.

Each event leads from one state to one other, which is computed once, with the real code, and then reused.
"""

from collections.abc import Hashable

from tests.claim_model.digest import digest
from tests.claim_model.events import Event, Spec
from tests.claim_model.machine import Machine


class StateTree:
    """One state of a machine. Equal states are the same object."""

    def __init__(self, spec: Spec) -> None:
        self._begin(spec, (), Machine(spec), {})

    def _begin(self, spec: Spec, past: tuple[Event, ...], machine: Machine, known: "dict[Hashable, StateTree]") -> None:
        self.spec = spec
        self.view = machine.view()
        self._past = past  # the events that led here first
        self._machine: Machine | None = machine
        self._next: dict[Event, StateTree] = {}
        self._known = known

    def after(self, event: Event) -> "StateTree":
        """Return the state after an event."""
        if event not in self._next:
            machine = self._take_machine()
            machine.apply(event)
            self._next[event] = self._tree_of(machine, event)
        return self._next[event]

    def _tree_of(self, machine: Machine, event: Event) -> "StateTree":
        name = (machine.view(), digest(machine))
        if name not in self._known:
            tree = self._known[name] = StateTree.__new__(StateTree)
            tree._begin(self.spec, (*self._past, event), machine, self._known)
        return self._known[name]

    def _take_machine(self) -> Machine:
        """Return the machine that is in this state, or replay the events with a new one."""
        machine, self._machine = self._machine, None
        if machine is None:
            machine = Machine(self.spec)
            for event in self._past:
                machine.apply(event)
        return machine
