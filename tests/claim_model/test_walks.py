"""Three and four machines, several faults, many steps: the promises hold on every way that chance takes."""

from typing import Any

from hypothesis import note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.claim_model.invariants import always_broken, quietly_broken
from tests.claim_model.scenarios import CROWDS
from tests.claim_model.world import Scenario, State, Step, beginning, choices, faults, flow, starts


class Walk(RuleBasedStateMachine):
    """One way through a scenario; at its end all faults are over and the world comes to rest."""

    def __init__(self) -> None:
        super().__init__()
        self.scenario: Scenario = CROWDS[0]
        self.state: State = beginning(self.scenario)

    @initialize(scenario=st.sampled_from(CROWDS))
    def begin(self, scenario: Scenario) -> None:
        self.scenario, self.state = scenario, beginning(scenario)

    def _take(self, data: Any, ways: list[Step]) -> None:
        step = data.draw(st.sampled_from(ways))
        note(step.name)
        assert not step.trespass
        self.state = step.state

    @precondition(lambda self: any(flow(self.state)))
    @rule(data=st.data())
    def something_happens(self, data: Any) -> None:
        self._take(data, list(flow(self.state)))

    @precondition(lambda self: any(starts(self.state)))
    @rule(data=st.data())
    def somebody_starts(self, data: Any) -> None:
        self._take(data, list(starts(self.state)))

    @precondition(lambda self: self.state.budget and any(faults(self.state, self.scenario.faults)))
    @rule(data=st.data())
    def something_goes_wrong(self, data: Any) -> None:
        self._take(data, [step for step in choices(self.state, self.scenario) if step.state.budget < self.state.budget])

    @rule(data=st.data())
    def it_comes_to_rest(self, data: Any) -> None:
        while ways := list(flow(self.state)):
            self._take(data, ways)
            self.promises_hold()

    @invariant()
    def promises_hold(self) -> None:
        assert not list(always_broken(self.state, self.scenario))
        if not any(flow(self.state)):
            assert not list(quietly_broken(self.state, self.scenario))

    def teardown(self) -> None:
        while way := next(flow(self.state), None):
            self.state = way.state
            self.promises_hold()


TestWalks = Walk.TestCase
TestWalks.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
