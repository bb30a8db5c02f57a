"""The model finds a broken promise for every step that is removed from the protocol."""

import pytest
from msgspec.structs import replace

from tests.claim_model.explore import explore
from tests.claim_model.mutants import MUTANTS, Mutant

MOST_STATES = 100_000
"""How many of the nearest states are visited; the test fails if none of them breaks a promise."""


@pytest.mark.parametrize(
    "mutant",
    [pytest.param(mutant, marks=[pytest.mark.slow] if mutant.slow else [], id=mutant.name) for mutant in MUTANTS],
)
def test_a_protocol_without_a_step_breaks_its_promise(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant.install(monkeypatch)
    scenario = replace(mutant.scenario, faults=mutant.faults, budget=len(mutant.faults))
    findings = explore(scenario, MOST_STATES)
    assert findings.broken.startswith(mutant.breaks), findings
