"""This node as its configuration describes it."""

from random import Random

import pytest

from ikto_core.agent.from_config import local_node
from ikto_core.claim.policy import draw_identity
from ikto_core.config import Config
from ikto_core.values.keys import PrivateKey

KEY = PrivateKey(bytes([7] * 32)).public()


@pytest.mark.parametrize("address", ["fd10:0:1::", "fd10:0:1::1", "FD10:0:1:0::77"])
def test_the_record_has_the_devices_address_wherever_it_is_in_the_subnet(address: str) -> None:
    identity = draw_identity(KEY, frozenset(), Random(1))
    record = local_node(Config(name="node-a", private_address=address)).record(identity, address, ["192.0.2.1"])
    assert record.allowed_ip == "fd10:0:1::/48"
    assert record.address == record.device_address == address.lower().replace(":0::", "::")
