"""What a device says about one peer, and which of its endpoints are tried."""

from ikto_core.device.model import DeviceState, PeerState
from ikto_core.diagnosis.device_facts import candidates, device_facts, tunnel_path, with_agents_view
from ikto_core.diagnosis.facts import DeviceFacts
from ikto_core.errors import BackendError
from ikto_core.values.addressing import Endpoint, Prefix
from tests.diagnosis.samples import ENDPOINT, GOOD, NOW, spoilt
from tests.samples import KEY, MESH, OTHER_KEY

SUBNETS = [Prefix.parse("10.0.0.32/28"), Prefix.parse("10.0.0.48/28")]
SHOWN = PeerState(
    public_key=KEY, allowed_ips=frozenset(SUBNETS[:1]), endpoint=Endpoint.parse(ENDPOINT), last_handshake=NOW
)
DEVICE = DeviceState(up=True, mtu=1420, peers={KEY: SHOWN})


def test_a_peer_lacks_an_allowed_ip() -> None:
    facts = device_facts("wg0", DEVICE, KEY, SUBNETS)
    assert facts.peer
    assert (facts.peer.missing_ips, facts.peer.endpoint) == (("10.0.0.48/28",), ENDPOINT)


def test_another_peer_no_device_and_one_that_cannot_be_read() -> None:
    assert device_facts("wg0", DEVICE, OTHER_KEY).peer is None
    assert device_facts("wg0", None, KEY).exists is False
    unread = device_facts("wg0", None, KEY, unread=BackendError("no", hint="be root"))
    assert (unread.exists, unread.failure, unread.hint) == (None, "no", "be root")


def test_an_agent_knows_more_than_a_read_shows() -> None:
    def known(facts: DeviceFacts) -> DeviceFacts:
        return with_agents_view(facts, failure="full", hint="wait", synced_revision=7, stalled=True, kicks=2)

    facts = known(device_facts("wg0", DEVICE, KEY))
    assert facts.peer
    assert (facts.peer.kicks, facts.peer.stalled, facts.peer.endpoint) == (2, True, ENDPOINT)
    assert (facts.failure, facts.hint, facts.synced_revision) == ("full", "wait", 7)
    assert known(device_facts("wg0", DEVICE, OTHER_KEY)).peer is None
    unread = known(device_facts("wg0", None, KEY, unread=BackendError("no")))
    assert (unread.failure, unread.hint) == ("no", "")


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
