"""The contract of IPAM strategies as tests: inherit `IpamContract`, give it your plugin, and run pytest.

    from ikto_core.testing import IpamContract

    class TestMyStrategy(IpamContract):
        unsupported = {"I6": "a node has one place"}  # clause -> why; its tests are skipped, aloud

        @pytest.fixture
        def plugin(self) -> IpamPlugin:
            return my_plugin

Each test belongs to a clause of `ikto_core.ipam.contract.IpamStrategy`, which it names when it fails;
docs/ipam-contract.md lists them.
"""

from ikto_core.testing.ipam_behaviour import ConductClauses
from ikto_core.testing.ipam_candidates import OfferClauses


class IpamContract(OfferClauses, ConductClauses):
    """What every strategy shows. Give the fixture `plugin`.

    Set `deterministic` if it uses no chance, `names` to names that it can serve, `unservable` to some that it refuses,
    `unsupported` to the clauses that it can't keep, with the reason.
    """
