"""Every promise of the claim protocol holds in every state that two machines can reach (docs/claim.md)."""

import os

import pytest
from msgspec.structs import replace

from tests.claim_model import scenarios
from tests.claim_model.explore import explore
from tests.claim_model.world import Scenario
from tests.effort import THOROUGH

pytestmark = pytest.mark.thorough

MOST_STATES = int(os.environ.get("IKTO_CLAIM_MODEL_STATES", "5000" if THOROUGH else "250"))
"""How many states are visited in scenarios with a fault, the nearest first."""

MOST_STATES_WITHOUT_FAULTS = 200_000 if THOROUGH else 5_000
"""All, in the slow tests, but of one scenario: a node moves while another one wants its subnet. It has more of them."""

by_name = pytest.mark.parametrize("scenario", scenarios.ALL, ids=lambda scenario: scenario.name)


@by_name
def test_every_promise_holds_in_every_state_without_faults(scenario: Scenario) -> None:
    findings = explore(replace(scenario, budget=0), MOST_STATES_WITHOUT_FAULTS)
    assert not findings.broken, findings
    assert findings.complete or findings.states == MOST_STATES_WITHOUT_FAULTS
    assert findings.quiet


@by_name
@pytest.mark.timeout(3600)
def test_every_promise_holds_with_any_single_fault(scenario: Scenario) -> None:
    findings = explore(scenario, MOST_STATES)
    assert not findings.broken, findings
    assert findings.quiet
