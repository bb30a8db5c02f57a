"""The promises hold on random walks with three and four machines, several faults and many steps."""

from typing import Any

from hypothesis import note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.claim_model.invariants import broken_invariants, broken_when_quiet
from tests.claim_model.scenarios import CROWDS
from tests.claim_model.world import (
    Scenario,
    State,
    Step,
    faults,
    initial_state,
    optional_steps,
    spontaneous_steps,
    starts,
)
from tests.effort import max_examples


class Walk(RuleBasedStateMachine):
    """A random walk through a scenario; at its end there are no more faults and the nodes come to rest."""

    def __init__(self) -> None:
        super().__init__()
        self.scenario: Scenario = CROWDS[0]
        self.state: State = initial_state(self.scenario)

    @initialize(scenario=st.sampled_from(CROWDS))
    def begin(self, scenario: Scenario) -> None:
        self.scenario, self.state = scenario, initial_state(scenario)

    def _take(self, data: Any, steps: list[Step]) -> None:
        step = data.draw(st.sampled_from(steps))
        note(step.name)
        assert not step.victim
        self.state = step.state

    @precondition(lambda self: any(spontaneous_steps(self.state)))
    @rule(data=st.data())
    def take_spontaneous_step(self, data: Any) -> None:
        self._take(data, list(spontaneous_steps(self.state)))

    @precondition(lambda self: any(starts(self.state)))
    @rule(data=st.data())
    def start_agent(self, data: Any) -> None:
        self._take(data, list(starts(self.state)))

    @precondition(lambda self: self.state.budget and any(faults(self.state, self.scenario.faults)))
    @rule(data=st.data())
    def inject_fault(self, data: Any) -> None:
        self._take(
            data, [step for step in optional_steps(self.state, self.scenario) if step.state.budget < self.state.budget]
        )

    @rule(data=st.data())
    def come_to_rest(self, data: Any) -> None:
        while steps := list(spontaneous_steps(self.state)):
            self._take(data, steps)
            self.promises_hold()

    @invariant()
    def promises_hold(self) -> None:
        assert not list(broken_invariants(self.state, self.scenario))
        if not any(spontaneous_steps(self.state)):
            assert not list(broken_when_quiet(self.state, self.scenario))

    def teardown(self) -> None:
        while step := next(spontaneous_steps(self.state), None):
            self.state = step.state
            self.promises_hold()


TestWalks = Walk.TestCase
TestWalks.settings = settings(max_examples=max_examples(40), stateful_step_count=40, deadline=None)
