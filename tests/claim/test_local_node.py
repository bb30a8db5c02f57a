"""What a configuration makes of us."""

from random import Random

import pytest

from ikto_core.claim.local_node import own_record
from ikto_core.claim.policy import draw_identity
from ikto_core.config import Config
from ikto_core.values.keys import PrivateKey

KEY = PrivateKey(bytes([7] * 32)).public()


@pytest.mark.parametrize("address", ["fd10:0:1::", "fd10:0:1::1", "FD10:0:1:0::77"])
def test_our_record_tells_the_address_of_our_device_whatever_it_is_in_our_subnet(address: str) -> None:
    identity = draw_identity(KEY, frozenset(), Random(1))
    record = own_record(Config(private_address=address), "node-a", identity, address, "192.0.2.1")
    assert record.allowed_ip == "fd10:0:1::/48"
    assert record.address == record.device_address == address.lower().replace(":0::", "::")
