"""The backend contract as tests: inherit `BackendContract`, give it your plugin, and run pytest.

    from ikto_core.testing import BackendContract

    class TestMyBackend(BackendContract):
        unsupported = {"C14": "my device has no link-local peers"}  # clause -> why; its tests are skipped, aloud

        @pytest.fixture
        def plugin(self) -> BackendPlugin:
            return my_plugin

The tests are async: set `asyncio_mode = "auto"` of pytest-asyncio. Each belongs to a clause of
`ikto_core.device.backend.Backend`, which it names when it fails; docs/reference.md lists them.
"""

from ikto_core.testing.contract_calls import CallClauses
from ikto_core.testing.contract_devices import DeviceClauses
from ikto_core.testing.contract_peers import PeerClauses


class BackendContract(DeviceClauses, PeerClauses, CallClauses):
    """What every backend shows. Give the fixture `plugin`; the device `ifname` is made and deleted at will.

    Override `establish`, `unprivileged` and `other_kind` for what only a backend's author can do: without them, what
    they are for is skipped, aloud.
    """
