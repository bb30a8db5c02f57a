"""A machine's states as a tree: what it does depends on nothing but what has happened to it.

So each event leads from one state to one other, which is computed once, by the real code, however many ways lead there.
"""

from collections.abc import Hashable

from tests.claim_model.digest import digest
from tests.claim_model.events import Event, Spec
from tests.claim_model.machine import Machine


class StateTree:
    """What a machine has come to. Courses that can't be told apart any more are the same object."""

    def __init__(self, spec: Spec) -> None:
        self._begin(spec, (), Machine(spec), {})

    def _begin(self, spec: Spec, past: tuple[Event, ...], machine: Machine, known: "dict[Hashable, StateTree]") -> None:
        self.spec = spec
        self.look = machine.look()
        self._past = past  # one way to come here
        self._machine: Machine | None = machine
        self._next: dict[Event, StateTree] = {}
        self._known = known

    def after(self, event: Event) -> "StateTree":
        """Return what becomes of it when something happens."""
        if event not in self._next:
            machine = self._in_motion()
            machine.happens(event)
            self._next[event] = self._course_of(machine, event)
        return self._next[event]

    def _course_of(self, machine: Machine, event: Event) -> "StateTree":
        name = (machine.look(), digest(machine))
        if name not in self._known:
            progress = self._known[name] = StateTree.__new__(StateTree)
            progress._begin(self.spec, (*self._past, event), machine, self._known)
        return self._known[name]

    def _in_motion(self) -> Machine:
        """Hand out the machine that came here, or have another go the same way."""
        machine, self._machine = self._machine, None
        if machine is None:
            machine = Machine(self.spec)
            for event in self._past:
                machine.happens(event)
        return machine
