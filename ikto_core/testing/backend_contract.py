"""Tests of the backend contract: inherit `BackendContract`, override the fixture `plugin`, and run pytest.

    from ikto_core.testing import BackendContract

    class TestMyBackend(BackendContract):
        unsupported = {"C14": "no link-local peers on this device"}  # clause -> reason; its tests are skipped

        @pytest.fixture
        def plugin(self) -> BackendPlugin:
            return my_plugin

The tests are async: set `asyncio_mode = "auto"` for pytest-asyncio. Each one tests a clause of
`ikto_core.device.backend.Backend` and names it when it fails; docs/reference.md lists them.
"""

from ikto_core.testing.contract_cancelling import CancellingClauses
from ikto_core.testing.contract_changes import ChangeClauses
from ikto_core.testing.contract_devices import DeviceClauses
from ikto_core.testing.contract_errors import ErrorClauses
from ikto_core.testing.contract_loop import LoopClauses
from ikto_core.testing.contract_peers import PeerClauses
from ikto_core.testing.contract_reading import ReadingClauses
from ikto_core.testing.contract_secrets import SecretClauses
from ikto_core.testing.contract_sharing import SharingClauses


class BackendContract(
    DeviceClauses,
    PeerClauses,
    ReadingClauses,
    SharingClauses,
    SecretClauses,
    ErrorClauses,
    ChangeClauses,
    CancellingClauses,
    LoopClauses,
):
    """Tests of the backend contract. Override the fixture `plugin`; the device `ifname` is created and deleted freely.

    Also override `establish`, `unprivileged` and `other_kind`, which only a backend's author can provide; otherwise
    the tests that need them are skipped with a message.
    """
