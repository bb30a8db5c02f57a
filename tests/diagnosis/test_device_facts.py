"""What a device says about one peer, and which of its endpoints are tried."""

from ikto_core.device.model import DeviceState, PeerState
from ikto_core.diagnosis.device_facts import candidates, device_facts, tunnel_path
from ikto_core.values.addressing import Endpoint, Prefix
from tests.diagnosis.samples import ENDPOINT, GOOD, NOW, spoilt
from tests.samples import KEY, MESH, OTHER_KEY

SUBNETS = [Prefix.parse("10.0.0.32/28"), Prefix.parse("10.0.0.48/28")]
SHOWN = PeerState(
    public_key=KEY, allowed_ips=frozenset(SUBNETS[:1]), endpoint=Endpoint.parse(ENDPOINT), last_handshake=NOW
)
DEVICE = DeviceState(up=True, mtu=1420, peers={KEY: SHOWN})


def test_a_peer_lacks_an_allowed_ip() -> None:
    facts = device_facts("wg0", DEVICE, KEY, SUBNETS, kicks=2, stalled=True)
    assert facts.peer
    assert facts.peer.missing_ips == ("10.0.0.48/28",)
    assert (facts.peer.endpoint, facts.peer.kicks, facts.peer.stalled) == (ENDPOINT, 2, True)


def test_another_peer_no_device_and_one_that_cannot_be_read() -> None:
    assert device_facts("wg0", DEVICE, OTHER_KEY).peer is None
    assert device_facts("wg0", None, KEY).exists is False
    assert device_facts("wg0", None, KEY, unreadable=True, failure="no").exists is None


def test_a_roamed_endpoint_comes_first_and_refused_ones_say_why() -> None:
    known = [Endpoint.parse("10.0.0.1:1"), Endpoint.parse("192.0.2.9:1")]
    found = candidates(known, ENDPOINT, MESH)
    assert [one.endpoint for one in found] == [ENDPOINT, "10.0.0.1:1", "192.0.2.9:1"]
    assert [one.in_use for one in found] == [True, False, False]
    assert found[1].refusal == "inside the mesh 10.0.0.0/24"
    assert [one.in_use for one in candidates(known, "192.0.2.9:1", MESH)] == [False, True]


def test_the_path_of_what_is_no_peer_is_none() -> None:
    path = tunnel_path(GOOD, netns="vpn", fwmark=7, source="fd10:1::")
    assert path
    assert (path.address, path.endpoint, path.mtu, path.netns) == ("fd10:2::", ENDPOINT, 1420, "vpn")
    assert tunnel_path(spoilt(record__status="absent"), netns="", fwmark=0, source=None) is None
