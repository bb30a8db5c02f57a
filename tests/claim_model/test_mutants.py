"""The model finds every step of the protocol that is taken out."""

import pytest
from msgspec.structs import replace

from tests.claim_model.explore import explore
from tests.claim_model.mutants import MUTANTS, Mutant

MOST_STATES = 40_000
"""The nearest; the test fails if the mutant does nothing wrong in these."""


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_protocol_that_lacks_a_step_is_found_out(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant.put_in(monkeypatch)
    scenario = replace(mutant.scenario, faults=mutant.faults, budget=len(mutant.faults))
    findings = explore(scenario, MOST_STATES)
    assert findings.broken.startswith(mutant.found_out), findings
