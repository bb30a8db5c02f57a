"""Tests of the IPAM contract: inherit `IpamContract`, override the fixture `plugin`, and run pytest.

    from ikto_core.testing import IpamContract

    class TestMyStrategy(IpamContract):
        unsupported = {"I6": "a node has one location"}  # clause -> reason; its tests are skipped

        @pytest.fixture
        def plugin(self) -> IpamPlugin:
            return my_plugin

Each test belongs to a clause of `ikto_core.ipam.contract.IpamStrategy` and names it when it fails;
docs/ipam-contract.md lists them.
"""

from ikto_core.testing.ipam_behaviour import BehaviourClauses
from ikto_core.testing.ipam_candidates import CandidateClauses


class IpamContract(CandidateClauses, BehaviourClauses):
    """Tests of the IPAM contract. Override the fixture `plugin`.

    Set `deterministic` if the strategy uses no randomness, `names` to node names that it serves, `unservable` to
    names that it must refuse, and `unsupported` to the clauses that it does not keep, with the reason.
    """
